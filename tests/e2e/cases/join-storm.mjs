// Twenty viewers within a second, of three kinds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { viewWithAiortc } from '../lib/aiortc.mjs';
import { openLab } from '../lib/browser.mjs';
import { startFfmpegWhip } from '../lib/ffmpeg.mjs';
import { figure, median } from '../lib/figures.mjs';
import { viewWithLibdatachannel } from '../lib/libdatachannel.mjs';
import { startServer } from '../lib/server.mjs';

const SECONDS = 8;

test('twenty viewers who join within a second all have a moving picture', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  startFfmpegWhip(t, server.whip('stage'), { profile: 'baseline', picture: { width: 320, height: 180 } });
  await server.live('stage');
  const lab = await openLab(t);
  const url = server.whep('stage');
  const inChromium = async () => {
    const ids = await Promise.all(Array.from({ length: 4 }, () => lab.whep(url)));
    return Promise.all(ids.map((id) => lab.until(id, 'showing 60 frames', (s) => s.frames.length > 60, 20_000)));
  };
  const [browser, python, native] = await Promise.all([
    inChromium(),
    viewWithAiortc(t, url, SECONDS, { count: 8, spread: 0.5 }),
    viewWithLibdatachannel(t, url, SECONDS, 8),
  ]);
  const first = { Chromium: browser.map((s) => s.frames[0].at - s.askedAt), aiortc: python.map((v) => v.first_ms), libdatachannel: native.map((v) => v.first_ms) };
  for (const [client, times] of Object.entries(first)) figure(`20 joins, ${client}: join to first frame`, `${times.join(' ')} ms`);
  figure('20 joins: join to first frame, median', `${median(Object.values(first).flat())} ms`);
  assert.ok(Object.values(first).flat().every((ms) => typeof ms === 'number'), 'somebody has no picture');
  assert.equal(Object.values(first).flat().length, 20);
  for (const viewer of python) assert.ok(viewer.distinct > 60, `aiortc decoded ${viewer.distinct} different pictures`);
  for (const viewer of native) assert.ok(viewer.frames > 100, `libdatachannel received ${viewer.frames} whole frames`);
});
