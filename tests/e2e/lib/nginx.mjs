// Debian's nginx, with a directory of its own and not as a service.
import { execFileSync } from 'node:child_process';
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

/** A certificate that nobody has signed, with its key: the paths of both. */
function selfSigned(directory) {
  const [certificate, key] = ['venue.pem', 'venue.key'].map((name) => join(directory, name));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1',
    '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate], { stdio: 'pipe' });
  return { certificate, key };
}

/**
 * nginx as docs/nginx.conf has it, in front of the server at `origin` (host:port), with TLS beside it at `tlsUrl`. Its log `origin` has
 * a line for each question to the server.
 */
export async function startNginxInFront(t, origin) {
  const published = readFileSync(join(rootDir, 'docs', 'nginx.conf'), 'utf8');
  const tlsPort = await freePort();
  const nginx = await startNginx(t, {
    http: ({ port, directory }) => {
      const { certificate, key } = selfSigned(directory);
      const places = {
        '127.0.0.1:8080': origin, 'listen 80;': `listen 127.0.0.1:${port};`, '/var/cache/nginx/proscenium': `${directory}/cache`,
        '# listen 443 ssl': `listen 127.0.0.1:${tlsPort} ssl`, '/etc/ssl/venue.pem': certificate, '/etc/ssl/venue.key': key,
      };
      let own = published;
      for (const [place, part] of Object.entries(places)) {
        if (!own.includes(place)) throw new Error(`docs/nginx.conf has no ${place}`);
        own = own.replace(place, part);
      }
      return `
map $upstream_addr $asked { "" 0; default 1; }
log_format asked '$upstream_status $upstream_cache_status $upstream_response_time $request_uri';
access_log ${directory}/origin.log asked if=$asked;
${own}`;
    },
  });
  return { ...nginx, tlsUrl: `https://127.0.0.1:${tlsPort}` };
}
