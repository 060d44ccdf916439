// GStreamer on both sides, over an interface instead of loopback.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distinct, inbound, openLab } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { startWhipsink, TRIES, untilLive, viewWithWhepsrc } from '../lib/gstreamer.mjs';
import { houseAddress } from '../lib/road.mjs';
import { startServer } from '../lib/server.mjs';

async function view(t, server) {
  for (let count = 1; ; count += 1) {
    const viewer = await viewWithWhepsrc(t, server.whep('stage'), 6);
    if (viewer.errors.length === 0 || count === TRIES) return viewer;
  }
}

test('GStreamer with its RSA certificate performs, Chromium and GStreamer view', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t, { address: houseAddress() });
  const { performer, stream, count } = await untilLive(server, 'stage', () => startWhipsink(t, server.whip('stage')));
  figure('whipsink: started so many times', count);
  assert.deepEqual(stream.tracks.map((track) => track.codec).sort(), ['H264', 'opus'].sort());
  const lab = await openLab(t);
  const id = await lab.whep(server.whep('stage'), { codec: 'H264' });
  const seen = await lab.until(id, 'showing 120 frames', (s) => s.frames.length > 120, 20_000);
  figure('GStreamer to Chromium: join to first frame', `${seen.frames[0].at - seen.askedAt} ms`);
  assert.ok(distinct(seen.frames) > 40, `only ${distinct(seen.frames)} different pictures`);
  assert.ok(inbound(seen, 'audio').totalAudioEnergy > 0, 'the tone is not heard');

  const viewer = await view(t, server);
  figure('whepsrc: decoded in 6 s', JSON.stringify(viewer));
  assert.deepEqual(viewer.errors, []);
  assert.ok(viewer.distinct > 40, `whepsrc decoded ${viewer.distinct} different pictures`);
  assert.ok(viewer.loud > 20, `whepsrc heard the tone in ${viewer.loud} tenths of a second`);
  await performer.stop();
});
