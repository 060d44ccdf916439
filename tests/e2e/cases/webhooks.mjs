// Who is told over HTTP of what happens, by the real server: signed, tried again, and until its last moment.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { startServer } from '../lib/server.mjs';

const SECRET = 'sixteen-or-more-characters';
const PATIENCE_MS = 20_000;

/** A receiver that refuses the first two attempts, and remembers those that are signed as they should be. */
async function receive(t) {
  const events = [];
  let refusals = 2;
  const receiver = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const [, time, code] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(request.headers['x-proscenium-signature']) ?? [];
      assert.equal(code, createHmac('sha256', SECRET).update(`${time}.${body}`).digest('hex'), 'a signature is wrong');
      assert.ok(Math.abs(Date.now() / 1000 - Number(time)) < 60, 'a signature is old');
      if (refusals-- > 0) return response.writeHead(503).end();
      events.push(JSON.parse(body));
      response.writeHead(204).end();
    });
  });
  await new Promise((resolve) => { receiver.listen(0, '127.0.0.1', resolve); });
  t.after(() => receiver.close());
  const until = async (event, space) => {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = events.find((one) => one.event === event && one.space === space);
      if (found) return found;
      if (Date.now() > deadline) throw new Error(`nobody was told of ${event} in ${space}; told was ${JSON.stringify(events)}`);
      await sleep(20);
    }
  };
  return { events, until, url: `http://127.0.0.1:${receiver.address().port}/hook` };
}

test('a receiver is told who goes live, joins, leaves, ends and is recorded', { timeout: 60_000 }, async (t) => {
  const { events, until, url } = await receive(t);
  const config = `record = true\n[[webhook]]\nurl = "${url}"\nsecret = "${SECRET}"\n`;
  const server = await startServer(t, { command: 'demo', config });
  const live = await until('live', 'demo');
  assert.equal(live.stream, 'main');
  assert.match(live.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const socket = new WebSocket(`${server.bus}/rtc/foyer`);
  t.after(() => socket.terminate());
  await new Promise((resolve, reject) => { socket.once('open', resolve).once('error', reject); });
  socket.send(JSON.stringify({ type: 'join', version: 1, name: 'Ada', identity: 'ada-0123456789abcdef' }));
  const joined = await until('joined', 'foyer');
  assert.equal(joined.participant.name, 'Ada');
  socket.send(JSON.stringify({ type: 'leave' }));
  assert.deepEqual((await until('left', 'foyer')).participant, joined.participant);
  // Something has to be on disk before there is a recording.
  await sleep(3000);
  await server.process.stop();
  assert.equal((await until('ended', 'demo')).stream, 'main');
  assert.match((await until('recorded', 'demo')).recording, /^[0-9a-f]{8}$/);
  assert.equal(new Set(events.map(({ id }) => id)).size, events.length, 'an event came twice');
  assert.deepEqual(events.map(({ event }) => event), ['live', 'joined', 'left', 'ended', 'recorded']);
});
