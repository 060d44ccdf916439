// What other programs publish, as a strict reader of HLS and a browser see it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { distinct } from '../lib/browser.mjs';
import { readWithFfmpeg, startFfmpegWhip, steps } from '../lib/ffmpeg.mjs';
import { figure } from '../lib/figures.mjs';
import { media, multivariant } from '../lib/hls.mjs';
import { startLibdatachannel } from '../lib/libdatachannel.mjs';
import { e2eDir } from '../lib/paths.mjs';
import { describe, fatal, longestFreeze, openPlayer } from '../lib/player.mjs';
import { start } from '../lib/process.mjs';
import { freePort, startServer } from '../lib/server.mjs';

const KEY = 'a-bearer-of-the-performer';
const complete = (count) => (playlist) => playlist.segments.filter((segment) => segment.uri).length >= count;

/** FFmpeg 9 calls a packet of a live stream corrupt now and then, although every fragment on disk is whole: counted, not understood. */
const isUnderstood = (warning) => !/Packet corrupt/.test(warning);

/** Every picture once, in order and evenly; sound without a hole; not a word of complaint. */
function checkReading(name, { code, video, audio, warnings }, rate, seconds) {
  const [pictures, sounds] = [steps(video), steps(audio)];
  figure(`HLS, ${name} as FFmpeg reads it`, `${video.length} pictures in ${(video.at(-1) - video[0]).toFixed(2)} s, `
    + `${(pictures.min * 1000).toFixed(1)} to ${(pictures.max * 1000).toFixed(1)} ms apart; sound ${(audio.at(-1) - audio[0]).toFixed(2)} s; ${warnings.length} warnings`);
  assert.equal(code, 0, warnings.join('\n'));
  assert.deepEqual(warnings.filter(isUnderstood), []);
  assert.ok(video.length >= rate * seconds * 0.8, `${video.length} pictures in ${seconds} s`);
  assert.ok(pictures.min > 0, `pictures go back in time by ${pictures.min} s`);
  // A performer on a busy machine leaves pictures out.
  assert.ok(pictures.max < 1.5, `${pictures.max} s without a picture`);
  assert.ok(sounds.max < 0.05 && sounds.min > 0, `sounds are ${sounds.min} to ${sounds.max} s apart`);
  assert.ok(Math.abs(video[0] - audio[0]) < 0.5, `pictures begin at ${video[0]} s, sound at ${audio[0]} s`);
}

/** The constants of a live playlist; keyframes every two seconds unless `targets` says otherwise. */
function checkConstants(playlist, targets = [2, 3]) {
  assert.ok(targets.includes(playlist.targetDuration), `a target duration of ${playlist.targetDuration} s`);
  assert.equal(playlist.control['CAN-BLOCK-RELOAD'], 'YES');
  assert.ok(playlist.control['PART-HOLD-BACK'] >= 3 * playlist.partTarget - 1e-6);
  assert.ok(playlist.control['CAN-SKIP-UNTIL'] >= 6 * playlist.targetDuration);
  for (const segment of playlist.segments) {
    assert.ok(segment.uri === null || Math.round(segment.duration) <= playlist.targetDuration, `a segment of ${segment.duration} s`);
    assert.ok(segment.date, `segment ${segment.msn} has no date`);
    for (const part of segment.parts) assert.ok(part.duration <= playlist.partTarget, `a part of ${part.duration} s`);
    for (const part of segment.parts.slice(0, segment.uri ? -1 : undefined)) assert.ok(part.duration >= 0.85 * playlist.partTarget, `a part of ${part.duration} s in segment ${segment.msn}`);
  }
}

test('FFmpeg reads what FFmpeg performs without a warning', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  startFfmpegWhip(t, server.whip('stage'), { rate: 30, gop: 60 });
  const { variants } = await multivariant(server.hls('stage'));
  const live = await media(variants[0].url, complete(3));
  checkConstants(live);
  checkReading('FFmpeg live', await readWithFfmpeg(t, server.hls('stage'), { seconds: 10 }), 30, 10);
});

test('a performer shaped like OBS with a keyframe every ten seconds is played with low latency', { timeout: 180_000 }, async (t) => {
  const server = await startServer(t);
  await startLibdatachannel(t, server.whip('stage'), KEY, 300);
  const { variants } = await multivariant(server.hls('stage'));
  await media(variants[0].url, complete(1));
  const player = await openPlayer(t);
  await player.play(server.hls('stage'));
  const seen = await player.until('playing for 25 s', (s) => s.count > 0 && s.frames.at(-1).at - s.frames[0].at > 25_000, 60_000);
  assert.deepEqual(fatal(seen), [], describe(seen));
  const freeze = longestFreeze(seen.frames, seen.frames[0].at + 4000);
  const playlist = await media(variants[0].url, complete(2));
  checkConstants(playlist, [10]);
  const lengths = playlist.segments.filter((segment) => segment.uri).map((segment) => segment.duration.toFixed(2));
  figure('HLS, OBS-shaped performer with a 10 s GOP', `${seen.latency.toFixed(2)} s behind, longest freeze after 4 s: ${freeze} ms; segments of ${lengths.join(' ')} s`);
  assert.ok(seen.latency < 6, describe(seen));
  assert.ok(freeze < 5000, describe(seen));
  assert.ok(distinct(seen.frames) > 100, describe(seen));
  assert.ok(seen.energy > 0.001, describe(seen));
  checkReading('OBS-shaped performer live', await readWithFfmpeg(t, server.hls('stage'), { seconds: 12 }), 30, 12);
});

for (const audio of ['aac', 'none']) {
  test(`an RTSP camera with ${audio === 'none' ? 'no sound' : audio} is played and read without a warning`, { timeout: 120_000 }, async (t) => {
    const port = await freePort();
    const camera = start(t, `camera-${audio}`, '/usr/bin/python3', [join(e2eDir, 'clients', 'rtsp_camera.py'), String(port), '--audio', audio]);
    await camera.line(/camera ready/, 30_000);
    const server = await startServer(t, { config: `[[space]]\nname = "stage"\n[[space.stream]]\nname = "main"\nrtsp = "rtsp://127.0.0.1:${port}/camera"\n` });
    await server.live('stage', 'main', 20_000);
    const playlist = await multivariant(server.hls('stage'));
    assert.equal(playlist.audio.length > 0, audio !== 'none');
    checkConstants(await media(playlist.variants[0].url, complete(3)));
    const player = await openPlayer(t);
    await player.play(server.hls('stage'));
    const seen = await player.until('playing for 8 s', (s) => s.count > 0 && s.frames.at(-1).at - s.frames[0].at > 8000, 30_000);
    assert.deepEqual(fatal(seen), [], describe(seen));
    assert.ok(distinct(seen.frames) > 25, describe(seen));
    assert.equal(seen.energy > 0.001, audio !== 'none', describe(seen));
    figure(`HLS, camera with ${audio}`, `${seen.latency.toFixed(2)} s behind, ${seen.stalls} stalls`);
    const read = await readWithFfmpeg(t, server.hls('stage'), { seconds: 6 });
    assert.deepEqual(read.warnings.filter(isUnderstood), []);
    assert.ok(read.video.length >= 25 * 6 * 0.8, `${read.video.length} pictures`);
    assert.equal(read.audio.length > 0, audio !== 'none');
  });
}

test('who watches a performer whose program dies and is started again sees a gap, and reloads nothing', { timeout: 180_000 }, async (t) => {
  const server = await startServer(t);
  const options = { rate: 30, gop: 60, key: KEY };
  const first = startFfmpegWhip(t, server.whip('stage'), options);
  await multivariant(server.hls('stage'));
  const player = await openPlayer(t);
  await player.play(server.hls('stage'));
  const before = await player.until('playing for 8 s', (s) => s.count > 0 && s.frames.at(-1).at - s.frames[0].at > 8000, 40_000);
  await first.kill();
  const cutAt = Date.now();
  await sleep(4000);
  const second = startFfmpegWhip(t, server.whip('stage'), options);
  await second.line(/Output #0, whip/, 20_000);
  const outage = Date.now() - cutAt;
  const moving = (s) => s.frames.filter((frame) => frame.at > cutAt + outage).length > 150;
  const after = await player.until('showing the second performer', moving, 40_000);
  const gap = longestFreeze(after.frames, cutAt - 1000);
  const { variants } = await multivariant(server.hls('stage'));
  const playlist = await media(variants[0].url);
  figure('HLS, restart of the performer', `${outage} ms without one, ${gap} ms without a new picture; latency ${before.latency.toFixed(2)} s before, ${after.latency.toFixed(2)} s after`);
  assert.equal(after.manifests, 1, 'the player loaded the playlist anew');
  assert.deepEqual(fatal(after), [], describe(after));
  assert.ok(gap - outage < 8000, `a gap of ${gap} ms for an outage of ${outage} ms`);
  assert.ok(distinct(after.frames.filter((frame) => frame.at > cutAt + outage)) > 25, describe(after));
  // Into the slate, and out of it.
  assert.equal(playlist.segments.filter((segment) => segment.discontinuity).length, 2);
});
