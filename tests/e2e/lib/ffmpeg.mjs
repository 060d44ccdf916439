// FFmpeg: a WHIP performer that answers no keyframe request, and the source of H.264 for others.
import { ffmpeg } from './paths.mjs';
import { start } from './process.mjs';

const MARGIN_MS = 45_000;
/** After each reload of a live playlist it reads the initialisation segment once more, and says so, whoever serves it. */
const HARMLESS = /Found duplicated MOOV Atom. Skipped it|^ +Last message repeated \d+ times/;

/**
 * A picture whose top rows show a number as page/clock.js draws it, beside a test pattern; and a 440 Hz tone. The number is that of
 * the frame or, with `clock`, the time of day in milliseconds at which it was drawn. `sides`: how strong the tone is on the left, and
 * another one on the right.
 */
export function sceneInputs({ width = 640, height = 360, rate = 30, clock = false, noise = 0, sides } = {}) {
  const number = clock ? 'mod(floor(T*1000),65536)' : 'N';
  const blank = `color=black:s=16x2:r=${rate},format=gray`;
  // Paced first and dated afterwards, so that the time is that of the drawing.
  const paced = clock ? `${blank},realtime,settb=1/1000000,setpts=RTCTIME` : blank;
  const strip = `${paced},geq=lum='255*abs(Y-mod(floor(${number}/pow(2,X)),2))'${clock ? `,setpts=N/(${rate}*TB)` : ''}`;
  const strip_size = `${width}:${(height * 2) / 9}`;
  const grain = noise ? `,noise=alls=${noise}:allf=t` : '';
  const tone = sides ? `aevalsrc=${sides.map((gain, side) => `${gain}*sin(2*PI*${440 + 220 * side}*t)`).join('|')}:s=48000` : 'sine=frequency=440:sample_rate=48000';
  // Row 0 shows the bit, row 1 its complement: |0 - bit| and |1 - bit|.
  const picture = `${strip},scale=${strip_size}:flags=neighbor,format=yuv420p[strip];testsrc2=s=${width}x${height}:r=${rate},format=yuv420p${grain}[back];[back][strip]overlay`;
  return [...(clock ? [] : ['-re']), '-f', 'lavfi', '-i', picture, '-re', '-f', 'lavfi', '-i', tone];
}

function videoArguments({ gop, profile, preset = 'veryfast', kilobits = 1200 }) {
  const encoder = ['-c:v', 'libx264', '-preset', preset, '-tune', 'zerolatency', '-profile:v', profile, '-pix_fmt', 'yuv420p', '-bf', '0'];
  return [...encoder, '-g', String(gop), '-keyint_min', String(gop), '-sc_threshold', '0', '-b:v', `${kilobits}k`, '-maxrate', `${kilobits * 1.25}k`, '-bufsize', `${kilobits * 1.25}k`];
}

/** Starts FFmpeg's WHIP muxer with a long group of pictures, as streaming programs do. */
export function startFfmpegWhip(t, url, { rate = 30, gop = 300, profile = 'high', preset, kilobits, key, picture, extra = [] } = {}) {
  const audio = ['-c:a', 'libopus', '-ac', '2', '-ar', '48000', '-b:a', '96k'];
  const authorization = key ? ['-authorization', key] : [];
  const args = ['-hide_banner', '-nostdin', ...sceneInputs({ rate, ...picture }), ...videoArguments({ gop, profile, preset, kilobits }), ...audio, ...extra, '-f', 'whip', ...authorization, url];
  return start(t, 'ffmpeg', ffmpeg(), args, { stopSignal: 'SIGINT' });
}

/** Starts one encoder whose pictures, with the time of day in them, go to all `whip` addresses with Opus and to all `rtmp` addresses with AAC. */
export function startFfmpegTee(t, { whip = [], rtmp = [], rate = 30, gop = 30, picture = {} }) {
  const maps = ['-map', '0:v', '-map', '1:a', '-map', '1:a'];
  const audio = ['-c:a:0', 'libopus', '-b:a:0', '96k', '-c:a:1', 'aac', '-b:a:1', '96k', '-ac', '2', '-ar', '48000'];
  const slaves = [...whip.map((url) => `[f=whip:select=\\'v,a:0\\']${url}`), ...rtmp.map((url) => `[f=flv:select=\\'v,a:1\\']${url}`)];
  const args = ['-hide_banner', '-nostdin', ...sceneInputs({ rate, clock: true, ...picture }), ...maps, ...videoArguments({ gop, profile: 'main' }), '-flags:v', '+global_header', ...audio, '-f', 'tee', slaves.join('|')];
  return start(t, 'ffmpeg-tee', ffmpeg(), args, { stopSignal: 'SIGINT' });
}

/**
 * Reads `url` to its end, or for `seconds` of it, decoding everything. Returns the pictures' and the sounds' times in seconds, and
 * whatever FFmpeg warned of.
 */
export async function readWithFfmpeg(t, url, { seconds } = {}) {
  const length = seconds ? ['-t', String(seconds)] : [];
  const reader = start(t, 'ffmpeg-read', ffmpeg(), ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'warning', '-i', url, ...length,
    '-map', '0:v:0?', '-map', '0:a:0?', '-c:v', 'rawvideo', '-enc_time_base:v', 'demux', '-c:a', 'pcm_s16le', '-fps_mode', 'passthrough', '-f', 'framecrc', 'pipe:1']);
  const code = await reader.end((seconds ?? 0) * 1000 + MARGIN_MS);
  const all = reader.output.split('\n');
  const bases = {};
  const frames = { 0: [], 1: [] };
  const warnings = [];
  for (const line of all) {
    const base = /^#tb (\d): (\d+)\/(\d+)/.exec(line);
    const frame = /^(\d), +(-?\d+), +(-?\d+), +\d+, +\d+, 0x[0-9a-f]+/.exec(line);
    if (base) bases[base[1]] = Number(base[2]) / Number(base[3]);
    else if (frame) frames[frame[1]].push(Number(frame[3]) * bases[frame[1]]);
    else if (line && !line.startsWith('#') && !HARMLESS.test(line)) warnings.push(line);
  }
  const kind = (number) => /^#media_type \d: (\w+)/.exec(all.find((line) => line.startsWith(`#media_type ${number}:`)) ?? '')?.[1];
  const byKind = Object.fromEntries([0, 1].filter((number) => kind(number)).map((number) => [kind(number), frames[number]]));
  return { code, video: byKind.video ?? [], audio: byKind.audio ?? [], warnings };
}

/** The largest and the smallest step between neighbours. */
export function steps(times) {
  const all = times.slice(1).map((time, i) => time - times[i]);
  return { max: Math.max(...all), min: Math.min(...all) };
}
