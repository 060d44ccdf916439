// FFmpeg: a WHIP performer that answers no keyframe request, and the source of H.264 for others.
import { ffmpeg } from './paths.mjs';
import { start } from './process.mjs';

/** A picture whose top rows show the frame number as page/clock.js draws it, beside a test pattern; and a 440 Hz tone. */
export function sceneInputs({ width = 640, height = 360, rate = 30 } = {}) {
  const strip = `color=black:s=16x2:r=${rate},format=gray,geq=lum='255*abs(Y-mod(floor(N/pow(2,X)),2))'`;
  const strip_size = `${width}:${(height * 2) / 9}`;
  // Row 0 shows the bit, row 1 its complement: |0 - bit| and |1 - bit|.
  const picture = `${strip},scale=${strip_size}:flags=neighbor,format=yuv420p[strip];testsrc2=s=${width}x${height}:r=${rate},format=yuv420p[back];[back][strip]overlay`;
  return ['-re', '-f', 'lavfi', '-i', picture, '-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'];
}

/** Starts FFmpeg's WHIP muxer with a long group of pictures, as streaming programs do. */
export function startFfmpegWhip(t, url, { rate = 30, gop = 300, profile = 'high', key, picture, extra = [] } = {}) {
  const video = ['-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-profile:v', profile, '-pix_fmt', 'yuv420p', '-bf', '0'];
  const interval = ['-g', String(gop), '-keyint_min', String(gop), '-sc_threshold', '0', '-b:v', '1200k', '-maxrate', '1500k', '-bufsize', '1500k'];
  const audio = ['-c:a', 'libopus', '-ac', '2', '-ar', '48000', '-b:a', '96k'];
  const authorization = key ? ['-authorization', key] : [];
  const args = ['-hide_banner', '-nostdin', ...sceneInputs({ rate, ...picture }), ...video, ...interval, ...audio, ...extra, '-f', 'whip', ...authorization, url];
  return start(t, 'ffmpeg', ffmpeg(), args, { stopSignal: 'SIGINT' });
}
