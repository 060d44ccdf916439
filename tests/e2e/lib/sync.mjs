// Flash and beep: what a performer shows and sounds at one moment, and how far apart that is in what is kept of it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { get } from './hls.mjs';
import { ffmpeg } from './paths.mjs';
import { start } from './process.mjs';

const MARGIN_MS = 60_000;
/** Every second a white picture and two tones, left and right, of this length. */
const MARK_S = 0.12;
/** Brighter than this is a flash, louder than this a beep; the marks are 235 and -6 dB, what is between them 16 and -50 dB. */
const BRIGHT = 120;
const LOUD_DB = -30;
/** Sound is looked at in pieces of 5 ms. */
const PIECE = 240;

/** A flash and a beep at the beginning of every second as inputs of FFmpeg, each read at its pace or not: `paced` is [picture, sound]. */
export function markInputs({ paced = [true, true], rate = 25, size = '320x180', seconds = 6, left = 880, right = 1320 } = {}) {
  const on = `lt(mod(t+0.001\\,1)\\,${MARK_S})`;
  const picture = `color=black:s=${size}:r=${rate},drawbox=c=white:t=fill:enable='${on}'`;
  // The hiss between the beeps tells packets that came from those that stand for silence.
  const tone = (hertz, place) => `0.5*sin(2*PI*${hertz}*t)*${on}+0.006*(random(${place})-0.5)`;
  const sound = `aevalsrc='${tone(left, 0)}|${tone(right, 1)}':s=48000:c=stereo`;
  const pace = (is) => (is ? ['-re'] : []);
  const lasts = ['-t', String(seconds)];
  return [...pace(paced[0]), ...lasts, '-f', 'lavfi', '-i', picture, ...pace(paced[1]), ...lasts, '-f', 'lavfi', '-i', sound];
}

/** The flags with which the README sends to WHIP, from inputs of any kind. */
export function whipOutput(url, { key, gop = 50, audio = ['-c:a', 'libopus', '-ac', '2'] } = {}) {
  const video = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-pix_fmt', 'yuv420p', '-g', String(gop)];
  return [...video, ...audio, '-f', 'whip', ...(key ? ['-authorization', key] : []), url];
}

/** Performs flashes and beeps until it has done so for `seconds`. */
export function performMarks(t, url, { key, ...inputs } = {}) {
  const args = ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'verbose', ...markInputs(inputs), ...whipOutput(url, { key })];
  return start(t, 'ffmpeg-marks', ffmpeg(), args, { stopSignal: 'SIGINT' });
}

/** A file of flashes and beeps for whoever plays files: H.264 without B-frames, and AAC or what else FFmpeg's `codec` makes. */
export async function marksFile(t, { seconds = 10, codec = 'aac', rate = 25 } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'proscenium-marks-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'marks.mkv');
  const sound = ['-c:a', codec, '-ar', '48000', '-ac', '2'];
  const picture = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-pix_fmt', 'yuv420p', '-g', String(rate)];
  const maker = start(t, 'ffmpeg-file', ffmpeg(), ['-hide_banner', '-nostdin', '-nostats', ...markInputs({ paced: [false, false], seconds, rate }), ...picture, ...sound, path]);
  const code = await maker.end(MARGIN_MS);
  if (code !== 0) throw new Error(`no file of flashes and beeps:\n${maker.tail()}`);
  return path;
}

/** The values of a filter's `key` with their times in seconds, as FFmpeg's metadata filters print them. */
function values(text, key) {
  const all = [];
  let at;
  for (const line of text.split('\n')) {
    const time = /^frame:\d+ +pts:\S+ +pts_time:(\S+)/.exec(line);
    if (time) at = Number(time[1]);
    const value = line.startsWith(`${key}=`) ? line.slice(key.length + 1) : undefined;
    if (value !== undefined) all.push({ at, value: /inf/.test(value) ? -Infinity : Number(value) });
  }
  return all;
}

/** When a value becomes larger than `limit`: the beginnings of marks, not what rings after one. */
function rises(all, limit) {
  const starts = all.filter(({ value }, i) => value > limit && (i === 0 || all[i - 1].value <= limit)).map(({ at }) => at);
  return starts.filter((at, i) => i === 0 || at - starts[i - 1] > 0.5);
}

/** What low latency needs, and what no reader of a playlist that is over needs. */
const LIVE_TAGS = /^#EXT-X-(PART|PART-INF|PRELOAD-HINT|RENDITION-REPORT|SERVER-CONTROL|PLAYLIST-TYPE|ENDLIST)\b/;

/** The playlist at `url` from the beginning on as one that is over, whether it is or not: a reader ends with it. */
async function closed(url) {
  const text = await get(`${url}?dvr`);
  const absolute = (uri) => new URL(uri, url).href;
  const lines = text.trimEnd().split('\n').filter((line) => !LIVE_TAGS.test(line));
  return [...lines.map((line) => (line.startsWith('#') ? line.replace(/URI="([^"]*)"/, (_, uri) => `URI="${absolute(uri)}"`) : absolute(line))), '#EXT-X-ENDLIST', ''].join('\n');
}

/** The media playlists `names` of the stream at `url`, as they are now, as files that FFmpeg reads to their end. */
export async function keepPlaylists(t, url, names) {
  const directory = mkdtempSync(join(tmpdir(), 'proscenium-sync-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return Promise.all(names.map(async (name) => {
    const path = join(directory, `${name}.m3u8`);
    writeFileSync(path, await closed(`${url}/${name}.m3u8`));
    return path;
  }));
}

/** What FFmpeg is told so that a playlist on disk may name what is elsewhere. */
const LOCAL = ['-protocol_whitelist', 'file,http,https,tcp,tls,crypto', '-allowed_extensions', 'ALL', '-extension_picky', '0'];

async function measure(t, path, args) {
  const reader = start(t, 'ffmpeg-measure', ffmpeg(), ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'warning', '-copyts', ...(path.endsWith('.m3u8') ? LOCAL : []), '-i', path, ...args, '-f', 'null', '-']);
  await reader.end(MARGIN_MS);
  return reader.output;
}

/**
 * Decodes the files of a picture and a sound and finds their marks. `skews` are how much later each beep is than the flash nearest to it,
 * in ms; `left` and `right` the loudest levels in dB.
 */
export async function readMarks(t, picture, sound) {
  const video = await measure(t, picture, ['-map', '0:v:0', '-fps_mode', 'passthrough', '-vf', 'scale=16:16,format=gray,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-']);
  const audioFilters = `asetnsamples=n=${PIECE}:p=0,astats=metadata=1:reset=1:measure_perchannel=Peak_level:measure_overall=Peak_level,ametadata=print:file=-`;
  const audio = await measure(t, sound, ['-map', '0:a:0', '-af', audioFilters]);
  const flashes = rises(values(video, 'lavfi.signalstats.YAVG'), BRIGHT);
  const beeps = rises(values(audio, 'lavfi.astats.Overall.Peak_level'), LOUD_DB);
  const loudest = (channel) => Math.max(-Infinity, ...values(audio, `lavfi.astats.${channel}.Peak_level`).map(({ value }) => value));
  const skews = beeps.map((beep) => {
    const nearest = flashes.reduce((best, flash) => (Math.abs(flash - beep) < Math.abs(best - beep) ? flash : best), Infinity);
    return Math.round((beep - nearest) * 1000);
  });
  return { flashes, beeps, skews, left: loudest(1), right: loudest(2) };
}

/** How many packets with sound in them a playlist has: those that stand for silence have at most three bytes. */
export async function audioPackets(t, path) {
  const reader = start(t, 'ffmpeg-packets', ffmpeg(), ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'warning', ...LOCAL, '-i', path, '-map', '0:a:0', '-c', 'copy', '-f', 'framecrc', '-']);
  await reader.end(MARGIN_MS);
  return reader.output.split('\n').filter((line) => Number(/^0, +-?\d+, +-?\d+, +\d+, +(\d+), 0x/.exec(line)?.[1]) > 3).length;
}
