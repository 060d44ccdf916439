// What a message bus delivers, beside the server that it replaces.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { median } from '../e2e/lib/figures.mjs';
import { load } from '../e2e/lib/paths.mjs';
import { start } from '../e2e/lib/process.mjs';
import { freePort, startServer } from '../e2e/lib/server.mjs';
import { scope } from './scope.mjs';

const run = promisify(execFile);
const smoke = process.argv.includes('--smoke');
const [ROUNDS, CLIENTS, SECONDS, RATE_FROM, GROWTH, RATE_TO, IDLE_CLIENTS, PEOPLE, POSITIONS_S] = smoke ? [1, 200, 1, 150, 5, 5000, 200, 50, 1] : [3, 500, 3, 60, 1.5, 1e6, 2000, 200, 10];
const POSITIONS_HZ = 20;

const servers = { 'Node and Redis': startPeer, Proscenium: startOwn };

async function startOwn(t) {
  const server = await startServer(t, { env: { RUST_LOG: 'warn' } });
  const url = server.url.replace('http://localhost', 'ws://127.0.0.1');
  return { url: `${url}/`, space: `${url}/ws/stage`, pids: [server.process.pid] };
}

/** Node and Redis on ports of their own; what Redis writes goes with the measurement. */
async function startPeer(t) {
  const directory = mkdtempSync(join(tmpdir(), 'proscenium-redis-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const [redisPort, port] = [await freePort(), await freePort()];
  const redis = start(t, 'redis', 'redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--dir', directory]);
  await redis.line(/Ready to accept connections/, 10_000);
  const peer = fileURLToPath(new URL('bus-peer.mjs', import.meta.url));
  const node = start(t, 'bus-peer', process.execPath, [peer, String(port), `redis://127.0.0.1:${redisPort}`]);
  for (let i = 0; !(await fetch(`http://127.0.0.1:${port}/`).catch(() => null)); i++) {
    if (i > 200 || node.exitCode !== null) throw new Error(`the peer does not start:\n${node.tail()}`);
    await sleep(50);
  }
  return { url: `ws://127.0.0.1:${port}/`, pids: [node.pid, redis.pid] };
}

async function crowd(url, [pid, ...also], flags) {
  const all = Object.entries({ url, pid, bind: '127.0.0.1', ...flags }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { stdout } = await run(load(), ['bus', ...all, ...also.flatMap((other) => ['--also-pid', String(other)])], { timeout: 400_000 });
  return JSON.parse(stdout);
}

/** Each server starts afresh for each measurement; the second first in each second round. */
async function interleaved(rounds, flags) {
  const results = Object.fromEntries(Object.keys(servers).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const order = Object.entries(servers);
    if (round % 2) order.reverse();
    for (const [name, open] of order) {
      results[name].push(await scope(async (t) => {
        const { url, pids } = await open(t);
        return crowd(url, pids, flags);
      }));
    }
  }
  return results;
}

const list = (values, digits = 0) => values.map((value) => value.toFixed(digits)).join(' ');
const thousands = (values) => list(values.map((value) => value / 1000));

async function maximum() {
  console.log(`\n${CLIENTS} clients, messages of 120 bytes to everybody, the sender included; steps of ${SECONDS} s, ${ROUNDS} rounds in turns`);
  const results = await interleaved(ROUNDS, { scene: 'maximum', viewers: CLIENTS, seconds: SECONDS, 'rate-from': RATE_FROM, growth: GROWTH, 'rate-to': RATE_TO });
  for (const [name, own] of Object.entries(results)) {
    const most = own.map((one) => one.maximum);
    const half = own.map((one) => one.half);
    console.log(`  ${name.padEnd(14)} at most ${thousands(most.map((one) => one.delivered_per_s))} thousand deliveries/s with ${list(most.map((one) => one.server_cores), 2)} cores: `
      + `${thousands(most.map((one) => one.delivered_per_cpu_s))} thousand per core and second, ${list(most.map((one) => one.us_per_delivery), 2)} us of CPU each; the load took ${list(most.map((one) => one.own_cores), 2)} cores`);
    console.log(`  ${''.padEnd(14)} at half of it p50 ${list(half.map((one) => one.latency_ms.median), 1)} ms, p99 ${list(half.map((one) => one.latency_ms.p99), 1)} ms, at most ${list(half.map((one) => one.latency_ms.max), 0)} ms, `
      + `${list(half.map((one) => one.us_per_delivery), 2)} us of CPU each, ${list(half.map((one) => one.missing))} missing; the load took ${list(half.map((one) => one.own_cores), 2)} cores`);
    const strange = own.find((one) => one.others);
    if (strange) console.log(`  ${''.padEnd(14)} also ${strange.others} other messages, such as ${strange.first_other}`);
    const steps = own[0].steps.map((step) => `${step.rate}/s ${(step.share * 100).toFixed(0)} % ${step.us_per_delivery.toFixed(2)} us p99 ${step.latency_ms.p99} ms`);
    console.log(`  ${''.padEnd(14)} steps of round 1 (messages, in time, CPU, latency): ${steps.join(', ')}`);
  }
  const [peer, proscenium] = Object.values(results);
  const ratios = proscenium.map((one, round) => one.maximum.delivered_per_cpu_s / peer[round].maximum.delivered_per_cpu_s);
  const best = (one) => Math.min(...one.steps.map((step) => step.us_per_delivery));
  const harsh = proscenium.map((one, round) => best(peer[round]) / one.maximum.us_per_delivery);
  console.log(`  beside the cheapest of the peer's steps, whether it kept up or not: ratio ${median(harsh).toFixed(1)} (${list(harsh, 1)})`);
  console.log(`  deliveries per core and second: ratio ${median(ratios).toFixed(1)} (${list(ratios, 1)}; at least 5 is the aim; p99 of less than 20 ms)`);
}

async function memory() {
  console.log(`\n${IDLE_CLIENTS} clients who have heard ten messages`);
  const results = await interleaved(1, { scene: 'idle', viewers: IDLE_CLIENTS, seconds: smoke ? 1 : 5 });
  for (const [name, [own]] of Object.entries(results)) {
    console.log(`  ${name.padEnd(14)} ${own.kb_per_client.toFixed(1)} kB per client (${own.rss_kb_before} kB before, ${own.rss_kb} kB with ${own.open}; at most 40 kB is the aim), ${(own.idle_cores * 100).toFixed(1)} % of a core`);
    if (own.open !== own.clients || own.heard_share !== 1) throw new Error(`not all were there: ${JSON.stringify(own)}`);
  }
}

async function positions() {
  console.log(`\n${PEOPLE} people who move ${POSITIONS_HZ} times a second in one space, ${POSITIONS_S} s`);
  for (const form of ['space', 'url']) {
    const own = await scope(async (t) => {
      const server = await startOwn(t);
      return crowd(server[form], server.pids, { scene: 'positions', viewers: PEOPLE, rate: POSITIONS_HZ, seconds: POSITIONS_S });
    });
    console.log(`  ${own.form === 'space' ? 'JSON over /ws/{space}' : 'the elektron form on /'}: ${own.moves_per_s} moves/s in, ${own.frames_per_s} frames/s out, ${(own.bytes_per_s / 1e6).toFixed(1)} MB/s, `
      + `${own.positions_per_client_and_s} positions per client and second in ${own.position_frames_per_client_and_s} frames; age on arrival p50 ${own.age_ms?.median} ms, p99 ${own.age_ms?.p99} ms; `
      + `${own.server_cores.toFixed(2)} cores, the load took ${own.own_cores.toFixed(2)}`);
    if (own.errors || own.closed) throw new Error(`${own.errors} errors, ${own.closed} closed: ${own.first_error}`);
  }
}

await maximum();
await memory();
await positions();
