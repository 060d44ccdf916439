// A thousand viewers of one stream; and HTTP from memory beside nginx.
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startFfmpegWhip } from '../e2e/lib/ffmpeg.mjs';
import { median } from '../e2e/lib/figures.mjs';
import { media, multivariant } from '../e2e/lib/hls.mjs';
import { startNginx } from '../e2e/lib/nginx.mjs';
import { load } from '../e2e/lib/paths.mjs';
import { startServer } from '../e2e/lib/server.mjs';
import { scope } from './scope.mjs';

const run = promisify(execFile);
const smoke = process.argv.includes('--smoke');
const [VIEWERS, SECONDS, ROUNDS, LOAD_S] = smoke ? [200, 4, 1, 1] : [1000, 20, 3, 4];
const CONNECTIONS = 64;
const TICKS_PER_SECOND = 100;

const complete = (playlist) => playlist.segments.filter((segment) => segment.uri);

async function counter(server, name) {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const value = new RegExp(`^proscenium_${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(text)?.[1];
  if (value === undefined) throw new Error(`there is no metric ${name}`);
  return Number(value);
}

/** A stream at about 800 kbit/s: 20 kB in 0.2 s, 200 kB in 2 s. */
function perform(t, server) {
  return startFfmpegWhip(t, server.whip('stage'), { gop: 60, kilobits: 780, picture: { noise: 12 } });
}

async function audience(viewers) {
  return scope(async (t) => {
    const server = await startServer(t, { env: { RUST_LOG: 'warn' } });
    perform(t, server);
    const { variants } = await multivariant(server.hls('stage'));
    await media(variants[0].url, (playlist) => complete(playlist).length > 2);
    const rendered = await counter(server, 'hls_playlists_rendered_total');
    const flags = { url: server.hls('stage'), pid: server.process.pid, bind: '127.0.0.1', viewers, seconds: SECONDS };
    const { stdout } = await run(load(), ['hls', ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])], { timeout: 120_000 });
    return { ...JSON.parse(stdout), rendered: (await counter(server, 'hls_playlists_rendered_total')) - rendered };
  });
}

/** CPU time of a process and of its children, in seconds. */
function cpuSeconds(pid) {
  const stat = (id) => readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1].split(' ');
  const family = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((id) => {
    try { return Number(id) === pid || Number(stat(id)[1]) === pid; } catch { return false; }
  });
  return family.reduce((sum, id) => sum + Number(stat(id)[11]) + Number(stat(id)[12]), 0) / TICKS_PER_SECOND;
}

/** Requests per second of the server's CPU time. */
async function measure(url, pid) {
  const before = cpuSeconds(pid);
  const { stdout } = await run('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${LOAD_S}s`, url], { timeout: 60_000 });
  const cpu = cpuSeconds(pid) - before;
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  const bad = /Non-2xx[^\n]*|Socket errors[^\n]*/.exec(stdout)?.[0];
  if (!requests || bad) throw new Error(`wrk ${url}: ${bad ?? stdout}`);
  return { perCpuSecond: requests / cpu, micros: (cpu * 1e6) / requests };
}

/** One performance, whose newest part and segment are asked of both servers, in turns, after it has ended and before it is forgotten. */
async function round(results) {
  await scope(async (t) => {
    const directory = mkdtempSync('/dev/shm/proscenium-bench-');
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    chmodSync(directory, 0o755);
    const server = await startServer(t, { env: { RUST_LOG: 'warn', PROSCENIUM_HLS_PART_MS: '200' } });
    const nginx = await startNginx(t, {
      workers: 2,
      http: ({ port }) => `access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; types { video/mp4 m4s; } add_header Cache-Control "public, max-age=3600, immutable"; add_header Access-Control-Allow-Origin *;
server { listen 127.0.0.1:${port} reuseport; root ${directory}; }`,
    });
    const performer = perform(t, server);
    const { variants } = await multivariant(server.hls('stage'));
    const playlist = await media(variants[0].url, (p) => complete(p).length >= 4 && complete(p).at(-1).parts.length > 2);
    const segment = complete(playlist).at(-1);
    await performer.kill();
    const named = { part: segment.parts[1].uri, segment: segment.uri };
    for (const [kind, uri] of Object.entries(named)) {
      const url = new URL(uri, variants[0].url).href.replace('localhost', '127.0.0.1');
      const bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
      writeFileSync(join(directory, `${kind}.m4s`), bytes, { mode: 0o644 });
      const same = Buffer.from(await (await fetch(`${nginx.url}/${kind}.m4s`)).arrayBuffer());
      if (!same.equals(bytes)) throw new Error('nginx serves something else');
      results[kind] ??= { bytes: [], Proscenium: [], nginx: [], ratios: [] };
      const own = results[kind];
      own.bytes.push(bytes.length);
      const [first, second] = own.ratios.length % 2 ? ['nginx', 'Proscenium'] : ['Proscenium', 'nginx'];
      const where = { Proscenium: [url, server.process.pid], nginx: [`${nginx.url}/${kind}.m4s`, nginx.process.pid] };
      const measured = {};
      for (const name of [first, second]) measured[name] = await measure(...where[name]);
      for (const name of [first, second]) own[name].push(measured[name].micros);
      own.ratios.push(measured.Proscenium.perCpuSecond / measured.nginx.perCpuSecond);
    }
  });
}

const text = (values, digits) => values.map((value) => value.toFixed(digits)).join(' ');
console.log(`\n1 stream in parts of 0.5 s, viewers who wait for each next part, ${SECONDS} s`);
const rates = [];
for (const viewers of [10, VIEWERS]) {
  const seen = await audience(viewers);
  if (seen.failed) throw new Error(`${seen.failed} viewers failed: ${seen.first_failure}`);
  rates.push(seen.rendered / seen.parts_published);
  console.log(`  ${String(viewers).padStart(4)} viewers: told of a part after the first one: median ${seen.release_ms.median} ms, p99 ${seen.release_ms.p99} ms, at most ${seen.release_ms.max} ms (p99 of at most 50 ms is the aim); `
    + `${seen.playlists} playlists of ${seen.parts_published} parts, ${seen.rendered} rendered; ${(seen.cpu_us / seen.playlists).toFixed(0)} us of CPU each, ${seen.rss_kb} kB; the first one ${seen.after_media_ms} ms after the part's last picture`);
}
console.log(`  renderings per part with ${VIEWERS} viewers and with 10: ratio ${(rates[1] / rates[0]).toFixed(2)} (1 is the aim)`);

const results = {};
for (let i = 0; i < ROUNDS; i++) await round(results);
console.log(`\n${CONNECTIONS} connections, ${LOAD_S} s each, ${ROUNDS} rounds in turns`);
for (const [kind, aim] of [['part', 0.9], ['segment', 0.8]]) {
  const own = results[kind];
  console.log(`  a ${kind} of ${text(own.bytes.map((bytes) => bytes / 1000), 0)} kB: Proscenium ${text(own.Proscenium, 2)} us of CPU per request, nginx ${text(own.nginx, 2)}; `
    + `requests per CPU second: ratio ${median(own.ratios).toFixed(2)} (${text(own.ratios, 2)}; at least ${aim} is the aim)`);
}
