import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { classify, deleteResource, parseIceServers, parseRetryAfter, patchResource, postOffer, Refusal, replacement, RETRY_AFTER_MAX_MS } from '../lib/http.js';

let base;
let server;
/** What the server was asked, and what it answers next. */
const asked = [];
let next = () => {};

before(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    }).on('end', () => {
      asked.push({ method: request.method, url: request.url, headers: request.headers, body });
      next(response);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());

const answering = (status, headers, body) => {
  next = (response) => response.writeHead(status, headers).end(body);
};
const refused = async (protocol = 'whep') => {
  try {
    await postOffer(protocol, `${base}/${protocol}/demo`, 'v=0');
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error;
  }
  return assert.fail('the offer was not refused');
};

test('a status means what the RFC says', () => {
  const check = (status, protocol, kind) => assert.equal(classify(status, protocol), kind, `${status} ${protocol}`);
  check(400, 'whip', 'refused');
  check(401, 'whip', 'key');
  check(403, 'whep', 'key');
  check(404, 'whep', 'gone');
  check(406, 'whep', 'not-acceptable');
  check(409, 'whep', 'not-live');
  check(409, 'whip', 'taken');
  check(415, 'whip', 'refused');
  check(422, 'whip', 'not-acceptable');
  check(429, 'whep', 'busy');
  check(500, 'whep', 'unreachable');
  check(502, 'whip', 'unreachable');
  check(503, 'whip', 'busy');
});

test('Retry-After is seconds or a date, and never an hour', () => {
  assert.equal(parseRetryAfter('2'), 2000);
  assert.equal(parseRetryAfter('Sun, 06 Nov 1994 08:49:37 GMT', Date.parse('Sun, 06 Nov 1994 08:49:30 GMT')), 7000);
  assert.equal(parseRetryAfter('86400'), RETRY_AFTER_MAX_MS);
  for (const nothing of [null, '', 'soon', '-3']) assert.equal(parseRetryAfter(nothing), 0, String(nothing));
});

test('ICE servers are read from Link headers, with commas and quotes where they hurt', () => {
  const header = '<stun:stun.example.net>; rel="ice-server", <https://example.net/a,b>; rel="next", '
    + '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="a,\\"b"; credential="p;w,d"; credential-type="password", '
    + '<turns:turn.example.net>; rel=ice-server; username=u; credential=c, <turn:nobody.example.net>; rel="ice-server"';
  assert.deepEqual(parseIceServers(header), [
    { urls: 'stun:stun.example.net' },
    { urls: 'turn:turn.example.net?transport=udp', username: 'a,"b', credential: 'p;w,d' },
    { urls: 'turns:turn.example.net', username: 'u', credential: 'c' },
  ]);
  assert.deepEqual(parseIceServers(null), []);
  assert.deepEqual(parseIceServers('nonsense'), []);
});

test('an accepted offer becomes a resource with an absolute address', async () => {
  answering(201, { 'Content-Type': 'application/sdp', Location: '/whep/demo/main/1', ETag: '"t"', Link: '<stun:s.example>; rel="ice-server"' }, 'v=0 answer');
  const reply = await postOffer('whep', `${base}/whep/demo`, 'v=0 offer', { key: 'sesame' });
  assert.deepEqual(reply, { sdp: 'v=0 answer', resource: `${base}/whep/demo/main/1`, etag: '"t"', iceServers: [{ urls: 'stun:s.example' }] });
  const { method, headers, body } = asked.at(-1);
  assert.deepEqual([method, headers['content-type'], headers.authorization, body], ['POST', 'application/sdp', 'Bearer sesame', 'v=0 offer']);
});

test('without a key nothing is claimed', async () => {
  answering(409, {}, '');
  await refused();
  assert.equal(asked.at(-1).headers.authorization, undefined);
});

test('nothing live is a refusal with a time', async () => {
  answering(409, { 'Retry-After': '3' }, '');
  const { kind, retryAfterMs, status } = await refused();
  assert.deepEqual([kind, retryAfterMs, status], ['not-live', 3000, 409]);
});

test('the reason in the body reaches the person, markup does not', async () => {
  answering(503, { 'Content-Type': 'text/plain; charset=utf-8' }, 'all 500 seats are taken\n');
  assert.equal((await refused()).message, 'all 500 seats are taken');
  answering(400, { 'Content-Type': 'application/problem+json' }, '{"title":"bad","detail":"no media"}');
  assert.equal((await refused()).message, 'no media');
  answering(502, { 'Content-Type': 'text/html' }, '<h1>Bad gateway</h1>');
  assert.equal((await refused()).message, 'The venue answered 502');
});

test('a counter-offer comes with its resource', async () => {
  answering(406, { 'Content-Type': 'application/sdp', Location: '2', ETag: '"c"' }, 'v=0 counter');
  assert.deepEqual((await refused()).counterOffer, { sdp: 'v=0 counter', resource: `${base}/whep/2`, etag: '"c"' });
});

test('a page in place of an answer is refused with the address in the message', async () => {
  answering(200, { 'Content-Type': 'text/html' }, '<html>');
  const { kind, message } = await refused('whip');
  assert.equal(kind, 'refused');
  assert.match(message, /\/whip\/demo answered 200 .*WHIP address/);
});

test('a server that hangs up is unreachable', async () => {
  next = (response) => response.socket.destroy();
  assert.equal((await refused()).kind, 'unreachable');
});

test('a session is changed and deleted with its tag and its key', async () => {
  answering(204, {}, undefined);
  await patchResource(`${base}/r`, { type: 'application/trickle-ice-sdpfrag', body: 'a=x', key: 'k', ifMatch: '*' });
  assert.deepEqual([asked.at(-1).method, asked.at(-1).headers['if-match'], asked.at(-1).headers.authorization], ['PATCH', '*', 'Bearer k']);
  answering(200, {}, undefined);
  await deleteResource(`${base}/r`, { key: 'k' });
  assert.deepEqual([asked.at(-1).method, asked.at(-1).url, asked.at(-1).headers.authorization], ['DELETE', '/r', 'Bearer k']);
});

test('deleting what was never made asks nobody, and deleting in vain does not fail', async () => {
  const before = asked.length;
  await deleteResource('');
  assert.equal(asked.length, before);
  next = (response) => response.socket.destroy();
  await deleteResource(`${base}/r`);
});

test('only a session that somebody else took over says so', async () => {
  const told = async (status, body = '') => {
    answering(status, { 'Content-Type': 'application/problem+json' }, body);
    return replacement(`${base}/whip/demo/main/1`, { key: 'mine' });
  };
  const refusal = await told(410, '{"detail": "another publisher has taken this stream over"}');
  assert.deepEqual([refusal?.kind, refusal?.status, refusal?.message], ['replaced', 410, 'another publisher has taken this stream over']);
  assert.equal(asked.at(-1).headers.authorization, 'Bearer mine');
  for (const status of [204, 404, 503]) assert.equal(await told(status), null, String(status));
  assert.equal(await replacement(''), null);
});
