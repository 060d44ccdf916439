// A backup stands by: what viewers see when the first encoder stops, dies and comes back.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLab, openPage } from '../lib/browser.mjs';
import { startFfmpegWhip } from '../lib/ffmpeg.mjs';
import { figure } from '../lib/figures.mjs';
import { media, multivariant } from '../lib/hls.mjs';
import { e2eDir } from '../lib/paths.mjs';
import { describe, fatal, openPlayer } from '../lib/player.mjs';
import { start } from '../lib/process.mjs';
import { freePort, startServer } from '../lib/server.mjs';

const KEY = 'open-sesame-1234';
const locked = { config: `[[space]]\nname = "stage"\nkey = "${KEY}"\n` };
/** FFmpeg answers no keyframe request: a backup that is to be there within a second sends three a second. */
const MAIN = { key: KEY, gop: 30, picture: { width: 640, height: 360 } };
const BACKUP = { key: KEY, gop: 10, picture: { width: 480, height: 270 } };

async function backupIs(server, state, timeoutMs = 20_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const { streams } = await server.space('stage');
    if (streams.find(({ name }) => name === 'main')?.backup === state) return;
    assert.ok(Date.now() < deadline, `the backup is not ${state}: ${JSON.stringify(streams)}`);
    await sleep(50);
  }
}

/** The longest time between two pictures since `from`, in ms, whoever's they are. */
function longestGap(frames, from) {
  const shown = frames.filter(({ at }) => at >= from - 200);
  return Math.max(...shown.slice(1).map(({ at }, place) => at - shown[place].at));
}

const shows = (width) => (seen) => seen.frames.at(-1)?.width === width;

/** FFmpeg on stage, FFmpeg as its backup, a viewer over WebRTC and one by HLS. */
async function stage(t) {
  const server = await startServer(t, locked);
  const main = startFfmpegWhip(t, server.whip('stage'), MAIN);
  await server.live('stage');
  const backup = startFfmpegWhip(t, server.whip('stage?backup'), BACKUP);
  await backupIs(server, 'standby');
  const lab = await openLab(t);
  const viewer = await lab.whep(server.whep('stage'), { codec: 'H264' });
  await lab.until(viewer, 'showing the first', shows(640));
  await multivariant(server.hls('stage'));
  const player = await openPlayer(t);
  await player.play(server.hls('stage'));
  await player.until('playing', (seen) => seen.count > 60, 30_000);
  return { server, main, backup, lab, viewer, player };
}

/** HLS went on: no reload, no fatal error, no slate, and the pictures of both. */
async function checkHls({ server, player }, changes) {
  const before = await player.seen();
  const seen = await player.until('playing on', ({ count }) => count > before.count + 60, 20_000);
  assert.deepEqual(fatal(seen), [], describe(seen));
  assert.equal(seen.manifests, 1, 'it was not loaded anew');
  const text = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(text, /^proscenium_hls_slates_total 0$/m);
  const { variants } = await multivariant(server.hls('stage'));
  const { segments } = await media(variants[0].url);
  assert.equal(segments.filter(({ discontinuity }) => discontinuity).length, changes);
  figure('backup: hls.js', `${seen.stalls} stalls, ${seen.latency?.toFixed(2)} s behind`);
}

test('a backup is to be seen when FFmpeg stops, and FFmpeg has its stage back when it goes on', { timeout: 120_000 }, async (t) => {
  const all = await stage(t);
  const { server, main, lab, viewer } = all;
  let from = Date.now();
  main.child.kill('SIGSTOP');
  let seen = await lab.until(viewer, 'showing the backup', shows(480), 5000);
  figure('backup: FFmpeg stopped, longest time without a picture', `${longestGap(seen.frames, from)} ms`);
  // Half a second of nothing, a third until the backup's next keyframe, and what a busy machine takes.
  assert.ok(longestGap(seen.frames, from) < 1500, `${longestGap(seen.frames, from)} ms without a picture`);
  await backupIs(server, 'on_air');
  await sleep(3000);
  from = Date.now();
  main.child.kill('SIGCONT');
  seen = await lab.until(viewer, 'showing the first again', shows(640), 20_000);
  figure('backup: FFmpeg goes on, has the stage after', `${Date.now() - from} ms, longest time without a picture ${longestGap(seen.frames, from)} ms`);
  assert.ok(longestGap(seen.frames, from) < 1000, `${longestGap(seen.frames, from)} ms without a picture`);
  await backupIs(server, 'standby');
  await checkHls(all, 2);
});

test('a backup is to be seen when FFmpeg is killed, and the next FFmpeg has the stage at once', { timeout: 120_000 }, async (t) => {
  const all = await stage(t);
  const { server, main, lab, viewer } = all;
  let from = Date.now();
  await main.kill();
  let seen = await lab.until(viewer, 'showing the backup', shows(480), 5000);
  figure('backup: FFmpeg killed, longest time without a picture', `${longestGap(seen.frames, from)} ms`);
  assert.ok(longestGap(seen.frames, from) < 1500, `${longestGap(seen.frames, from)} ms without a picture`);
  await sleep(2000);
  from = Date.now();
  startFfmpegWhip(t, server.whip('stage'), MAIN);
  seen = await lab.until(viewer, 'showing the next one', shows(640), 20_000);
  assert.ok(longestGap(seen.frames, from) < 1000, `${longestGap(seen.frames, from)} ms without a picture`);
  await backupIs(server, 'standby');
  await checkHls(all, 2);
});

test('two performers\' pages say who of them is to be seen', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t, locked);
  const open = async (path, button) => {
    const page = await openPage(t, `${server.url}/stage/perform${path}`);
    await page.evaluate((key) => sessionStorage.setItem('proscenium.key.stage', key), KEY);
    await page.reload();
    await page.locator('button.secondary').first().click({ timeout: 3000 }).catch(() => {});
    await page.getByRole('button', { name: button }).click({ timeout: 15_000 });
    return page;
  };
  const main = await open('', 'Go live');
  await main.getByText('You are live').waitFor({ timeout: 15_000 });
  const backup = await open('?backup', 'Stand by');
  await backup.getByText('You stand by').waitFor({ timeout: 15_000 });
  await main.getByText('A backup stands by').waitFor({ timeout: 5000 });
  await main.getByRole('button', { name: 'Stop' }).click();
  await backup.getByText('The backup is on air').waitFor({ timeout: 5000 });
  await main.getByRole('button', { name: 'Go live' }).click();
  await main.getByText('You are live').waitFor({ timeout: 15_000 });
  await backup.getByText('You stand by').waitFor({ timeout: 5000 });
});

test('a camera of the configuration stands by for whoever performs', { timeout: 120_000 }, async (t) => {
  const port = await freePort();
  const camera = start(t, 'camera-opus', '/usr/bin/python3', [join(e2eDir, 'clients', 'rtsp_camera.py'), String(port), '--audio', 'opus']);
  await camera.line(/camera ready/, 30_000);
  const streams = `[[space.stream]]\nname = "main"\nbackup = "spare"\n[[space.stream]]\nname = "spare"\nrtsp = "rtsp://127.0.0.1:${port}/camera"\n`;
  const server = await startServer(t, { config: `${locked.config}${streams}` });
  // Nobody performs yet: the camera is to be seen, as "main".
  await backupIs(server, 'on_air');
  const lab = await openLab(t);
  const viewer = await lab.whep(server.whep('stage'), { codec: 'H264' });
  const { frames } = await lab.until(viewer, 'showing the camera', (seen) => seen.frames.length > 10);
  const { width } = frames.at(-1);
  assert.notEqual(width, 480, 'pictures of the two can be told apart');
  const main = startFfmpegWhip(t, server.whip('stage'), BACKUP);
  await lab.until(viewer, 'showing the performer', shows(480), 20_000);
  await backupIs(server, 'standby');
  const from = Date.now();
  await main.kill();
  const seen = await lab.until(viewer, 'showing the camera again', shows(width), 10_000);
  figure('backup: FFmpeg killed, a camera stands by, longest time without a picture', `${longestGap(seen.frames, from)} ms`);
  await backupIs(server, 'on_air');
  assert.equal((await server.space('stage')).streams.some(({ name }) => name === 'spare'), false, 'it is no stream of its own');
});
