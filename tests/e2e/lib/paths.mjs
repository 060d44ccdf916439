// Where the repository keeps what the tests need; `tests/run` puts it there.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const e2eDir = dirname(dirname(fileURLToPath(import.meta.url)));
export const rootDir = dirname(dirname(e2eDir));
const cacheDir = join(rootDir, 'tests', '.cache');

function needed(path, what) {
  if (!existsSync(path)) throw new Error(`${what} is missing at ${path}; run tests/run once, it installs everything`);
  return path;
}

export const binary = () => needed(process.env.PROSCENIUM_BIN ?? join(rootDir, 'target', 'release', 'proscenium'), 'the server binary');
export const load = () => needed(process.env.PROSCENIUM_LOAD ?? join(rootDir, 'target', 'release', 'load'), 'the load client');
export const python = () => needed(join(cacheDir, 'venv', 'bin', 'python'), 'the Python environment');
export const chromium = () => needed('/usr/bin/chromium', 'Chromium');
export const firefox = () => needed('/usr/bin/firefox-esr', 'Firefox ESR');
export const gstPluginDir = () => dirname(needed(join(rootDir, 'target', 'tools', 'debug', 'libgstwebrtchttp.so'), 'the GStreamer WHIP plug-in'));

let ffmpegPath;
export function ffmpeg() {
  ffmpegPath ??= execFileSync(python(), ['-c', 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())'], { encoding: 'utf8' }).trim();
  return needed(ffmpegPath, 'FFmpeg');
}

/** A directory for what a person may want to look at afterwards: `logs`, `screenshots`. */
export function outputDir(name) {
  const directory = join(rootDir, 'target', name);
  mkdirSync(directory, { recursive: true });
  return directory;
}
