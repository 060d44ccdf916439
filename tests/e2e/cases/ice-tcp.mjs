// A viewer whose network lets no UDP through.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distinct, inbound, openLab } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

test('a viewer with TCP candidates only sees and hears the performer', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t);
  const performer = await openLab(t);
  await performer.whip(server.whip('stage'), { codec: 'H264' });
  await server.live('stage');
  const viewer = await openLab(t);
  const id = await viewer.whep(server.whep('stage'), { candidates: 'tcp' });
  const seen = await viewer.until(id, 'showing 120 frames', (s) => s.frames.length > 120, 20_000);
  assert.equal(seen.protocol, 'tcp');
  assert.ok(distinct(seen.frames) > 40);
  assert.ok(inbound(seen, 'audio').totalAudioEnergy > 0);
  figure('ICE-TCP: join to first frame', `${seen.frames[0].at - seen.askedAt} ms`);
});
