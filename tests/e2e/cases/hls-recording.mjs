// Going back in a live stream, recordings, and what is left of them when the power goes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { readWithFfmpeg, startFfmpegWhip, steps } from '../lib/ffmpeg.mjs';
import { figure } from '../lib/figures.mjs';
import { get, media, merge, multivariant, nextPart, parseMedia } from '../lib/hls.mjs';
import { describe, fatal, openPlayer } from '../lib/player.mjs';
import { startServer } from '../lib/server.mjs';

const SECRET = 'only-for-this-test-and-long-enough-to-be-one';
const RATE = 30;
/** A delta update leaves out what is older than sixty seconds. */
const DELTA_S = 66;

const complete = (playlist) => playlist.segments.filter((segment) => segment.uri);
const lasts = (playlist) => complete(playlist).reduce((sum, segment) => sum + segment.duration, 0);

async function record(server, recording, secret = SECRET) {
  const headers = { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' };
  const response = await fetch(`${server.url}/api/spaces/stage/streams/main/recording`, { method: 'POST', headers, body: JSON.stringify({ recording }) });
  return response.status;
}

const recordings = async (server) => (await (await fetch(`${server.url}/api/spaces/stage/recordings`)).json()).recordings;

/** Waits until the only recording is in `state`. */
async function recorded(server, state, timeoutMs) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const all = await recordings(server);
    if (all.length === 1 && all[0].state === state) return all[0];
    if (Date.now() > deadline) throw new Error(`no recording is ${state} after ${timeoutMs} ms: ${JSON.stringify(all)}`);
    await sleep(250);
  }
}

/** `seconds` of a performance, in a playlist that has `all` of them with a slate behind it. */
function checkReading(name, { code, video, audio, warnings }, seconds, all = seconds) {
  figure(`HLS, ${name} as FFmpeg reads it`, `${video.length} pictures, at most ${(steps(video).max * 1000).toFixed(0)} ms apart, ${(video.at(-1) - video[0]).toFixed(2)} s of sound and picture, ${warnings.length} warnings`);
  assert.equal(code, 0, warnings.join('\n'));
  assert.deepEqual(warnings, []);
  assert.ok(steps(video).min > 0 && steps(audio).min > 0, 'time goes back');
  // A performer on a busy machine leaves pictures out.
  assert.ok(steps(video).max < 1.5, `${steps(video).max} s without a picture`);
  assert.ok(video.length > 0.8 * seconds * RATE && video.length < (all + 2) * RATE, `${video.length} pictures in ${seconds} s`);
}

async function checkFile(t, url) {
  const directory = mkdtempSync(join(tmpdir(), 'proscenium-mp4-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'recording.mp4');
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /^video\/mp4/);
  const whole = Buffer.from(await response.arrayBuffer());
  writeFileSync(path, whole);
  const part = Buffer.from(await (await fetch(url, { headers: { Range: 'bytes=1000-1999' } })).arrayBuffer());
  assert.ok(part.equals(whole.subarray(1000, 2000)), 'a range of the file is not that of the whole');
  const described = JSON.parse(execFileSync('ffprobe', ['-v', 'error', '-count_frames', '-show_streams', '-show_format', '-of', 'json', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }));
  const frames = Object.fromEntries(described.streams.map((stream) => [stream.codec_name, Number(stream.nb_read_frames)]));
  figure('HLS, the recording as an MP4', `${whole.length} bytes, ${described.format.duration} s, frames ${JSON.stringify(frames)}`);
  return { frames, seconds: Number(described.format.duration) };
}

test('who comes late goes back to the beginning, and what was recorded is read again and downloaded', { timeout: 400_000 }, async (t) => {
  const server = await startServer(t, { env: { PROSCENIUM_SECRET: SECRET } });
  const performer = startFfmpegWhip(t, server.whip('stage'), { rate: RATE, gop: 60 });
  const began = Date.now();
  const { variants: [{ url }] } = await multivariant(server.hls('stage'));
  await media(url, (playlist) => complete(playlist).length > 1);
  assert.equal(await record(server, true, 'somebody'), 401);
  assert.equal(await record(server, true), 200);
  const recordedFrom = Date.now();
  await recorded(server, 'recording', 5000);

  // The DVR view keeps what the live one has left, and its delta updates say the same as the whole.
  await sleep(Math.max(0, began + DELTA_S * 1000 - Date.now()));
  const [live, all] = [await media(url), await media(`${url}?dvr`)];
  assert.ok(lasts(live) < lasts(all), `${lasts(live)} s live, ${lasts(all)} s to go back`);
  assert.equal(all.type, undefined, 'a window that slides has no type');
  assert.equal(all.mediaSequence, 1);
  const { msn, part } = nextPart(all);
  const [delta, whole] = (await Promise.all(['&_HLS_skip=YES', ''].map((skip) => get(`${url}?dvr&_HLS_msn=${msn}&_HLS_part=${part}${skip}`)))).map(parseMedia);
  assert.ok(delta.skipped > 0, delta.text.slice(0, 600));
  const plain = ({ segments }) => segments.filter((segment) => segment.uri).map((segment) => ({ ...segment, parts: undefined }));
  assert.deepEqual(plain(merge(all, delta)), plain(whole));
  figure('HLS, a delta update after a minute', `${delta.text.length} of ${whole.text.length} bytes`);

  const player = await openPlayer(t);
  await player.play(url.replace(/[^/]+$/, 'index.m3u8?dvr'), { config: { liveDurationInfinity: false } });
  await player.until('playing live', (s) => s.count > 60, 30_000);
  await player.seek(5);
  const { count } = await player.seen();
  const back = await player.until('playing what was a minute ago', (s) => s.frames.slice(count).filter((f) => f.media >= 5 && f.media < 15).length > 60, 20_000);
  assert.deepEqual(fatal(back), [], describe(back));
  await player.page.context().close();

  await performer.stop();
  const stoppedAt = Date.now();
  // From the segment on in which it was ordered.
  const sent = (stoppedAt - recordedFrom) / 1000;
  const finished = await recorded(server, 'finished', 90_000);
  figure('HLS, from the end of the performance to the finished recording', `${Date.now() - stoppedAt} ms`);
  assert.ok(Math.abs(finished.duration_s - sent) < 4, `${finished.duration_s} s recorded, ${sent} s ordered`);
  const tail = await media(url, (playlist) => playlist.ended, 5000);
  assert.equal(tail.hint, null);
  // A minute later the address has everything. What could be gone back to before the recording was ordered is still there, too.
  const ended = await media(url, (playlist) => playlist.ended && lasts(playlist) > finished.duration_s - 1, 75_000);
  figure('HLS, a recording that was ordered late', `${sent.toFixed(1)} s ordered, ${finished.duration_s.toFixed(1)} s recorded; ${lasts(ended).toFixed(1)} s at the address of the live stream`);
  const performed = (stoppedAt - began) / 1000 - 2;
  checkReading('the recording', await readWithFfmpeg(t, server.hls('stage')), performed, lasts(ended));
  // By its own name, too, for as long as the window is there.
  checkReading('the recording by its own name', await readWithFfmpeg(t, `${server.url}${finished.playlist}`), performed, lasts(ended));

  const { frames, seconds } = await checkFile(t, `${server.url}${finished.mp4}`);
  const lasted = finished.duration_s;
  // Each rendition is kept from its next whole segment on.
  const isWhole = (value, unit, part = 1) => value > (lasted - 3) * unit * part && value < (lasts(ended) + 1) * unit;
  assert.ok(isWhole(seconds, 1) && isWhole(frames.h264, RATE, 0.8) && (frames.opus > 48 * lasted || frames.aac > 45 * (lasted - 2)), JSON.stringify({ frames, seconds, lasted }));
  assert.ok(finished.thumbnails.length >= Math.floor(lasted / 10) - 1, JSON.stringify(finished.thumbnails));
  for (const { url: picture } of finished.thumbnails) {
    const bytes = Buffer.from(await (await fetch(`${server.url}${picture}`)).arrayBuffer());
    assert.ok(bytes[0] === 0xff && bytes[1] === 0xd8 && bytes.length > 500, `${picture} is no JPEG: ${bytes.subarray(0, 40)}`);
  }
});

test('what was complete is still there after the power went, and is played', { timeout: 180_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'proscenium-power-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const settings = { dataDir: join(directory, 'data'), env: { PROSCENIUM_SECRET: SECRET, PROSCENIUM_RECORD: 'true' } };
  const server = await startServer(t, settings);
  const performer = startFfmpegWhip(t, server.whip('stage'), { rate: RATE, gop: 60 });
  const { variants: [{ url }] } = await multivariant(server.hls('stage'));
  const before = await media(`${url}?dvr`, (playlist) => complete(playlist).length >= 8, 40_000);
  await server.process.kill();
  const cut = Date.now();
  await performer.stop();

  const again = await startServer(t, settings);
  figure('HLS, power cut while recording', `ready again ${Date.now() - cut} ms later`);
  // The life goes on for a minute, in case that the performer comes back.
  const saved = await recorded(again, 'finished', 90_000);
  const address = `${again.url}${saved.playlist}`;
  const { variants } = await multivariant(address);
  const after = await media(variants[0].url);
  const names = (playlist) => complete(playlist).map((segment) => segment.uri.split('/').at(-1));
  assert.ok(after.ended);
  for (const name of names(before)) assert.ok(names(after).includes(name), `${name} is lost`);
  checkReading('what was left after the power cut', await readWithFfmpeg(t, address), lasts(before), lasts(after));
  const { seconds } = await checkFile(t, `${again.url}${saved.mp4}`);
  assert.ok(seconds > lasts(before) - 1 && seconds < lasts(before) + 5, `a file of ${seconds} s; ${lasts(before)} s were there before the power went`);
});
