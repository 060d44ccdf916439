// FFmpeg's WHIP: setup:passive, no candidates, High profile, a keyframe every ten seconds whatever viewers ask for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { distinct, inbound, openLab } from '../lib/browser.mjs';
import { startFfmpegWhip } from '../lib/ffmpeg.mjs';
import { figure, median } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

const RATE = 30;

/** The frame number that a viewer showed at `at`, interpolated: frames come at a steady rate. */
function numberAt(frames, at) {
  const before = frames.filter((frame) => frame.value !== null && frame.at <= at).at(-1);
  return before && before.value + ((at - before.at) * RATE) / 1000;
}

test('a viewer who joins FFmpeg in the middle of a ten-second group of pictures does not wait for the next one', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const ffmpeg = startFfmpegWhip(t, server.whip('stage'), { rate: RATE, gop: 10 * RATE, profile: 'high' });
  const stream = await server.live('stage');
  assert.deepEqual(stream.tracks.map((track) => track.codec).sort(), ['H264', 'opus'].sort());
  const lab = await openLab(t);
  const early = await lab.whep(server.whep('stage'), { codec: 'H264' });
  await lab.until(early, 'showing the first keyframe', (s) => s.frames.length > 0, 15_000);

  // The next keyframe is due ten seconds after the last one, so six seconds later the viewer joins in its middle.
  const start = await lab.until(early, 'readable', (s) => s.frames.some((f) => f.value !== null));
  const shown = start.frames.filter((f) => f.value !== null).at(-1).value % (10 * RATE);
  await sleep(((16 * RATE - shown) % (10 * RATE)) * (1000 / RATE));
  const late = await lab.whep(server.whep('stage'), { codec: 'H264' });
  const joined = await lab.until(late, 'showing a picture', (s) => s.frames.length > 0, 5000);
  const wait = joined.frames[0].at - joined.askedAt;
  figure('FFmpeg, 10 s GOP: join in the middle to first frame', `${wait} ms`);

  await sleep(6000);
  const [first, second] = [await lab.seen(early), await lab.seen(late)];
  const behind = [];
  for (let at = second.askedAt + 100; at < second.now - 100; at += 250) {
    const [reference, own] = [numberAt(first.frames, at), numberAt(second.frames, at)];
    if (reference !== undefined && own !== undefined) behind.push(Math.round(((reference - own) * 1000) / RATE));
  }
  figure('FFmpeg, 10 s GOP: behind the earlier viewer, every 250 ms after joining', `${behind.join(' ')} ms`);
  // The next keyframe is four seconds away.
  assert.ok(wait < 3000, `the first picture came after ${wait} ms`);
  assert.ok(distinct(second.frames) > 20, `only ${distinct(second.frames)} different pictures in 6 s`);
  assert.ok(median(behind.slice(-8)) < 1500, `not caught up: ${behind.slice(-8)} ms behind after 4 s`);
  assert.ok(inbound(second, 'audio').totalAudioEnergy > 0, 'the tone is not heard');

  await ffmpeg.stop();
  assert.match(ffmpeg.output, /Exiting normally|frame=/);
});
