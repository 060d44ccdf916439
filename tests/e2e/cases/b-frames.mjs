// A camera with B-frames: who is told, what plays instead, and that HLS loses nothing.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPage } from '../lib/browser.mjs';
import { readWithFfmpeg, steps } from '../lib/ffmpeg.mjs';
import { figure } from '../lib/figures.mjs';
import { startWhipsink } from '../lib/gstreamer.mjs';
import { observed, observer } from '../lib/observer.mjs';
import { e2eDir } from '../lib/paths.mjs';
import { start } from '../lib/process.mjs';
import { houseAddress } from '../lib/road.mjs';
import { freePort, startServer } from '../lib/server.mjs';

async function startCamera(t, audio, more) {
  const port = await freePort();
  const camera = start(t, 'camera', '/usr/bin/python3', [join(e2eDir, 'clients', 'rtsp_camera.py'), String(port), '--audio', audio, ...more]);
  await camera.line(/camera ready/, 30_000);
  return startServer(t, { config: `[[space]]\nname = "stage"\n[[space.stream]]\nname = "main"\nrtsp = "rtsp://127.0.0.1:${port}/camera"\n` });
}

async function trouble(server) {
  const { streams } = await server.space('stage');
  return streams.find(({ name }) => name === 'main')?.trouble ?? [];
}

test('a camera with B-frames is told, watched by HLS, and played whole', { timeout: 120_000 }, async (t) => {
  const server = await startCamera(t, 'aac', ['--b-frames', '3']);
  await server.live('stage', 'main', 20_000);
  const liveAt = Date.now();
  while ((await trouble(server)).length === 0 && Date.now() - liveAt < 10_000) await sleep(50);
  const [told] = await trouble(server);
  figure('B-frames: from live until they are told', `${Date.now() - liveAt} ms`);
  assert.equal(told?.code, 'b-frames');
  assert.match(told.text, /bframes=0.*-bf 0.*zerolatency.*Baseline/);
  assert.ok(Date.now() - liveAt < 3000, `told after ${Date.now() - liveAt} ms`);
  assert.match(server.process.output, /WARN.*The encoder makes B-frames/);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(metrics, /^proscenium_publications_reordered_total 1$/m);

  const performer = await openPage(t, `${server.url}/stage/perform`);
  await performer.locator('[data-trouble]').getByText(/makes B-frames/).waitFor({ timeout: 10_000 });

  const read = await readWithFfmpeg(t, server.hls('stage'), { seconds: 6 });
  // It stops in the middle of a segment, and says so of whatever it was reading.
  assert.deepEqual(read.warnings.filter((line) => !/Packet corrupt/.test(line)), []);
  const { max, min } = steps(read.video);
  assert.ok(min > 0.035 && max < 0.045, `pictures of 25 a second are ${min} to ${max} s apart`);
  assert.ok(read.video.length >= 140, `${read.video.length} pictures in six seconds`);

  const page = await openPage(t, `${server.url}/stage`, { init: observer });
  const link = await page.evaluate(async () => {
    const pc = new RTCPeerConnection();
    pc.addTransceiver('video', { direction: 'recvonly' });
    const { sdp } = await pc.createOffer();
    const response = await fetch('/whep/stage', { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: sdp });
    pc.close();
    return `${response.status} ${response.headers.get('Link')}`;
  });
  assert.match(link, /^201 .*<\/live\/stage\/main\.m3u8>; rel="alternate"; type="application\/vnd\.apple\.mpegurl"/);
  const deadline = Date.now() + 20_000;
  const way = () => page.evaluate(() => document.querySelector('[data-way]').dataset);
  let seen = await way();
  while (!(seen.way === 'hls' && seen.state === 'live') && Date.now() < deadline) { await sleep(100); seen = await way(); }
  assert.equal(seen.way, 'hls');
  await page.getByText(/would be jerky without delay/).waitFor({ timeout: 5000 });
  const before = (await observed(page)).frames.length;
  await sleep(4000);
  const shown = (await observed(page)).frames.length - before;
  figure('B-frames: pictures a second on the event page', (shown / 4).toFixed(1));
  // By WebRTC there would be 16 at most; a busy machine shows fewer than all.
  assert.ok(shown > 24, `${shown} pictures in four seconds`);
});

test('GStreamer with B-frames by WHIP is told too', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t, { address: houseAddress() });
  startWhipsink(t, server.whip('stage'), { bFrames: 2 });
  await server.track('stage', 'video', 20_000);
  const seenAt = Date.now();
  while ((await trouble(server)).length === 0 && Date.now() - seenAt < 10_000) await sleep(50);
  figure('B-frames of GStreamer: from the first picture until they are told', `${Date.now() - seenAt} ms`);
  assert.equal((await trouble(server))[0]?.code, 'b-frames');
  assert.ok(Date.now() - seenAt < 3000);
});

test('a camera without B-frames is in no trouble', { timeout: 60_000 }, async (t) => {
  const server = await startCamera(t, 'none', []);
  await server.live('stage', 'main', 20_000);
  await sleep(3000);
  assert.deepEqual(await trouble(server), []);
});
