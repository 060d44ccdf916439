// How long parts should be: what shorter ones gain and cost, on a good road and on a bad one.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { closeBrowser } from '../e2e/lib/browser.mjs';
import { startFfmpegTee } from '../e2e/lib/ffmpeg.mjs';
import { median, quantile } from '../e2e/lib/figures.mjs';
import { media, multivariant } from '../e2e/lib/hls.mjs';
import { load, rootDir } from '../e2e/lib/paths.mjs';
import { start } from '../e2e/lib/process.mjs';
import { startServer } from '../e2e/lib/server.mjs';
import { scope } from './scope.mjs';
import { watch } from './watch.mjs';

const run = promisify(execFile);
const smoke = process.argv.includes('--smoke');
const PARTS = smoke ? [200] : [100, 200, 350, 500, 1000];
const [ROUNDS, SETTLE_MS, WATCH_MS, VIEWERS, AUDIENCE_S] = smoke ? [1, 3000, 3000, 50, 4] : [2, 8000, 20_000, 300, 15];
const [ROUND_TRIP_MS, LOSS] = [50, 0.01];
/** The server as seen over the bad road. */
const FAR = '198.19.0.2';

/** What an audience that waits for each part and fetches it costs. */
async function audience(server) {
  const flags = { url: server.hls('stage'), pid: server.process.pid, bind: '127.0.0.1', viewers: VIEWERS, seconds: AUDIENCE_S };
  const { stdout } = await run(load(), ['hls', '--parts', ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])], { timeout: 120_000 });
  const seen = JSON.parse(stdout);
  if (seen.failed) throw new Error(`${seen.failed} viewers failed: ${seen.first_failure}`);
  return seen;
}

await scope(async (t) => {
  const road = start(t, 'bad-road', '/usr/bin/python3', [join(rootDir, 'tests', 'bench', 'bad_road.py'), String(ROUND_TRIP_MS), String(LOSS)]);
  const isBad = await road.line(/road ready/, 5000).catch((error) => {
    if (!smoke) throw error;
    console.log(`no bad road on this machine: ${error.message}`);
  });
  const ways = [];
  for (const part of PARTS) {
    const server = await startServer(t, { address: '0.0.0.0', env: { RUST_LOG: 'warn', PROSCENIUM_HLS_PART_MS: String(part) } });
    ways.push({ part, server, roads: { good: [], bad: [] } });
  }
  const near = (url) => url.replace('0.0.0.0', '127.0.0.1');
  const encoder = startFfmpegTee(t, { whip: ways.map(({ server }) => near(server.whip('stage'))), gop: 60 });
  await encoder.line(/frame= *[1-9]/, 20_000);
  for (const { server } of ways) {
    const { variants } = await multivariant(near(server.hls('stage')));
    await media(variants[0].url, (playlist) => playlist.segments.filter((segment) => segment.uri).length >= 2);
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const { server, roads } of ways) {
      roads.good.push(await watch(near(server.hls('stage')), SETTLE_MS, WATCH_MS));
      if (isBad) roads.bad.push(await watch(server.hls('stage').replace('0.0.0.0', FAR), SETTLE_MS, WATCH_MS));
    }
  }
  console.log(`\n640x360 at 30 pictures/s, a keyframe in 2 s, hls.js with low latency, ${ROUNDS} rounds in turns of ${WATCH_MS / 1000} s; the bad road: ${ROUND_TRIP_MS} ms there and back, ${LOSS * 100} % lost each way`);
  for (const { part, roads, server } of ways) {
    const said = Object.entries(roads).filter(([, rounds]) => rounds.length > 0).map(([name, rounds]) => {
      const delays = rounds.flatMap((one) => one.delays);
      return `${name} road: median ${(median(delays) / 1000).toFixed(2)} s, p95 ${(quantile(delays, 0.95) / 1000).toFixed(2)} s, ${rounds.reduce((sum, one) => sum + one.stalls, 0)} stalls, longest freeze ${Math.max(...rounds.map((one) => one.freeze))} ms`;
    });
    const seen = await audience({ ...server, hls: (space) => near(server.hls(space)) });
    console.log(`  parts of ${String(part).padStart(4)} ms: ${said.join('; ')}; ${VIEWERS} viewers: ${(seen.playlists / VIEWERS / AUDIENCE_S).toFixed(1)} playlists a second each, `
      + `${(seen.cpu_us / 1e4 / AUDIENCE_S).toFixed(1)} % of a core for all, ${(seen.cpu_us / VIEWERS / AUDIENCE_S).toFixed(0)} us of CPU a viewer and second`);
  }
});
await closeBrowser();
