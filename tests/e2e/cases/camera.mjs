// RTSP cameras, as named in proscenium.toml.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, distinct, inbound, openLab } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { e2eDir } from '../lib/paths.mjs';
import { start } from '../lib/process.mjs';
import { freePort, startServer } from '../lib/server.mjs';

const PASSWORD = 'correct-horse-7351';

async function startCamera(t, port, audio, credentials = []) {
  const camera = start(t, `camera-${audio}`, '/usr/bin/python3', [join(e2eDir, 'clients', 'rtsp_camera.py'), String(port), '--audio', audio, ...credentials]);
  await camera.line(/camera ready/, 30_000);
  return camera;
}

const configuration = (port, userinfo = '') => `[[space]]\nname = "stage"\n[[space.stream]]\nname = "main"\nrtsp = "rtsp://${userinfo}127.0.0.1:${port}/camera"\n`;

/** What the camera's sound becomes on its way to a browser. */
const SOUND = { aac: 'audio/opus', pcma: 'audio/PCMA', pcmu: 'audio/PCMU', opus: 'audio/opus', none: null };

for (const [audio, expected] of Object.entries(SOUND)) {
  test(`a camera with H.264 and ${audio} is seen${expected ? ` and heard as ${expected}` : ''}`, { timeout: 90_000 }, async (t) => {
    const port = await freePort();
    await startCamera(t, port, audio);
    const server = await startServer(t, { config: configuration(port) });
    await server.live('stage', 'main', 20_000);
    const lab = await openLab(t);
    const id = await lab.whep(server.whep('stage'), { patienceMs: 5000 });
    const heard = (s) => !expected || inbound(s, 'audio')?.totalAudioEnergy > 0.001;
    const seen = await lab.until(id, 'showing 75 frames with sound', (s) => s.frames.length > 75 && heard(s), 20_000);
    assert.ok(distinct(seen.frames) > 30, describe(seen));
    assert.equal(inbound(seen, 'video').codec, 'video/H264');
    if (expected) assert.equal(inbound(seen, 'audio').codec, expected);
    figure(`camera with ${audio}: join to first frame`, `${seen.frames[0].at - seen.askedAt} ms`);
  });
}

test('a camera that restarts is picked up again, and its password stays out of the log', { timeout: 120_000 }, async (t) => {
  const port = await freePort();
  const credentials = ['--user', 'viewer', '--password', PASSWORD];
  const camera = await startCamera(t, port, 'aac', credentials);
  const server = await startServer(t, { config: configuration(port, `viewer:${PASSWORD}@`), env: { RUST_LOG: 'debug' } });
  await server.live('stage', 'main', 20_000);
  const lab = await openLab(t);
  const id = await lab.whep(server.whep('stage'), { patienceMs: 5000 });
  await lab.until(id, 'showing 50 frames', (s) => s.frames.length > 50, 20_000);

  await camera.kill();
  const cutAt = Date.now();
  await sleep(2000);
  await startCamera(t, port, 'aac', credentials);
  const seen = await lab.until(id, 'showing the restarted camera', (s) => s.frames.filter((f) => f.at > cutAt + 2000).length > 50, 45_000);
  const resumed = seen.frames.find((frame) => frame.at > cutAt + 2000).at;
  figure('camera restart: from the cut to the next picture, 2 s of it without a camera', `${resumed - cutAt} ms`);
  assert.equal(seen.ended, false);
  assert.ok(distinct(seen.frames.filter((f) => f.at >= resumed)) > 20, describe(seen));

  const [wrongPort, ...wrong] = [await freePort(), '--user', 'viewer', '--password', 'another'];
  await startCamera(t, wrongPort, 'none', wrong);
  const refused = await startServer(t, { config: configuration(wrongPort, `viewer:${PASSWORD}@`), env: { RUST_LOG: 'debug' } });
  await sleep(3000);
  for (const { process } of [server, refused]) {
    await process.stop();
    assert.ok(process.output.length > 0);
    assert.ok(!process.output.includes(PASSWORD), 'the password is in the log');
    assert.ok(!process.output.includes(Buffer.from(`viewer:${PASSWORD}`).toString('base64')), 'the encoded password is in the log');
  }
});
