// Runs all cases one after the other in one process, or those whose file name contains one of the arguments. `--lane NAME` first:
// only those of a lane. Lanes may run beside each other, each in a network of its own.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { closeBrowser } from './lib/browser.mjs';
import { e2eDir } from './lib/paths.mjs';

/** Cases whose clients are programs that need little of the processor, and wait for most of their time. */
const PROGRAMS = ['aiortc', 'bus-clients', 'bus-osc', 'camera', 'ffmpeg', 'ffmpeg-sync', 'gstreamer', 'hls-http', 'hls-programs', 'hls-recording', 'libdatachannel', 'webhooks'];
const LANES = { browsers: (name) => !PROGRAMS.includes(name), programs: (name) => PROGRAMS.includes(name) };

after(closeBrowser);
const wanted = process.argv.slice(2);
const lane = wanted[0] === '--lane' ? wanted.splice(0, 2)[1] : null;
if (lane !== null && !LANES[lane]) throw new Error(`there is no lane ${lane}; there are: ${Object.keys(LANES).join(' ')}`);
const files = readdirSync(join(e2eDir, 'cases')).filter((name) => name.endsWith('.mjs')).sort();
const chosen = files.filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
if (chosen.length === 0) throw new Error(`no case matches ${wanted}; there are: ${files.join(' ')}`);
const mine = chosen.filter((name) => lane === null || LANES[lane](name.replace('.mjs', '')));
for (const name of mine) await import(join(e2eDir, 'cases', name));
