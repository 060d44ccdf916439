// What a conference costs per forwarded packet beside one-to-many, and a storm of joins.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { median } from '../e2e/lib/figures.mjs';
import { rootDir } from '../e2e/lib/paths.mjs';
import { houseAddress } from '../e2e/lib/road.mjs';
import { startServer } from '../e2e/lib/server.mjs';
import { scope } from './scope.mjs';

const run = promisify(execFile);
const smoke = process.argv.includes('--smoke');
const [ROUNDS, AUDIENCE, SECONDS, STORM] = smoke ? [1, 10, 3, 200] : [3, 50, 10, 200];
const load = process.env.PROSCENIUM_LOAD ?? join(rootDir, 'target', 'release', 'load');

/** One load against a server of its own. */
function measure(dialect, options) {
  return scope(async (t) => {
    const server = await startServer(t, { address: houseAddress(), env: { RUST_LOG: 'warn' } });
    const all = { url: server.url, pid: server.process.pid, bind: houseAddress(), ...options };
    const { stdout } = await run(load, [dialect, ...Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)])], { timeout: 240_000 });
    return JSON.parse(stdout);
  });
}

console.log(`\n1 sender of pictures, ${AUDIENCE} receivers, 250 packets/s of 1100 bytes in bursts of 8, ${SECONDS} s, ${ROUNDS} rounds in turns`);
const costs = { 'one-to-many': [], conference: [] };
for (let round = 0; round < ROUNDS; round++) {
  const options = { seconds: SECONDS, rate: 250, burst: 8 };
  costs['one-to-many'].push(await measure('whip', { ...options, viewers: AUDIENCE }));
  costs.conference.push(await measure('conference', { ...options, viewers: AUDIENCE + 1, publishers: 1 }));
}
for (const [name, results] of Object.entries(costs)) {
  const all = results.map((result) => result.us_per_packet);
  const memory = results.map((result) => result.rss_kb_per_viewer ?? result.rss_kb_per_participant);
  console.log(`  ${name.padEnd(12)} ${median(all).toFixed(2)} us of CPU per forwarded packet (${all.map((us) => us.toFixed(2)).join(' ')}), ${median(memory).toFixed(0)} kB each`);
}
const middle = (name) => median(costs[name].map((result) => result.us_per_packet));
console.log(`  ratio ${(middle('conference') / middle('one-to-many')).toFixed(3)} (at most 1.2 is the aim)`);

console.log(`\n${STORM} participants join one space within 5 s, twenty of them with sound, four with pictures`);
const storm = await measure('conference', { viewers: STORM, within: 5, publishers: 4, speakers: 20, rate: 60, burst: 2, seconds: SECONDS });
console.log(`  joined ${storm.joined}, failed ${storm.failed}, lost later ${storm.lost}; all in after ${storm.all_in_ms} ms`);
console.log(`  knock to connection ${JSON.stringify(storm.join_ms)} ms; knock to first packet ${JSON.stringify(storm.first_packet_ms)} ms`);
console.log(`  ${storm.received} packets delivered in ${SECONDS} s, ${storm.us_per_packet.toFixed(2)} us of CPU each, ${storm.rss_kb_per_participant.toFixed(0)} kB per participant`);
if (storm.joined !== STORM || storm.lost > 0) {
  console.log(`  ${STORM - storm.joined + storm.lost} were lost: ${storm.first_failure}`);
  process.exitCode = 1;
}
