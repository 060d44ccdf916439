// CPU per forwarded packet and memory per viewer: Proscenium beside Janus's video room, with the same load, interleaved.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median } from '../e2e/lib/figures.mjs';
import { rootDir } from '../e2e/lib/paths.mjs';
import { houseAddress } from '../e2e/lib/road.mjs';
import { startServer } from '../e2e/lib/server.mjs';
import { startJanus } from './janus.mjs';
import { scope } from './scope.mjs';

const run = promisify(execFile);
const smoke = process.argv.includes('--smoke');
const [ROUNDS, VIEWERS, SECONDS, IDLE_VIEWERS] = smoke ? [1, 5, 2, 5] : [3, 50, 10, 200];
const BURSTS = smoke ? [8] : [8, 1];
const load = join(rootDir, 'target', 'release', 'load');

async function measure(dialect, { pid, url }, options) {
  const flags = Object.entries({ url, pid, bind: houseAddress(), ...options }).flatMap(([name, value]) => (value === true ? [`--${name}`] : [`--${name}`, String(value)]));
  const { stdout } = await run(load, [dialect, ...flags], { timeout: 120_000 });
  return JSON.parse(stdout);
}

const servers = {
  Proscenium: { dialect: 'whip', open: async (t) => { const s = await startServer(t, { address: houseAddress(), env: { RUST_LOG: 'warn' } }); return { pid: s.process.pid, url: s.url }; } },
  Janus: { dialect: 'janus', open: (t) => startJanus(t, houseAddress()) },
};

/** Each server starts afresh for each measurement. */
async function interleaved(options) {
  const results = { Proscenium: [], Janus: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, { dialect, open }] of Object.entries(servers)) {
      results[name].push(await scope(async (t) => measure(dialect, await open(t), options)));
    }
  }
  return results;
}

const middle = (results, key) => median(results.map((result) => result[key]));
const list = (results, key, digits) => results.map((result) => result[key].toFixed(digits)).join(' ');

for (const burst of BURSTS) {
  console.log(`\n1 publisher, ${VIEWERS} viewers, 250 packets/s of 1100 bytes in bursts of ${burst}, ${SECONDS} s, ${ROUNDS} rounds in turns`);
  const results = await interleaved({ viewers: VIEWERS, seconds: SECONDS, burst });
  for (const [name, own] of Object.entries(results)) {
    console.log(`  ${name.padEnd(10)} ${middle(own, 'us_per_packet').toFixed(2).padStart(6)} us of CPU per forwarded packet (${list(own, 'us_per_packet', 2)}), `
      + `${list(own, 'delivered_percent', 1)} % delivered, ${middle(own, 'rss_kb_per_viewer').toFixed(0)} kB and ${(own[0].threads / VIEWERS).toFixed(2)} threads per viewer, `
      + `load client ${middle(own, 'client_us_per_packet').toFixed(1)} us`);
  }
  const ratio = middle(results.Proscenium, 'us_per_packet') / middle(results.Janus, 'us_per_packet');
  console.log(`  ratio ${ratio.toFixed(3)} (at most 0.5 is the aim)`);
}

// Proscenium shows a late joiner the last group of pictures and keeps it for retransmission; Janus shows nothing. So once
// with next to nothing to show, and once with a second of video.
for (const before of smoke ? [100] : [100, 1000]) {
  console.log(`\n${IDLE_VIEWERS} viewers of a publisher that fell silent after ${before} ms`);
  const idle = await interleaved({ viewers: IDLE_VIEWERS, seconds: 5, idle: true, before });
  for (const [name, own] of Object.entries(idle)) {
    console.log(`  ${name.padEnd(10)} ${middle(own, 'rss_kb_per_viewer').toFixed(0)} kB per viewer (${list(own, 'rss_kb_per_viewer', 0)}), ${middle(own, 'cpu_percent').toFixed(2)} % of a core`);
  }
}
