// The MP4 file of a recording, in the hands of programs that know nothing of fragments: of one performance, and of one that went away and came back larger.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { labUrl, openPage } from '../lib/browser.mjs';
import { figure, median } from '../lib/figures.mjs';
import { media } from '../lib/hls.mjs';
import { ffmpeg } from '../lib/paths.mjs';
import { start } from '../lib/process.mjs';
import { startServer } from '../lib/server.mjs';
import { markInputs, readMarks, whipOutput } from '../lib/sync.mjs';

const SECRET = 'only-for-this-test-and-long-enough-to-be-one';
const SECONDS = 14;
const AWAY_MS = 6000;
const SKEW_MS_MAX = 40;
/** Sound that comes late on a busy machine is played so late for a while, ADR 0015. */
const LATE_MS_MAX = 100;
/** Within a flash, and between two. */
const [IN_FLASH_S, BETWEEN_S] = [0.05, 0.5];
const BRIGHT = 120;
const END_MS_MAX = 60_000;

/** Flashes and beeps on a grain that no encoder likes: the file is so large that a browser does not get it all at once. */
async function perform(t, server, space, size) {
  const args = ['-hide_banner', '-nostdin', '-nostats', ...markInputs({ size, seconds: SECONDS }), '-vf', 'noise=alls=12:allf=t', '-b:v', '2M', '-maxrate', '2M', '-bufsize', '1M', ...whipOutput(server.whip(space))];
  const code = await start(t, `ffmpeg-${space}`, ffmpeg(), args, { stopSignal: 'SIGINT' }).end(END_MS_MAX);
  assert.equal(code, 0);
}

async function finished(server, space) {
  const deadline = Date.now() + 100_000;
  for (;;) {
    const { recordings: [recording] } = await (await fetch(`${server.url}/api/spaces/${space}/recordings`)).json();
    if (recording?.state === 'finished') return recording;
    if (Date.now() > deadline) throw new Error(`the recording of ${space} is not finished: ${JSON.stringify(recording)}`);
    await sleep(500);
  }
}

async function run(t, name, command, args) {
  const program = start(t, name, command, args);
  const code = await program.end(END_MS_MAX);
  return { code, output: program.output.trim() };
}

const probe = async (t, path, entries) => JSON.parse((await run(t, 'ffprobe', '/usr/bin/ffprobe', ['-v', 'error', '-count_packets', '-show_entries', entries, '-of', 'json', path])).output);
const counts = ({ streams }) => Object.fromEntries(streams.map((stream) => [stream.codec_type, Number(stream.nb_read_packets)]));

/** The names of the boxes at the top, and their lengths. */
function boxes(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length;) {
    const short = bytes.readUInt32BE(at);
    found.push([bytes.toString('latin1', at + 4, at + 8), short]);
    at += short;
  }
  return found;
}

/** How many packets the performances in a rendition's playlist have: those of the slate, behind every second discontinuity, are not asked for. */
async function packetsOf(t, directory, base, name) {
  const { segments } = await media(`${base}/${name}.m3u8`);
  let [count, number, at] = [0, 0, new URL(`${base}/${name}.m3u8`)];
  let stretch = [];
  const end = async () => {
    if (number % 2 === 0 && stretch.length > 0) {
      const urls = [stretch[0].map, ...stretch.map(({ uri }) => uri)].map((uri) => new URL(uri, at));
      const path = join(directory, `${name}-${number}.mp4`);
      writeFileSync(path, Buffer.concat(await Promise.all(urls.map(async (url) => Buffer.from(await (await fetch(url)).arrayBuffer())))));
      count += Object.values(counts(await probe(t, path, 'stream=codec_type,nb_read_packets')))[0];
    }
    stretch = [];
    number += 1;
  };
  for (const segment of segments) {
    if (segment.discontinuity) await end();
    stretch.push(segment);
  }
  await end();
  return count;
}

/** How bright the picture is that mpv, or FFmpeg, shows first at `seconds` of `url`. */
async function brightness(t, directory, url, seconds) {
  const pictures = join(directory, `mpv-${seconds}`);
  const { output } = await run(t, 'mpv', '/usr/bin/mpv', ['--no-config', '--really-quiet', '--msg-level=all=warn', '--ao=null', '--vo=image', `--vo-image-outdir=${pictures}`, '--vo-image-format=png', `--start=${seconds}`, '--frames=1', url]);
  const [picture] = readdirSync(pictures);
  const look = await run(t, 'ffmpeg-look', ffmpeg(), ['-hide_banner', '-nostats', '-loglevel', 'error', '-i', join(pictures, picture), '-vf', 'scale=16:16,format=gray', '-f', 'rawvideo', '-pix_fmt', 'gray', join(pictures, 'gray.raw'), '-y']);
  assert.equal(look.output, '');
  const luma = readFileSync(join(pictures, 'gray.raw'));
  return { luma: luma.reduce((sum, value) => sum + value, 0) / luma.length, output };
}

/** The same in Chromium's own player, for one moment after the other; and which ranges it asked for. */
async function seekInChromium(t, url, moments) {
  const page = await openPage(t, `${await labUrl()}index.html`);
  const ranges = [];
  page.on('request', async (request) => { if (request.url() === url) ranges.push((await request.allHeaders()).range); });
  const seen = await page.evaluate(async ([address, times]) => {
    const video = Object.assign(document.createElement('video'), { crossOrigin: 'anonymous', muted: true, preload: 'metadata', src: address });
    const event = (name) => new Promise((resolve, reject) => { video.addEventListener(name, resolve, { once: true }); video.addEventListener('error', () => reject(new Error(video.error?.message)), { once: true }); });
    await event('loadedmetadata');
    const canvas = Object.assign(document.createElement('canvas'), { width: 16, height: 16 });
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const all = [];
    for (const time of times) {
      const done = event('seeked');
      video.currentTime = time;
      await done;
      context.drawImage(video, 0, 0, 16, 16);
      const { data } = context.getImageData(0, 0, 16, 16);
      all.push({ luma: data.filter((_, i) => i % 4 === 1).reduce((sum, value) => sum + value, 0) / 256, width: video.videoWidth });
    }
    return { all, duration: video.duration };
  }, [url, moments]);
  return { ...seen, ranges };
}

const QT = (path, sound) => `filesrc location=${path} ! qtdemux name=d d.video_0 ! queue ! avdec_h264 ! fakesink name=picture sync=false d.audio_0 ! queue ! ${sound} ! fakesink name=sound sync=false`;

async function check(t, server, space, { size, performances }) {
  const recording = await finished(server, space);
  const directory = mkdtempSync(join(tmpdir(), 'proscenium-mp4-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const [url, path] = [`${server.url}${recording.mp4}`, join(directory, 'whole.mp4')];
  const response = await fetch(url);
  writeFileSync(path, Buffer.from(await response.arrayBuffer()));
  const bytes = readFileSync(path);
  assert.equal(Number(response.headers.get('content-length')), bytes.length);
  // Players begin to play before they have it all.
  assert.deepEqual(boxes(bytes).map(([name]) => name), ['ftyp', 'moov', 'mdat']);

  const described = await probe(t, path, 'stream=codec_type,codec_name,nb_read_packets,start_time,duration');
  const [inFile, codec] = [counts(described), described.streams.find((stream) => stream.codec_type === 'audio').codec_name];
  const inPlaylist = { video: 0, audio: 0 };
  for (const [kind, name] of [['video', 'video'], ['audio', codec === 'aac' ? 'aac' : 'audio']]) inPlaylist[kind] = await packetsOf(t, directory, `${server.url}/hls/${space}/main/${recording.id}`, name);
  figure(`MP4, ${space}`, `${bytes.length} bytes, moov of ${boxes(bytes)[1][1]}; ${codec}; packets ${JSON.stringify(inFile)}, in the playlists ${JSON.stringify(inPlaylist)}; tracks ${described.streams.map((s) => `${s.start_time} + ${s.duration} s`).join(', ')}`);
  assert.equal(inFile.video, inPlaylist.video);
  // Between two performances there may be less than a second of silence.
  const silence = inFile.audio - inPlaylist.audio;
  assert.ok(performances === 1 ? silence === 0 : silence >= 0 && silence < 50, `${silence} packets more`);

  for (const [program, asTheyAre] of [[ffmpeg(), ['-enc_time_base:v', 'demux', '-fps_mode', 'passthrough']], ['/usr/bin/ffmpeg', ['-enc_time_base:v', '-1', '-fps_mode', 'passthrough']]]) {
    const { code, output } = await run(t, 'ffmpeg-strict', program, ['-hide_banner', '-nostdin', '-nostats', '-v', 'warning', '-xerror', '-err_detect', 'explode', '-i', path, '-map', '0', ...asTheyAre, '-f', 'null', '-']);
    assert.deepEqual([code, output], [0, ''], program);
  }
  const marks = await readMarks(t, path, path);
  const skews = marks.skews.filter((skew) => Math.abs(skew) < 500);
  figure(`MP4, ${space}, in step`, `${marks.flashes.length} flashes, beeps ${skews.join(' ')} ms after them`);
  assert.ok(marks.flashes.length >= performances * (SECONDS - 3), `${marks.flashes.length} flashes`);
  assert.ok(skews.length >= marks.flashes.length - 2 && skews.every((skew) => Math.abs(skew) <= LATE_MS_MAX) && median(skews.map(Math.abs)) <= SKEW_MS_MAX, `${marks.skews} ms`);

  // Whoever counts samples instead of looking at their times hears the same.
  const gst = await run(t, 'qtdemux', 'gst-launch-1.0', ['-m', ...QT(path, codec === 'aac' ? 'avdec_aac' : 'opusdec').split(' ')]);
  assert.ok(gst.code === 0 && /Got EOS/.test(gst.output) && !/ERROR|WARNING/.test(gst.output), gst.output.slice(-2000));

  const flashes = [marks.flashes.at(-2), marks.flashes[1], marks.flashes.at(-1 - (SECONDS >> 1)), marks.flashes.at(-3)];
  const moments = flashes.flatMap((flash) => [flash + IN_FLASH_S, flash + BETWEEN_S]);
  const chromium = await seekInChromium(t, url, moments);
  figure(`MP4, ${space}, sought in Chromium`, `${chromium.duration} s, ${chromium.all.map(({ luma }) => luma.toFixed(0)).join(' ')}; ranges ${chromium.ranges.join(' ')}`);
  chromium.all.forEach(({ luma, width }, i) => {
    assert.ok(luma > BRIGHT === (i % 2 === 0), `at ${moments[i]} s a picture of ${luma}`);
    if (moments[i] > chromium.duration - 4) assert.equal(width, size, `at ${moments[i]} s`);
  });
  assert.ok(chromium.ranges.some((range) => Number(/^bytes=(\d+)-/.exec(range)?.[1]) > 0), `ranges ${chromium.ranges}`);
  for (const [i, moment] of moments.slice(0, 4).entries()) {
    const { luma, output } = await brightness(t, directory, url, moment);
    assert.ok(luma > BRIGHT === (i % 2 === 0), `mpv shows ${luma} at ${moment} s: ${output}`);
  }
  const vlc = await run(t, 'vlc', 'cvlc', ['--no-interact', '--intf=dummy', '--vout=dummy', '--aout=dummy', '--play-and-exit', `--start-time=${flashes[0]}`, url]);
  assert.ok(!/error/i.test(vlc.output), vlc.output);
}

test('a recording is downloaded as one progressive MP4 file in which everybody can seek', { timeout: 300_000 }, async (t) => {
  const server = await startServer(t, { env: { PROSCENIUM_SECRET: SECRET, PROSCENIUM_RECORD: 'true' } });
  await Promise.all([
    perform(t, server, 'whole', '640x360'),
    perform(t, server, 'twice', '320x180').then(() => sleep(AWAY_MS)).then(() => perform(t, server, 'twice', '640x360')),
  ]);
  await check(t, server, 'whole', { size: 640, performances: 1 });
  await check(t, server, 'twice', { size: 640, performances: 2 });
});
