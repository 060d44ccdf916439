import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatLog, hereText, nameOf, refusalText, SHOWN_MAX, TEXT_MAX, textOf } from '../lib/chat.js';
import { envelopeOf, newId, parseFrame } from '../lib/message-frames.js';
import { HistoryFeed, readPage, STRETCH_MS, stretchesFor } from '../lib/message-history.js';
import { MessageTiming } from '../lib/message-timing.js';
import { connectMessages } from '../lib/messages.js';

const NOON = Date.parse('2026-11-28T12:00:00Z');

/** A message that came `s` seconds after noon while the picture was there, or without a picture. */
function message(s, { media = true, lag_ms = 200, ...more } = {}) {
  const time_ms = NOON + s * 1000;
  return {
    seq: (time_ms + lag_ms) * 1000, id: `id${s}`, type: 'CHAT', value: `at ${s}`, userId: 'somebody', userName: 'Ada', own: false, envelope: {},
    media: media ? { stream: 'main', life: '00c0ffee', time_ms } : null, ...more,
  };
}

const at = (s) => NOON + s * 1000;
const values = ({ due }) => due.map(({ value }) => value);

test('frames are read leniently, and nonsense is nothing', () => {
  const envelope = { id: 'abcdefghijklmnop', type: 'CHAT', channel: 'demo', userid: 'max', username: 'Max', value: [1, 2], later: true };
  const read = parseFrame(JSON.stringify({ message: envelope, seq: 1795867200000001, media: { stream: 'main', life: 'abcd1234', time_ms: 1795867199500 } }));
  assert.deepEqual(read, {
    kind: 'message',
    message: { seq: 1795867200000001, id: 'abcdefghijklmnop', type: 'CHAT', value: [1, 2], userId: 'max', userName: 'Max', media: { stream: 'main', life: 'abcd1234', time_ms: 1795867199500 }, envelope },
  });
  assert.deepEqual(parseFrame('{"text":"[object Object]","seq":7}'), { kind: 'text', text: '[object Object]', seq: 7 });
  assert.deepEqual(parseFrame('{"welcome":{"space":"demo","seq":9,"missed":true,"tick_hz":20}}'), { kind: 'welcome', seq: 9, missed: true });
  assert.deepEqual(parseFrame('{"error":{"code":"slow_mode","detail":"wait 5 s","id":"x"}}').error, { code: 'slow_mode', detail: 'wait 5 s', id: 'x' });
  assert.deepEqual([...parseFrame('{"positions":{"a":[1,2,3,0,0,0],"b":[1],"c":"x","d":[1,2,3,0,0,null]},"gone":["z",4]}').users], [['a', [1, 2, 3, 0, 0, 0]]]);
  assert.deepEqual(parseFrame('{"gone":["z",4]}').gone, ['z']);
  assert.deepEqual([...parseFrame('{"presence":{"users":{"a":{"userName":"Ada"},"b":7}}}').users.keys()], ['a']);
  assert.deepEqual(parseFrame('{"cleared":{"seq":5}}'), { kind: 'cleared', seq: 5 });
  assert.deepEqual(parseFrame('{"deleted":{"seq":5,"id":"x"}}'), { kind: 'deleted', seq: 5, id: 'x' });
  for (const nothing of ['', 'x', '7', 'null', '[]', '{}', '{"message":7,"seq":1}', '{"later":{}}', new ArrayBuffer(4), null]) assert.equal(parseFrame(nothing), null, String(nothing));
  assert.equal(parseFrame('{"message":{},"seq":-1,"media":{"time_ms":"soon"}}').message.media, null);
});

test('what is said has everything that other clients look for', () => {
  const envelope = envelopeOf({ type: 'CHAT', value: 'hello', channel: 'demo', userId: 'me', userName: 'Ada' });
  assert.deepEqual(Object.keys(envelope), ['id', 'datetime', 'type', 'channel', 'userId', 'userName', 'value']);
  assert.match(envelope.id, /^[a-z]{16}$/);
  assert.match(envelope.datetime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(envelopeOf({ type: 'X', channel: 'demo', userId: '', userName: '', store: true }).store, true);
  assert.equal(new Set(Array.from({ length: 100 }, newId)).size, 100);
});

test('live, everything is due at once', () => {
  const timing = new MessageTiming();
  for (const s of [3, 1, 2]) timing.add(message(s));
  assert.deepEqual(values(timing.advance(null)), ['at 1', 'at 2', 'at 3']);
  timing.add(message(4));
  assert.deepEqual(values(timing.advance(null)), ['at 4']);
  assert.deepEqual(values(timing.advance(null)), []);
});

test('behind, each message comes exactly once, when the picture is there', () => {
  const timing = new MessageTiming();
  timing.advance(at(0));
  for (const s of [1, 2, 5]) assert.ok(timing.add(message(s)));
  assert.equal(timing.add(message(2)), false, 'known already');
  assert.deepEqual(values(timing.advance(at(0.999))), []);
  assert.deepEqual(values(timing.advance(at(1))), ['at 1']);
  assert.deepEqual(values(timing.advance(undefined)), [], 'nobody knows where the picture is');
  assert.deepEqual(values(timing.advance(NaN)), []);
  assert.deepEqual(values(timing.advance(at(4))), ['at 2']);
  assert.equal(timing.waiting, 1);
  assert.deepEqual(values(timing.advance(at(60))), ['at 5']);
});

test('what is said without a picture, and what one says oneself, is shown at once and not again', () => {
  const timing = new MessageTiming();
  timing.advance(at(0));
  timing.add(message(8, { media: false }));
  timing.add(message(9), { own: true });
  timing.add(message(10));
  assert.deepEqual(values(timing.advance(at(0.1))), ['at 8', 'at 9']);
  assert.deepEqual(values(timing.advance(at(20))), ['at 10']);
});

test('what came before anybody knew where the picture is comes in its order', () => {
  const timing = new MessageTiming();
  for (const s of [1, 2, 3]) timing.add(message(s, { media: false }));
  assert.deepEqual(values(timing.advance(undefined)), ['at 1', 'at 2', 'at 3']);
  timing.add(message(4, { media: false }));
  assert.deepEqual(values(timing.advance(at(0))), ['at 4']);
  assert.deepEqual(values(timing.advance(at(9))), []);
});

test('going back voids what was shown, and shows it again at its moments', () => {
  const timing = new MessageTiming();
  timing.advance(at(0));
  for (const s of [1, 2, 3, 4]) timing.add(message(s), { own: s === 4 });
  timing.advance(at(10));
  const small = timing.advance(at(9.2));
  assert.deepEqual([small.back, small.due.length], [false, 0], 'a clock that corrects itself');
  const back = timing.advance(at(2.5));
  assert.ok(back.back);
  assert.deepEqual(values(back), ['at 1', 'at 2']);
  assert.deepEqual(values(timing.advance(at(3))), ['at 3']);
  assert.deepEqual(values(timing.advance(at(10))), ['at 4'], 'one’s own has its moment, too');
});

test('from live to a little behind nothing is taken away; to a recording, everything that was later', () => {
  const timing = new MessageTiming();
  for (const s of [1, 20]) timing.add(message(s));
  timing.advance(null);
  const little = timing.advance(at(17));
  assert.deepEqual([little.back, values(little)], [false, []]);
  assert.deepEqual(values(timing.advance(at(30))), []);
  const far = timing.advance(at(-3600));
  assert.deepEqual([far.back, values(far)], [true, []]);
  timing.add(message(-3590), { old: true });
  assert.deepEqual(values(timing.advance(at(-3580))), ['at -3590']);
  assert.deepEqual(values(timing.advance(null)), ['at 1', 'at 20'], 'back to live');
});

test('history that comes late is shown at once where the picture has passed it, and waits where not', () => {
  const timing = new MessageTiming();
  timing.add(message(5));
  timing.advance(at(10));
  timing.add(message(2), { old: true });
  timing.add(message(12, { media: false }), { old: true });
  assert.deepEqual(values(timing.advance(at(10.1))), ['at 2']);
  assert.deepEqual(values(timing.advance(at(12.3))), ['at 12']);
});

test('a deleted message does not come any more', () => {
  const timing = new MessageTiming();
  timing.advance(at(0));
  for (const s of [1, 2, 3]) timing.add(message(s));
  timing.advance(at(1));
  timing.remove(message(1).seq);
  timing.remove(message(2).seq);
  timing.remove(99);
  assert.deepEqual(values(timing.advance(at(5))), ['at 3']);
  assert.equal(timing.add(message(2)), false);
  assert.deepEqual(values(timing.advance(at(0))), []);
});

test('what was cleared does not come any more', () => {
  const timing = new MessageTiming();
  timing.advance(at(0));
  for (const s of [1, 2, 3]) timing.add(message(s));
  timing.clear(message(2).seq);
  assert.deepEqual(values(timing.advance(at(5))), ['at 3']);
});

test('memory is bounded: what is far from the picture goes, and somebody is told', () => {
  let forgotten = 0;
  const timing = new MessageTiming({ max: 10, onForgotten: () => { forgotten += 1; } });
  for (let s = 0; s < 10; s += 1) timing.add(message(s));
  timing.advance(at(20));
  timing.add(message(10));
  assert.deepEqual([timing.size, forgotten], [10, 1]);
  assert.equal(timing.add(message(0), { old: true }), true, 'the oldest was forgotten');
  const ahead = new MessageTiming({ max: 10 });
  ahead.advance(at(0));
  for (let s = 1; s <= 30; s += 1) ahead.add(message(s));
  assert.deepEqual(values(ahead.advance(at(100))).at(-1), 'at 10', 'what is nearest to the picture stays');
});

test('any order of arrivals and any walk of the picture shows each message once per walk, in order', () => {
  let seed = 7;
  const random = () => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed / 2147483648; };
  for (let round = 0; round < 200; round += 1) {
    const timing = new MessageTiming();
    let [now, shown] = [0, []];
    const live = Array.from({ length: 40 }, (_, place) => place);
    timing.advance(at(now));
    while (live.length > 0 || now < 60) {
      for (let n = random() * 4; n > 1 && live.length > 0; n -= 1) timing.add(message(live.splice(Math.floor(random() * live.length), 1)[0]), { old: true });
      now = random() < 0.1 ? Math.max(0, now - 10 * random()) : now + 3 * random();
      const { due, back } = timing.advance(at(now));
      if (back) shown = [];
      shown.push(...due.map(({ value }) => value));
      assert.equal(new Set(shown).size, shown.length, `round ${round}: twice`);
    }
    timing.advance(at(100));
    assert.equal(timing.waiting, 0);
    assert.equal(timing.size, 40);
  }
});

test('a player needs the history around its moment, and none of what comes by itself', () => {
  const minute = (n) => NOON + n * 60_000;
  const first = NOON / STRETCH_MS;
  assert.deepEqual(stretchesFor(minute(1), Infinity), [first, first - 1]);
  assert.deepEqual(stretchesFor(minute(4.5), Infinity), [first, first + 1, first - 1]);
  assert.deepEqual(stretchesFor(minute(6), minute(2)), [first]);
  assert.deepEqual(stretchesFor(NaN, Infinity), []);
});

test('a stretch of history is loaded once, page by page, and again after a failure', async () => {
  const asked = [];
  const taken = [];
  let fails = false;
  let now = 0;
  const feed = new HistoryFeed({
    now: () => now,
    take: (messages) => taken.push(...messages),
    load: async (query) => {
      if (fails) throw new Error('unreachable');
      asked.push(query);
      return { messages: [query.after ?? 'first'], next: query.after === null ? 17 : null };
    },
  });
  await feed.follow(NOON + 60_000, Infinity);
  assert.deepEqual(asked.map(({ from, after }) => [from, after]), [[NOON, null], [NOON, 17]]);
  assert.ok(asked[0].to > NOON + STRETCH_MS, 'a message may come after its moment');
  await feed.follow(NOON + 61_000, Infinity);
  await feed.follow(NOON + 62_000, Infinity);
  assert.equal(asked.length, 4, 'this stretch and the one before');
  feed.forget();
  await feed.follow(NOON + 62_000, Infinity);
  assert.equal(asked.length, 4, 'what was just loaded is not asked for again and again');
  now = 60_000;
  feed.forget();
  fails = true;
  await feed.follow(NOON + 62_000, Infinity);
  assert.deepEqual(taken, ['first', 17, 'first', 17]);
  assert.deepEqual(readPage({ messages: [{ message: { type: 'CHAT' }, seq: 3 }, 7, null], next: 'x' }).messages.map(({ seq }) => seq), [3]);
  for (const nothing of [null, 7, {}, { messages: {} }]) assert.deepEqual(readPage(nothing), { messages: [], next: null });
});

test('a chat has messages, likes and deletions, in whatever order they come', () => {
  const chat = new ChatLog('me');
  assert.equal(chat.hear(message(1)), 'line');
  assert.equal(chat.hear(message(1)), null, 'known already');
  assert.equal(chat.hear(message(2, { type: 'LIKE', value: 'id1' })), 'like');
  assert.equal(chat.hear(message(3, { type: 'LIKE', value: 'id1', userId: 'me' })), 'like');
  assert.equal(chat.hear(message(4, { type: 'LIKE', value: 'id1', userId: 'me' })), null, 'once each');
  assert.equal(chat.hear(message(5, { type: 'LIKE', value: 'id9' })), 'like', 'the message may still come');
  chat.hear(message(9));
  for (const nothing of [{ type: 'LIKE', value: 7 }, { type: 'ANYTHING' }, { value: '  ' }, { value: null }]) assert.equal(chat.hear(message(6, nothing)), null);
  assert.equal(chat.hear(message(7, { type: 'HEART' })), 'heart');
  assert.deepEqual(chat.lines.map(({ text, likes, liked }) => [text, likes, liked]), [['at 1', 2, true], ['at 9', 1, false]]);
  assert.ok(chat.remove({ seq: message(1).seq, id: 'id1' }));
  assert.equal(chat.remove({ seq: 5, id: 'id1' }), false);
  assert.deepEqual(chat.lines.map(({ text }) => text), ['at 9']);
  chat.rebuild([message(20), message(21)]);
  assert.deepEqual(chat.lines.map(({ text }) => text), ['at 20', 'at 21']);
});

test('what is a little late goes to the end of a chat, what is old to its place, and the chat stays short', () => {
  const chat = new ChatLog('me');
  for (const s of [100, 90, 10]) chat.hear(message(s));
  assert.deepEqual(chat.lines.map(({ text }) => text), ['at 10', 'at 100', 'at 90']);
  for (let s = 200; s < 200 + SHOWN_MAX; s += 1) chat.hear(message(s));
  assert.equal(chat.lines.length, SHOWN_MAX);
});

test('whatever somebody is called or says can be shown', () => {
  assert.equal(nameOf('  Ada\n\u202eLovelace\u0000 '), 'Ada Lovelace');
  assert.equal(nameOf('x'.repeat(99)).length, 40);
  assert.equal(textOf({ a: 1 }), '{"a":1}');
  assert.equal(textOf('x'.repeat(9999)).length, TEXT_MAX);
  assert.deepEqual([hereText(0), hereText(1), hereText(1200)], ['', '1 person here', '1,200 people here']);
});

test('every refusal is said in words', () => {
  for (const code of ['too_large', 'rate', 'slow_mode', 'banned', 'word', 'forbidden', 'private', 'full', 'not_stored', 'read_only']) {
    assert.match(refusalText({ code, detail: '', id: '' }), /^[A-Z].*\.$/, code);
  }
  assert.equal(refusalText({ code: 'slow_mode', detail: 'one message in 10 s; wait 7 s', id: '' }), 'One message in 10 s; wait 7 s.');
  assert.equal(refusalText({ code: 'later', detail: 'the moon is full', id: '' }), 'The moon is full.');
});

/** Sockets that a test opens, speaks through and closes. */
class FakeSocket {
  static all = [];
  readyState = 0;
  sent = [];

  constructor(url) {
    this.url = new URL(url);
    FakeSocket.all.push(this);
  }

  open(seq = 0, missed = false) {
    this.readyState = 1;
    this.onopen();
    this.hear({ welcome: { space: 'demo', seq, missed, tick_hz: 20 } });
  }

  hear(frame) { this.onmessage({ data: JSON.stringify(frame) }); }
  send(text) { this.sent.push(JSON.parse(text)); }

  close(code = 1000, reason = '') {
    this.readyState = 3;
    this.onclose({ code, reason });
  }
}

function withSockets(t) {
  const real = globalThis.WebSocket;
  FakeSocket.all = [];
  globalThis.WebSocket = /** @type {any} */ (FakeSocket);
  t.after(() => { globalThis.WebSocket = real; });
  return FakeSocket.all;
}

const turn = () => new Promise((resolve) => { setImmediate(resolve); });

async function next(sockets, count, bus) {
  for (let tries = 0; sockets.length < count; tries += 1) {
    assert.ok(tries < 100, `${sockets.length} connections instead of ${count}`);
    bus.nudge();
    await turn();
  }
  return sockets[count - 1];
}

test('a bus comes back by itself, asks for what it missed, and tells nothing twice', async (t) => {
  const sockets = withSockets(t);
  const bus = connectMessages('demo', { types: ['CHAT', 'LIKE'], token: 'secret', userId: 'me', origin: 'https://venue.example' });
  t.after(() => bus.close());
  const [heard, states, missed] = [[], [], []];
  bus.on('message', ({ value, own }) => heard.push([value, own]));
  bus.on('state', (state) => states.push(state));
  bus.on('missed', () => missed.push(true));
  assert.equal(bus.since, Infinity);
  assert.equal(sockets[0].url.href, 'wss://venue.example/ws/demo?types=CHAT%2CLIKE&token=secret');
  sockets[0].open(1_000_000_000);
  assert.equal(bus.since, 1_000_000);
  const frame = (seq, value, userId = 'other') => ({ message: { type: 'CHAT', value, userId }, seq });
  sockets[0].hear(frame(1_000_000_010, 'one'));
  sockets[0].hear(frame(1_000_000_020, 'two'));
  sockets[0].hear(frame(1_000_000_030, 'three', 'me'));
  sockets[0].close(1006);
  await turn();
  const second = await next(sockets, 2, bus);
  assert.equal(second.url.searchParams.get('since'), '1000000030');
  second.open(1_000_000_040, true);
  for (const [seq, value] of [[1_000_000_010, 'one'], [1_000_000_030, 'three'], [1_000_000_040, 'four'], [1_000_000_040, 'four']]) second.hear(frame(seq, value));
  assert.deepEqual(heard, [['one', false], ['two', false], ['three', true], ['four', false]]);
  assert.deepEqual([states, missed], [['open', 'connecting', 'open'], [true]]);
});

test('what is said without a connection waits for it, and whoever has joined joins again', async (t) => {
  const sockets = withSockets(t);
  const bus = connectMessages('demo', { name: 'Ada', userId: 'me', origin: 'http://localhost:7878' });
  t.after(() => bus.close());
  bus.join();
  const id = bus.say('CHAT', 'hello');
  assert.match(id, /^[a-z]{16}$/);
  sockets[0].open();
  assert.deepEqual(sockets[0].sent.map(({ type }) => type), ['CHANNEL_JOIN', 'CHAT']);
  assert.deepEqual([sockets[0].sent[1].id, sockets[0].sent[1].channel, sockets[0].sent[1].userName], [id, 'demo', 'Ada']);
  bus.join('Ada L');
  assert.deepEqual(sockets[0].sent[2].value, { userName: 'Ada L' });
  assert.equal(sockets[0].sent[2].type, 'USER_UPDATE');
  sockets[0].close(1001);
  await turn();
  const second = await next(sockets, 2, bus);
  second.open();
  assert.deepEqual(second.sent.map(({ type, value }) => [type, value.userName]), [['CHANNEL_JOIN', 'Ada L']]);
  second.close(1006);
  await turn();
  for (let said = 0; said < 50; said += 1) assert.notEqual(bus.say('X', said), '');
  assert.equal(bus.say('X', 'one too many'), '');
});

test('a bus that is refused for good does not try again', async (t) => {
  const sockets = withSockets(t);
  const bus = connectMessages('demo', { userId: 'me', origin: 'http://localhost:7878' });
  sockets[0].close(4003, 'removed by a moderator');
  await turn();
  bus.nudge();
  await turn();
  assert.deepEqual([sockets.length, bus.state, bus.reason, bus.say('CHAT', 'x')], [1, 'closed', 'removed by a moderator', '']);
});

test('timed messages follow a clock, and history fills what was before', async (t) => {
  const sockets = withSockets(t);
  t.mock.timers.enable({ apis: ['setInterval'] });
  const bus = connectMessages('demo', { userId: 'me', origin: 'http://localhost:7878' });
  t.after(() => bus.close());
  const asked = [];
  bus.history = async (query) => {
    asked.push(query);
    return { messages: query.newest ? [message(-5)] : [message(-120), message(-5)], next: null };
  };
  let now = at(0);
  const timed = bus.timed(() => now);
  t.after(() => timed.close());
  const heard = [];
  timed.on('message', ({ value }) => heard.push(value));
  timed.on('back', (all) => heard.push(['back', ...all.map(({ value }) => value)]));
  sockets[0].open(at(-1) * 1000);
  const frame = (one) => ({ message: one, seq: one.seq, media: one.media });
  sockets[0].hear(frame(message(3)));
  await timed.recall();
  assert.deepEqual(heard, ['at -120', 'at -5']);
  now = at(3);
  t.mock.timers.tick(100);
  await turn();
  assert.deepEqual(heard, ['at -120', 'at -5', 'at 3']);
  now = at(-100);
  t.mock.timers.tick(100);
  assert.deepEqual(heard.at(-1), ['back', 'at -120']);
  assert.ok(asked.some(({ newest }) => newest) && asked.some(({ from }) => from < at(-100)));
  sockets[0].hear({ deleted: { seq: message(-5).seq, id: 'id-5' } });
  now = at(10);
  t.mock.timers.tick(100);
  assert.deepEqual(heard.slice(4), ['at 3']);
});
