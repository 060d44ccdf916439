import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Data } from '../lib/conference-data.js';
import { frameOf, readFrame, Whereabouts } from '../lib/conference-positions.js';

/** A peer connection that remembers its channels; the test is the venue. */
class FakePeer {
  connectionState = 'connected';
  sctp = { maxMessageSize: 65_536 };
  channels = [];
  createDataChannel(label, options = {}) {
    const channel = {
      label, options, readyState: 'open', bufferedAmount: 0, sent: [],
      send(data) { this.sent.push(data); },
      close() { this.readyState = 'closed'; },
      hear(data) { this.onmessage?.({ data: typeof data === 'object' && !(data instanceof ArrayBuffer) ? JSON.stringify(data) : data }); },
      die() { this.readyState = 'closed'; this.onclose?.(); },
    };
    this.channels.push(channel);
    return channel;
  }
  last(label) { return this.channels.filter((channel) => channel.label === label).at(-1); }
}

const open = [];
afterEach(() => open.splice(0).forEach((data) => data.end()));

function join(peer = new FakePeer()) {
  const data = new Data('stage', () => ({ userId: 'me', userName: 'Me' }));
  open.push(data);
  const events = [];
  for (const type of ['message', 'text', 'positions', 'presence', 'deleted', 'missed', 'refused', 'open', 'closed']) {
    data.addEventListener(type, ({ detail }) => events.push([type, detail instanceof Map ? Object.fromEntries(detail) : detail]));
  }
  data.attach(peer);
  return { data, peer, events, said: () => peer.last('messages').sent.map((text) => JSON.parse(text)) };
}

const welcome = (seq, missed = false) => ({ welcome: { space: 'stage', seq, missed, tick_hz: 20 } });
const message = (seq, value, userId = 'ada') => ({ message: { id: `m${seq}`, type: 'CHAT', userId, userName: 'Ada', value }, seq });
const place = (x) => ({ x, y: 0, z: 0, rx: 0, ry: 0, rz: 0 });

/** A frame of the venue's. */
function frame(tick, ...entries) {
  const view = new DataView(new ArrayBuffer(8 + 28 * entries.length));
  view.setUint8(0, 1);
  view.setUint16(2, entries.length, true);
  view.setUint32(4, tick, true);
  entries.forEach(([number, x], at) => {
    view.setUint16(8 + 28 * at, number, true);
    view.setFloat32(12 + 28 * at, x, true);
  });
  return view.buffer;
}

test('a position goes there and back', () => {
  const position = { x: 1, y: -2.5, z: 3, rx: 0.5, ry: 0.25, rz: -1 };
  const bytes = frameOf(position);
  assert.equal(bytes.byteLength, 36);
  assert.deepEqual([...new Uint8Array(bytes.slice(0, 12))], [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(readFrame(bytes), { tick: 0, entries: [{ number: 0, position }] });
});

test('what is no frame is nothing, and a cut one has what is whole', () => {
  for (const data of ['text', null, new ArrayBuffer(7), new ArrayBuffer(8)]) assert.equal(readFrame(data), null);
  const bytes = frame(3, [1, 5], [2, 6]);
  assert.deepEqual(readFrame(bytes.slice(0, 60)).entries.map(({ number }) => number), [1]);
});

test('of each person the newest position counts, in whatever order frames and names come', () => {
  const where = new Whereabouts();
  assert.equal(where.takeFrame(frame(10, [7, 1])), false, 'nobody knows who 7 is');
  assert.equal(where.learn({ ada: 7 }), true);
  assert.deepEqual(where.all.get('ada'), place(1));
  assert.equal(where.takeFrame(frame(9, [7, 0])), false, 'late');
  assert.equal(where.takeFrame(frame(12, [7, 2])), true);
  assert.equal(where.takeFrame(frame(11, [7, 9])), false);
  assert.deepEqual(where.all.get('ada'), place(2));
  where.take(new Map(), ['ada']);
  assert.equal(where.all.size, 0);
  where.learn({ bob: 7 });
  assert.equal(where.all.size, 0, 'the number had another owner');
  where.takeFrame(frame(2 ** 32 - 1, [8, 1]));
  where.learn({ eve: 8 });
  assert.equal(where.takeFrame(frame(1, [8, 4])), true, 'ticks go round');
});

test('both channels are there before the first offer, with their guarantees', () => {
  const { peer } = join();
  assert.deepEqual(peer.channels.map(({ label, options }) => [label, options]), [
    ['positions', { ordered: false, maxRetransmits: 0 }],
    ['messages', { protocol: 'positions=binary' }],
  ]);
});

test('what is said before the welcome waits for it', () => {
  const { data, peer, events, said } = join();
  const id = data.say({ type: 'CUE', value: 7, store: true });
  assert.match(id, /^[a-z]{16}$/);
  assert.deepEqual(said(), []);
  peer.last('messages').hear(welcome(100));
  const [{ datetime, ...envelope }] = said();
  assert.deepEqual(envelope, { id, type: 'CUE', channel: 'stage', userId: 'me', userName: 'Me', value: 7, store: true });
  assert.ok(Date.parse(datetime) > 0);
  assert.deepEqual(events, [['open', null]]);
});

test('too long a message is not said, and says so', () => {
  const { data, peer } = join();
  peer.last('messages').hear(welcome(1));
  assert.equal(data.say({ type: 'IMAGE', value: 'x'.repeat(70_000) }), '');
  assert.equal(data.say({ type: 'CHAT', value: 'ü'.repeat(40_000) }), '', 'bytes count, not letters');
  peer.last('messages').bufferedAmount = 2 ** 21;
  assert.equal(data.say({ type: 'CHAT', value: 'x' }), '', 'too much waits');
});

test('so much waits for a connection, and no more', () => {
  const { data, peer, said } = join();
  const ids = Array.from({ length: 60 }, (_, value) => data.say({ type: 'CHAT', value }));
  assert.equal(ids.filter((id) => id !== '').length, 50);
  peer.last('messages').hear(welcome(1));
  assert.deepEqual(said().map(({ value }) => value), Array.from({ length: 50 }, (_, value) => value));
});

test('after the channel was closed it goes on where it was, without a message twice', async () => {
  const { data, peer, events } = join();
  const first = peer.last('messages');
  first.hear(welcome(10_000_000));
  first.hear(message(10_000_050, 'one'));
  first.die();
  data.say({ type: 'CHAT', value: 'meanwhile' });
  await sleep(600);
  const second = peer.last('messages');
  assert.notEqual(second, first);
  assert.equal(second.options.protocol, 'since=10000050&positions=binary');
  assert.equal(peer.channels.length, 3, 'positions was not closed');
  second.hear(welcome(10_000_070, true));
  second.hear(message(10_000_050, 'one'));
  second.hear(message(10_000_060, 'two'));
  assert.equal(second.sent.length, 1);
  first.hear(message(10_000_080, 'from the dead'));
  assert.deepEqual(events.map(([type, detail]) => (type === 'message' ? detail.value : type)), ['open', 'one', 'closed', 'missed', 'open', 'two']);
});

test('what is said while the channel is closing waits for the next one', async () => {
  const { data, peer } = join();
  const first = peer.last('messages');
  first.hear(welcome(1));
  first.readyState = 'closing';
  assert.notEqual(data.say({ type: 'CHAT', value: 'meanwhile' }), '');
  assert.equal(first.sent.length, 0);
  first.die();
  await sleep(600);
  peer.last('messages').hear(welcome(2));
  assert.equal(JSON.parse(peer.last('messages').sent[0]).value, 'meanwhile');
});

test('another peer connection goes on where the last one was', () => {
  const { data, peer } = join();
  peer.last('messages').hear(welcome(9_000_000));
  const next = new FakePeer();
  data.attach(next);
  assert.equal(peer.last('messages').readyState, 'closed');
  assert.equal(next.last('messages').options.protocol, 'since=9000000&positions=binary');
  assert.equal(data.isOpen, false);
});

test('whatever the venue says is told', () => {
  const { peer, events } = join();
  const channel = peer.last('messages');
  channel.hear(welcome(1));
  channel.hear({ message: { type: 'CHAT', userId: 'me', value: 'mine' }, seq: 5 });
  channel.hear({ text: 'hello', seq: 6 });
  channel.hear({ presence: { users: { ada: { userName: 'Ada' } } } });
  channel.hear({ deleted: { seq: 5, id: 'x' } });
  channel.hear({ error: { code: 'rate', detail: 'slowly', id: 'y' } });
  channel.hear({ number: { ada: 3 } });
  peer.last('positions').hear(frame(1, [3, 1.5]));
  channel.hear({ positions: { bob: [1, 2, 3, 4, 5, 6] }, gone: ['ada'] });
  for (const nonsense of ['{', '[]', '{"number":7}', '{"number":', new ArrayBuffer(9)]) channel.hear(nonsense);
  assert.deepEqual(events.slice(1).map(([type, detail]) => [type, type === 'message' ? [detail.value, detail.own] : detail]), [
    ['message', ['mine', true]],
    ['text', { text: 'hello', seq: 6 }],
    ['presence', { ada: { userName: 'Ada' } }],
    ['deleted', { seq: 5, id: 'x' }],
    ['refused', { code: 'rate', detail: 'slowly', id: 'y' }],
    ['positions', { ada: place(1.5) }],
    ['positions', { bob: { x: 1, y: 2, z: 3, rx: 4, ry: 5, rz: 6 } }],
  ]);
});

test('moves are sent twenty times a second at most, the last one for certain and again', async () => {
  const { data, peer } = join();
  const channel = peer.last('positions');
  for (let x = 0; x < 40; x += 1) {
    data.move({ x });
    await sleep(5);
  }
  await sleep(400);
  const sent = channel.sent.map((bytes) => readFrame(bytes).entries[0].position.x);
  assert.ok(sent.length >= 3 && sent.length <= 8, `${sent}`);
  assert.deepEqual(sent.slice(-2), [39, 39]);
  assert.equal(sent[0], 0);
  assert.throws(() => data.move({ x: NaN }), TypeError);
});
