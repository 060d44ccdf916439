// Debian's nginx, with a directory of its own and not as a service.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootDir } from './paths.mjs';
import { start } from './process.mjs';
import { freePort } from './server.mjs';

const READY_MS_MAX = 10_000;

/**
 * Starts nginx with `modules` of Debian's. `http` is what its `http` block holds, `main` what stands beside it; both may use `port`,
 * and `directory`, which goes with the test.
 */
export async function startNginx(t, { http, main = () => '', modules = [], workers = 1 }) {
  const directory = mkdtempSync(join(tmpdir(), 'proscenium-nginx-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  // Its workers are nobody.
  chmodSync(directory, 0o777);
  mkdirSync(join(directory, 'temporary'), { mode: 0o777 });
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/temporary/${name};`).join(' ');
  const loaded = modules.map((name) => `load_module /usr/lib/nginx/modules/${name};`).join('\n');
  writeFileSync(join(directory, 'nginx.conf'), `
${loaded}
daemon off; worker_processes ${workers}; pid ${directory}/pid; error_log ${directory}/error.log warn; worker_rlimit_nofile 16384;
events { worker_connections 8192; }
${main({ port, directory })}
http { include /etc/nginx/mime.types; ${temporary} ${http({ port, directory })} }
`);
  const process = start(t, 'nginx', '/usr/sbin/nginx', ['-c', join(directory, 'nginx.conf'), '-e', join(directory, 'error.log')], { stopSignal: 'SIGTERM' });
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + READY_MS_MAX;
  while (!(await fetch(url).catch(() => null))) {
    if (process.exitCode !== null || Date.now() > deadline) throw new Error(`nginx does not start:\n${process.tail()}\n${log(directory, 'error.log')}`);
    await sleep(50);
  }
  return { url, port, directory, process, log: (name) => log(directory, name) };
}

function log(directory, name) {
  try { return readFileSync(join(directory, name), 'utf8'); } catch { return ''; }
}

/** What docs/nginx.conf says that the server has to be told. */
export function settingsBehindNginx() {
  const said = /Tell Proscenium about it: (.+)\.$/m.exec(readFileSync(join(rootDir, 'docs', 'nginx.conf'), 'utf8'));
  if (!said) throw new Error('docs/nginx.conf does not say what the server has to be told');
  return `${said[1]}\n`;
}

/** nginx as docs/nginx.conf has it, in front of the server at `origin` (host:port). Its log `origin` has a line for each question to the server. */
export function startNginxInFront(t, origin) {
  const published = readFileSync(join(rootDir, 'docs', 'nginx.conf'), 'utf8');
  return startNginx(t, {
    http: ({ port, directory }) => {
      const own = published.replace('127.0.0.1:8080', origin).replace('listen 80;', `listen 127.0.0.1:${port};`).replace('/var/cache/nginx/proscenium', `${directory}/cache`);
      for (const part of [origin, `127.0.0.1:${port};`, `${directory}/cache`]) if (!own.includes(part)) throw new Error(`docs/nginx.conf has no place for ${part}`);
      return `
map $upstream_addr $asked { "" 0; default 1; }
log_format asked '$upstream_status $upstream_cache_status $upstream_response_time $request_uri';
access_log ${directory}/origin.log asked if=$asked;
${own}`;
    },
  });
}
