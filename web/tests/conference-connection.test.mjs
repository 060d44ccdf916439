import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '../lib/conference-connection.js';
import { networkChanges } from '../lib/network.js';

/** A venue's WebSockets: each new one is handed to `serve`, which says what the server does. */
function venue(serve) {
  const sockets = [];
  class FakeSocket {
    readyState = 0;
    sent = [];
    constructor(url) {
      this.url = url;
      sockets.push(this);
      queueMicrotask(() => serve(this, sockets.length));
    }
    open() {
      this.readyState = 1;
      this.onopen?.();
    }
    say(message) { this.onmessage?.({ data: JSON.stringify(message) }); }
    welcome() {
      this.open();
      setTimeout(() => this.say({ type: 'welcome', id: 'p_1' }), 1);
    }
    refuse(code, error) {
      this.open();
      setTimeout(() => {
        if (error) this.say({ type: 'error', request: 'join', message: 'no', ...error });
        this.end(code);
      }, 1);
    }
    end(code) {
      this.readyState = 3;
      this.onclose?.({ code });
    }
    send(text) { this.sent.push(JSON.parse(text)); }
    close() { this.readyState = 3; }
  }
  const connection = new Connection('wss://venue.example/rtc/stage', async () => ({ type: 'join', attempt: sockets.length }), FakeSocket);
  const log = [];
  connection.addEventListener('state', ({ detail: { state, error } }) => log.push(error ? `${state} ${error.code}` : state));
  connection.addEventListener('lost', () => log.push('(lost)'));
  connection.addEventListener('message', ({ detail: { type } }) => log.push(`<${type}>`));
  return { connection, sockets, log };
}

const until = async (holds) => {
  for (let times = 0; times < 400 && !holds(); times += 1) await sleep(5);
  assert.ok(holds(), 'it never came to that');
};

test('who joins is welcomed, is told everything and leaves with a word', async () => {
  const { connection, sockets, log } = venue((socket) => socket.welcome());
  assert.equal(connection.send({ type: 'hand' }), false, 'nothing is sent before the welcome');
  connection.start();
  connection.start();
  await until(() => connection.state === 'joined');
  assert.equal(connection.send({ type: 'hand', raised: true }), true);
  sockets[0].say({ type: 'speakers', active: [] });
  sockets[0].say({ type: 'later' });
  connection.stop();
  await sleep(5);
  assert.deepEqual(sockets[0].sent.map(({ type }) => type), ['join', 'hand', 'leave']);
  assert.deepEqual([sockets.length, sockets[0].readyState], [1, 3]);
  assert.deepEqual(log, ['joining', '<welcome>', 'joined', '<speakers>', 'left', '(lost)']);
});

test('a lost socket is opened again, a server that stops too', async () => {
  const { connection, sockets, log } = venue((socket, number) => (number === 2 ? socket.end(1006) : socket.welcome()));
  connection.start();
  await until(() => connection.state === 'joined');
  sockets[0].end(1001);
  await until(() => sockets.length === 3 && connection.state === 'joined');
  assert.deepEqual(log, ['joining', '<welcome>', 'joined', '(lost)', 'reconnecting', 'reconnecting', '<welcome>', 'joined']);
  assert.deepEqual(sockets[2].sent.map(({ type }) => type), ['join']);
  connection.stop();
});

test('a full venue is asked again when it said, a refusal is final', async () => {
  const full = venue((socket, number) => (number === 1 ? socket.refuse(1013, { code: 'full', retry_after: 1 }) : socket.welcome()));
  const began = Date.now();
  full.connection.start();
  await until(() => full.connection.state === 'joined');
  assert.ok(Date.now() - began >= 1000);
  assert.deepEqual(full.log.slice(0, 3), ['joining', '<error>', 'joining full']);
  full.connection.stop();
  const locked = venue((socket) => socket.refuse(1000, { code: 'locked' }));
  locked.connection.start();
  await until(() => locked.connection.state === 'refused');
  await sleep(600);
  assert.deepEqual([locked.sockets.length, locked.connection.error.code], [1, 'locked']);
});

test('who is replaced or removed does not come back by itself', async () => {
  for (const [code, state] of [[4001, 'replaced'], [4003, 'removed']]) {
    const { connection, sockets } = venue((socket) => socket.welcome());
    connection.start();
    await until(() => connection.state === 'joined');
    sockets[0].end(code);
    await sleep(600);
    assert.deepEqual([connection.state, sockets.length], [state, 1]);
  }
});

test('another network takes another socket at once, and the old one means nothing any more', async () => {
  const { connection, sockets, log } = venue((socket) => socket.welcome());
  connection.start();
  await until(() => connection.state === 'joined');
  connection.refresh();
  await until(() => sockets.length === 2 && connection.state === 'joined');
  sockets[0].say({ type: 'restart' });
  sockets[0].end(4001);
  assert.deepEqual(log, ['joining', '<welcome>', 'joined', '(lost)', 'reconnecting', '<welcome>', 'joined']);
  connection.stop();
});

test('a browser that cannot take part says why', async () => {
  class Silent { readyState = 0; close() {} }
  const connection = new Connection('wss://venue.example/rtc/stage', () => Promise.reject(new Error('no codec')), Silent);
  connection.start();
  await until(() => connection.state === 'refused');
  assert.equal(connection.error.message, 'This browser cannot take part: no codec');
});

test('a change of network is told once when it has settled, and not after stopping', async () => {
  const page = new EventTarget();
  globalThis.window = page;
  const told = [];
  const stop = networkChanges(() => told.push('changed'), () => told.push('leaving'));
  page.dispatchEvent(new Event('online'));
  page.dispatchEvent(new Event('online'));
  page.dispatchEvent(Object.assign(new Event('pagehide'), { persisted: true }));
  page.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: false }));
  await sleep(250);
  assert.deepEqual(told, ['changed']);
  page.dispatchEvent(Object.assign(new Event('pagehide'), { persisted: false }));
  stop();
  page.dispatchEvent(new Event('online'));
  await sleep(250);
  assert.deepEqual(told, ['changed', 'leaving']);
  delete globalThis.window;
});
