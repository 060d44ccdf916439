// RTSP cameras, as named in proscenium.toml.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
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
const SOUND = { aac: 'audio/opus', pcma: 'audio/PCMA', pcmu: 'audio/PCMU', opus: 'audio/opus', g722: 'audio/opus', l16: 'audio/opus', none: null };

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
  const readyAt = Date.now();
  const seen = await lab.until(id, 'showing the restarted camera', (s) => s.frames.filter((f) => f.at > cutAt + 2000).length > 50, 45_000);
  const resumed = seen.frames.find((frame) => frame.at > cutAt + 2000).at;
  figure('camera restart: from its return to the next picture', `${resumed - readyAt} ms`);
  // Two seconds, and what this machine takes to start a camera's encoder.
  assert.ok(resumed - readyAt < 3500, `${resumed - readyAt} ms`);
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

/** A camera without power: its connections stay as they are and nothing comes any more. */
test('a camera that falls silent for eight seconds is back two seconds after its return', { timeout: 90_000 }, async (t) => {
  const port = await freePort();
  const camera = await startCamera(t, port, 'pcma');
  const server = await startServer(t, { config: configuration(port) });
  await server.live('stage', 'main', 20_000);
  const lab = await openLab(t);
  const id = await lab.whep(server.whep('stage'), { patienceMs: 5000 });
  await lab.until(id, 'showing 50 frames', (s) => s.frames.length > 50, 20_000);
  camera.child.kill('SIGSTOP');
  await sleep(8000);
  camera.child.kill('SIGCONT');
  const backAt = Date.now();
  const seen = await lab.until(id, 'showing the camera again', (s) => s.frames.filter((f) => f.at > backAt).length > 25, 20_000);
  const resumed = seen.frames.find((frame) => frame.at > backAt).at;
  figure('camera that was silent for 8 s: from its return to the next picture', `${resumed - backAt} ms`);
  assert.ok(resumed - backAt < 3500, `${resumed - backAt} ms`);
});

const camerasOf = async (server) => (await (await fetch(`${server.url}/api/spaces/stage`)).json()).cameras ?? [];

async function troubleOf(server, words) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const [camera] = await camerasOf(server);
    if (camera && words.test(camera.trouble)) return camera;
    await sleep(100);
  }
  throw new Error(`no trouble ${words}: ${JSON.stringify(await camerasOf(server))}`);
}

for (const [video, name] of [['vp8', 'VP8'], ['jpeg', 'MJPEG']]) {
  test(`a camera that sends ${name} is refused in words that say what to set`, { timeout: 60_000 }, async (t) => {
    const port = await freePort();
    await startCamera(t, port, 'none', ['--video', video]);
    const server = await startServer(t, { config: configuration(port) });
    const camera = await troubleOf(server, new RegExp(`sends ${name}, .* set its video encoding to H\\.264`));
    assert.equal(camera.stream, 'main');
    assert.match(server.process.output, new RegExp(`sends ${name}`));
  });
}

test('a wrong password is tried three times and not for ever, and pages are told', { timeout: 60_000 }, async (t) => {
  let asked = 0;
  const camera = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      const request = data.toString('latin1');
      asked += /^Authorization:/im.test(request) ? 1 : 0;
      socket.write(`RTSP/1.0 401 Unauthorized\r\nCSeq: ${/^CSeq: *(\d+)/im.exec(request)[1]}\r\nWWW-Authenticate: Digest realm="camera", nonce="5ccc069c403ebaf9"\r\n\r\n`);
    });
  });
  const port = await new Promise((resolve) => camera.listen(0, '127.0.0.1', () => resolve(camera.address().port)));
  t.after(() => camera.close());
  const server = await startServer(t, { config: configuration(port, `viewer:${PASSWORD}@`) });
  const { trouble } = await troubleOf(server, /not asked again for/);
  assert.match(trouble, /refuses user and password.*restart the server/);
  assert.equal(asked, 3);
  await sleep(4000);
  assert.equal(asked, 3);
  assert.ok(!trouble.includes(PASSWORD) && !server.process.output.includes(PASSWORD));
});
