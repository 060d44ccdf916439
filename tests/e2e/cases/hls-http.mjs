// The answers that players, caches and other people's pages get.
import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { request } from 'node:http';
import { startFfmpegWhip } from '../lib/ffmpeg.mjs';
import { figure } from '../lib/figures.mjs';
import { edge, get, media, multivariant, nextPart, parseMedia } from '../lib/hls.mjs';
import { startServer } from '../lib/server.mjs';

const complete = (count) => (playlist) => playlist.segments.filter((segment) => segment.uri).length >= count;

/** A live stream of FFmpeg's with some segments, and where its playlists are. */
async function live(t, segments = 3) {
  const server = await startServer(t);
  startFfmpegWhip(t, server.whip('stage'), { gop: 60, picture: { width: 320, height: 180 } });
  const { variants, audio } = await multivariant(server.hls('stage'));
  const urls = [variants[0].url, ...audio.map((one) => one.url)];
  for (const url of urls) await media(url, complete(segments));
  return { server, urls, url: urls[0] };
}

/** Without the decompression that `fetch` does by itself. */
function raw(url, headers) {
  return new Promise((resolve, reject) => {
    request(url, { headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
    }).on('error', reject).end();
  });
}

const maxAge = (response) => Number(/max-age=(\d+)/.exec(response.headers.get('cache-control') ?? '')?.[1] ?? NaN);
const asking = (url, { msn, part }) => `${url}?_HLS_msn=${msn}${part === undefined ? '' : `&_HLS_part=${part}`}`;

test('a blocking reload is held until its part exists, and no longer', { timeout: 60_000 }, async (t) => {
  const { url } = await live(t);
  const waits = [];
  for (let i = 0; i < 6; i++) {
    const before = parseMedia(await get(url));
    const wanted = nextPart(before);
    const asked = Date.now();
    const after = parseMedia(await get(asking(url, wanted)));
    waits.push(Date.now() - asked);
    const { msn, part } = edge(after);
    assert.ok(msn > wanted.msn || (msn === wanted.msn && part >= wanted.part) || after.segments.some((s) => s.msn === wanted.msn && s.uri), `asked for ${JSON.stringify(wanted)}, got up to ${msn}.${part}`);
    assert.ok(Math.abs(msn - wanted.msn) <= 1, 'held for longer than the part took');
  }
  figure('HLS: blocking reloads were held for', `${waits.join(' ')} ms`);
  assert.ok(Math.max(...waits) < 6000, `held for ${waits} ms`);
  // Without a part: the whole segment.
  const { msn } = edge(parseMedia(await get(url)));
  const whole = parseMedia(await get(asking(url, { msn })));
  assert.ok(whole.segments.some((segment) => segment.msn === msn && segment.uri), `segment ${msn} is not complete`);
  // A part past the end of its segment is the next segment's first.
  const { parts } = whole.segments.find((segment) => segment.msn === msn);
  for (const part of [parts.length, parts.length + 3]) {
    const past = parseMedia(await get(asking(url, { msn, part })));
    const { msn: newest, part: last } = edge(past);
    assert.ok(newest > msn && (newest > msn + 1 || last >= 0), `asked for ${msn}.${part}, got up to ${newest}.${last}`);
  }
});

test('what cannot come is refused at once, and what never comes is not held for ever', { timeout: 120_000 }, async (t) => {
  const { server, url, urls } = await live(t);
  const { msn } = edge(parseMedia(await get(url)));
  const status = async (address) => {
    const asked = Date.now();
    const response = await fetch(address, { signal: AbortSignal.timeout(45_000) });
    await response.text();
    return { status: response.status, ms: Date.now() - asked, store: response.headers.get('cache-control') };
  };
  for (const query of [`_HLS_msn=${msn + 5}`, `_HLS_msn=${msn + 5}&_HLS_part=0`, '_HLS_part=0', '_HLS_msn=x', '_HLS_msn=1&_HLS_part=-1', `_HLS_msn=${'9'.repeat(30)}`]) {
    const answer = await status(`${url}?${query}`);
    assert.equal(answer.status, 400, query);
    // Held it would be half a minute.
    assert.ok(answer.ms < 8000, `${query}: ${answer.ms} ms`);
  }
  const segment = parseMedia(await get(url)).segments.findLast((one) => one.uri);
  const elsewhere = (uri) => new URL(uri, url).href;
  const wrong = [url.replace(/[^/]+$/, 'nosuch.m3u8'), elsewhere(segment.uri.replace(/\d+\.m4s$/, '99999.m4s')), elsewhere(segment.uri.replace('.m4s', '.77.m4s')),
    elsewhere(segment.uri.replace(/^[0-9a-f]{8}/, '00000000')), elsewhere(segment.map.replace(/\d+\.mp4$/, '99.mp4')), `${server.url}/hls/nosuch/main/index.m3u8`, server.hls('nosuch')];
  for (const address of wrong) {
    const answer = await status(address);
    assert.equal(answer.status, 404, address);
    assert.ok(!/max-age=[1-9]\d/.test(answer.store ?? ''), `${address} is cached: ${answer.store}`);
  }
  // Everything that a playlist names is there.
  for (const address of urls) {
    const playlist = parseMedia(await get(address));
    const uris = new Set(playlist.segments.flatMap((one) => [one.map, one.uri, ...one.parts.map((part) => part.uri)]).filter(Boolean));
    for (const report of playlist.reports) uris.add(report.URI);
    for (const uri of uris) assert.equal((await status(new URL(uri, address).href)).status, 200, uri);
    const hinted = await status(new URL(playlist.hint.URI, address).href);
    assert.equal(hinted.status, 200, `the hinted part ${playlist.hint.URI}`);
  }
});

test('while a performer is away each question for a part is answered, and soon', { timeout: 120_000 }, async (t) => {
  const server = await startServer(t);
  const performer = startFfmpegWhip(t, server.whip('stage'), { gop: 60, key: 'a-bearer-of-the-performer' });
  const { variants: [{ url }] } = await multivariant(server.hls('stage'));
  const before = edge(await media(url, complete(2))).msn;
  await performer.kill();
  const killed = Date.now();
  let held_ms_max = 0;
  let playlist = parseMedia(await get(url));
  while (Date.now() - killed < 20_000) {
    const asked = Date.now();
    const response = await fetch(asking(url, nextPart(playlist)), { signal: AbortSignal.timeout(10_000) });
    assert.equal(response.status, 200, `${Date.now() - killed} ms after it was killed`);
    playlist = parseMedia(await response.text());
    held_ms_max = Math.max(held_ms_max, Date.now() - asked);
  }
  figure('HLS: a performer was killed', `in 20 s the playlist went on by ${edge(playlist).msn - before} segments; no question was held for longer than ${held_ms_max} ms`);
  assert.ok(edge(playlist).msn - before >= 6, `only ${edge(playlist).msn - before} segments in 20 s`);
  // Within one and a half target durations (RFC 8216bis section 6.2.1).
  assert.ok(held_ms_max < 1.5 * playlist.targetDuration * 1000 + 1000, `a question was held for ${held_ms_max} ms`);
});

test('playlists are small, may be kept for as long as they hold, and are read by any page', { timeout: 60_000 }, async (t) => {
  const { server, url } = await live(t);
  for (const address of [server.hls('stage'), asking(url, { msn: 1 })]) {
    const [plain, zipped] = [await raw(address, {}), await raw(address, { 'Accept-Encoding': 'gzip' })];
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.equal(zipped.headers['content-encoding'], 'gzip');
    assert.match(zipped.headers.vary, /accept-encoding/i);
    assert.match(plain.headers.vary ?? '', /accept-encoding/i);
    assert.match(plain.headers['content-type'], /^application\/vnd\.apple\.mpegurl/);
    assert.equal(plain.headers['access-control-allow-origin'], '*');
  }
  // The same state twice, once as it is and once compressed: nothing was published in between.
  let same = false;
  for (let i = 0; i < 10 && !same; i++) {
    const [plain, zipped, again] = [await raw(url, {}), await raw(url, { 'Accept-Encoding': 'gzip' }), await raw(url, {})];
    if (!plain.body.equals(again.body)) continue;
    assert.ok(plain.body.equals(gunzipSync(zipped.body)), 'the compressed playlist says something else');
    assert.notEqual(plain.headers.etag, undefined);
    const unchanged = await raw(url, { 'If-None-Match': again.headers.etag });
    same = unchanged.status === 304;
    assert.ok(same || !plain.body.equals(unchanged.body), 'an unchanged playlist is sent again');
  }
  assert.ok(same, 'no two answers were the same');

  const playlist = parseMedia(await get(url));
  const segment = playlist.segments.findLast((one) => one.uri);
  const here = (uri) => fetch(new URL(uri, url));
  for (const uri of [segment.uri, segment.map, segment.parts[0]?.uri].filter(Boolean)) {
    const response = await here(uri);
    assert.match(response.headers.get('cache-control'), /immutable/);
    assert.ok(maxAge(response) >= 3600, uri);
    assert.match(response.headers.get('content-type'), /^(video|audio)\/mp4/);
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    assert.ok((await response.arrayBuffer()).byteLength > 100);
  }
  const blocked = await fetch(asking(url, nextPart(parseMedia(await get(url)))));
  assert.ok(maxAge(blocked) >= 1, `a blocking answer: ${blocked.headers.get('cache-control')}`);
  const plain = await fetch(url);
  const keeping = plain.headers.get('cache-control');
  assert.ok(/no-cache|no-store/.test(keeping) || maxAge(plain) <= 1, `a playlist without a question: ${keeping}`);
  const preflight = await fetch(url, { method: 'OPTIONS', headers: { Origin: 'https://example.org', 'Access-Control-Request-Method': 'GET', 'Access-Control-Request-Headers': 'range' } });
  assert.ok(preflight.ok, String(preflight.status));
  assert.equal((await fetch(url, { method: 'HEAD' })).status, 200);
});

test('HTTP/2 without TLS carries many waiting questions on one connection', { timeout: 60_000 }, async (t) => {
  const { server, url } = await live(t);
  const session = connect(server.url);
  t.after(() => session.destroy());
  const ask = (path) => new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path });
    let [status, size] = [0, 0];
    stream.on('response', (headers) => { status = headers[':status']; }).on('data', (chunk) => { size += chunk.length; }).on('end', () => resolve({ status, size })).on('error', reject);
    stream.end();
  });
  const playlist = parseMedia(await get(url));
  const { pathname } = new URL(url);
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(`${pathname}?_HLS_msn=${nextPart(playlist).msn}&_HLS_part=${nextPart(playlist).part}`)));
  assert.ok(answers.every(({ status, size }) => status === 200 && size > 200), JSON.stringify(answers));
  const segment = await ask(new URL(playlist.segments.findLast((one) => one.uri).uri, url).pathname);
  assert.equal(segment.status, 200);
});
