// The conference, as tabs of Chromium take part in it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter, outline, pictures, sound } from '../lib/conference.mjs';
import { figure } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

test('two tabs see and hear each other', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const ada = await enter(t, server, 'rehearsal', { name: 'Ada', camera: { hue: 0, hz: 300 } });
  const bob = await enter(t, server, 'rehearsal', { name: 'Bob', camera: { hue: 120, hz: 500 } });
  const [first, second] = await Promise.all([ada.meets([bob]), bob.meets([ada])]);
  figure('conference: what the first of two receives', outline(first));
  assert.deepEqual(first.people.map(({ name }) => name).sort(), ['Ada', 'Bob']);
  assert.ok(pictures(second, ada.id) > 0 && sound(second, ada.id) > 0);
  assert.equal(first.inbound.find(({ kind, id }) => kind === 'video' && id === bob.id).codec, 'VP8');
});
