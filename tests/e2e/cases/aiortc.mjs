// aiortc in and out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { viewWithAiortc, publishWithAiortc } from '../lib/aiortc.mjs';
import { distinct, inbound, openLab } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

test('aiortc decodes what aiortc sends, and the tone has no gaps', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const performer = publishWithAiortc(t, server.whip('stage'), 30); // A browser that is started for the first time takes some seconds of them.
  await performer.line(/publishing/, 10_000);
  await server.live('stage');
  const lab = await openLab(t);
  const id = await lab.whep(server.whep('stage'));
  const [viewer] = await viewWithAiortc(t, server.whep('stage'), 8);
  figure('aiortc: decoded in 8 s', JSON.stringify(viewer));
  assert.equal(viewer.state, 'connected');
  assert.ok(viewer.distinct > 60, `only ${viewer.distinct} different pictures`);
  assert.ok(viewer.audio_s > 6, `only ${viewer.audio_s} s of sound`);
  assert.ok(viewer.level > 2000, `the tone has level ${viewer.level}`);
  assert.ok(viewer.silent_frames <= 15, `${viewer.silent_frames} silent frames in ${viewer.audio_frames}`);
  assert.equal(viewer.missing_ms, 0, `${viewer.missing_ms} ms of sound are missing`);
  // How late a frame came is mostly up to the two Pythons.
  assert.ok(viewer.gap_ms_max < 3000, `${viewer.gap_ms_max} ms without sound`);
  assert.equal(viewer.delete, 200);

  const seen = await lab.seen(id);
  assert.ok(distinct(seen.frames) > 60, 'Chromium does not see it');
  assert.ok(inbound(seen, 'audio').totalAudioEnergy > 0, 'Chromium does not hear it');
  assert.equal(await performer.end(40_000), 0, performer.tail());
  assert.match(performer.output, /"state": "connected", "delete": 200/);
});
