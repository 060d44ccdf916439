// Serves the pages as they are, with a room that is drawn instead of the venue: `node web/tests/meet/harness.mjs [port]`.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const web = fileURLToPath(new URL('../../', import.meta.url));
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' };

/** The policy that the venue sends with a page. */
function policy(html) {
  const hashes = [...html.matchAll(/<script type="importmap">([^<]*)</g)].map(([, body]) => ` 'sha256-${createHash('sha256').update(body).digest('base64')}'`);
  return `default-src 'self'; script-src 'self' 'unsafe-eval'${hashes.join('')}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src *; object-src 'none'; base-uri 'none'`;
}

function fileOf(path) {
  if (path === '/web/lib/conference.js') return 'tests/meet/fake-conference.js';
  if (path.startsWith('/web/')) return normalize(path.slice('/web/'.length));
  return path.endsWith('/meet') ? 'meet.html' : path === '/' ? 'index.html' : 'space.html';
}

/** Starts to serve on a port of the system's choice, or `port`. */
export function serve(port = 0) {
  const server = createServer(async (request, response) => {
    const name = fileOf(new URL(request.url, 'http://localhost').pathname);
    const body = name.startsWith('..') ? null : await readFile(join(web, name)).catch(() => null);
    if (!body) return response.writeHead(404).end();
    const type = TYPES[name.split('.').at(-1)] ?? 'text/plain';
    response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store', ...(name.endsWith('.html') ? { 'Content-Security-Policy': policy(String(body)) } : {}) }).end(body);
  });
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve({ url: `http://localhost:${server.address().port}`, close: () => server.close() })));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(`${(await serve(Number(process.argv[2] ?? 0))).url}/harness/meet?people=5\n`);
