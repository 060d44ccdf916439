// A performer with three simulcast layers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distinct, openLab } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

const LAYERS = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
];

test('a viewer decodes a simulcast performer, whose three layers are listed', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const performer = await openLab(t);
  const sent = await performer.whip(server.whip('stage'), { codec: 'VP8', encodings: LAYERS, picture: { width: 960, height: 540 } });
  await server.live('stage');
  const seen = await performer.until(sent, 'sending three layers',
    (s) => s.streams.filter((r) => r.kind === 'video' && r.framesEncoded > 30).length === 3, 30_000);
  assert.match(seen.answer, /a=simulcast:recv q;h;f/);
  const stream = await server.live('stage');
  assert.equal(stream.tracks.find((track) => track.kind === 'video').layers, 3);

  const viewer = await openLab(t);
  const id = await viewer.whep(server.whep('stage'), { codec: 'VP8' });
  const shown = await viewer.until(id, 'showing 150 frames', (s) => s.frames.length > 150, 20_000);
  assert.ok(distinct(shown.frames) > 60);
  const widths = shown.frames.reduce((all, frame) => (all.at(-1) === frame.width ? all : [...all, frame.width]), []);
  figure('simulcast: join to first frame', `${shown.frames[0].at - shown.askedAt} ms`);
  figure('simulcast: widths shown, in order', widths.join(' '));
});
