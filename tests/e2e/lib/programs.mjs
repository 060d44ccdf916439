// Players that are programs, each through a client in Python that tells what was shown and heard.
import { join } from 'node:path';
import { e2eDir, ffmpeg } from './paths.mjs';
import { runJson } from './process.mjs';

const END_MS_MAX = 20_000;
/** GStreamer shows one picture and gathers some seconds then. */
const GATHER_MS = 6000;

/**
 * The arguments that follow the client's name; `sound`: whether there is any. `pictures`: how many a second are looked at; the others as `faults` takes
 * them.
 */
export const PROGRAMS = {
  'FFmpeg 5': { client: 'ffmpeg', args: (url, seconds, sound) => ['/usr/bin/ffmpeg', url, seconds, sound ? 'sound' : 'silence'] },
  'FFmpeg 9': { client: 'ffmpeg', args: (url, seconds, sound) => [ffmpeg(), url, seconds, sound ? 'sound' : 'silence'] },
  mpv: { client: 'mpv', args: (url, seconds) => [url, seconds], pictures: 2 },
  VLC: { client: 'vlc', args: (url, seconds) => [url, seconds], isPatient: true },
  playbin: { client: 'playbin', args: (url, seconds) => ['playbin', url, seconds], settleMs: GATHER_MS },
  playbin3: { client: 'playbin', args: (url, seconds) => ['playbin3', url, seconds], settleMs: GATHER_MS },
};

/** Plays `url` for so many seconds and returns what was seen. */
export function playByProgram(t, name, url, seconds, sound = true) {
  const { client, args } = PROGRAMS[name];
  const command = [join(e2eDir, 'clients', `${client}_client.py`), ...args(url, String(seconds), sound)];
  return runJson(t, name.toLowerCase().replace(' ', ''), '/usr/bin/python3', command, seconds * 1000 + END_MS_MAX);
}
