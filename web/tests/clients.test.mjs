import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff, DELAY_FIRST_MS, DELAY_MAX_MS, sleep } from '../lib/backoff.js';
import { after, isTrying } from '../lib/states.js';
import { FROZEN_AFTER_MS, summarize, Watchdog } from '../lib/stats.js';

test('delays double from half a second to eight, each within its upper half', () => {
  const longest = new Backoff(() => 0.999999);
  assert.deepEqual(Array.from({ length: 7 }, () => longest.next()), [500, 1000, 2000, 4000, 8000, 8000, 8000]);
  const shortest = new Backoff(() => 0);
  assert.deepEqual(Array.from({ length: 6 }, () => shortest.next()), [250, 500, 1000, 2000, 4000, 4000]);
});

test('two clients that failed together do not come back together', () => {
  const [left, right] = [new Backoff(() => 0.1), new Backoff(() => 0.9)];
  assert.notEqual(left.next(), right.next());
});

test('a delay is never shorter than what the server asked for', () => {
  assert.equal(new Backoff(() => 0).next(3000), 3000);
  assert.equal(new Backoff(() => 0.999999).next(100), DELAY_FIRST_MS);
});

test('after a reset the delays begin anew, and ten thousand failures overflow nothing', () => {
  const backoff = new Backoff(() => 0.999999);
  for (let times = 0; times < 10_000; times += 1) assert.ok(backoff.next() <= DELAY_MAX_MS);
  backoff.reset();
  assert.equal(backoff.tries, 0);
  assert.equal(backoff.next(), DELAY_FIRST_MS);
});

test('a sleep ends at once when woken, before or during', async () => {
  const woken = new AbortController();
  const during = sleep(60_000, woken.signal);
  woken.abort();
  await during;
  await sleep(60_000, AbortSignal.abort());
});

test('a viewer waits, sees, loses and sees again', () => {
  const path = ['start', 'not-live', 'not-live', 'connected', 'lost', 'lost', 'connected', 'stop'];
  let state = 'idle';
  const seen = path.map((step) => (state = after(state, step)));
  assert.deepEqual(seen, ['connecting', 'waiting', 'waiting', 'live', 'reconnecting', 'reconnecting', 'live', 'closed']);
});

test('a refusal ends the trying until somebody starts again', () => {
  assert.equal(after('connecting', 'refused'), 'failed');
  for (const late of ['connected', 'lost', 'not-live', 'refused']) assert.equal(after('failed', late), null, late);
  assert.equal(after('failed', 'start'), 'connecting');
});

test('after stopping, late events mean nothing', () => {
  for (const late of ['connected', 'lost', 'not-live', 'refused', 'stop']) assert.equal(after('closed', late), null, late);
  assert.equal(after('closed', 'start'), 'connecting');
});

test('only states that work by themselves are trying', () => {
  const states = ['idle', 'connecting', 'live', 'reconnecting', 'waiting', 'failed', 'closed'];
  assert.deepEqual(states.filter(isTrying), ['connecting', 'live', 'reconnecting', 'waiting']);
});

const report = (...entries) => new Map(entries.map((entry) => [entry.id, entry]));

test('a viewer’s figures are differences between two readings', () => {
  const reading = (timestamp, bytes, packets, lost, frames) => report(
    { id: 'v', type: 'inbound-rtp', kind: 'video', timestamp, bytesReceived: bytes, packetsReceived: packets, packetsLost: lost, framesDecoded: frames, frameWidth: 1280, frameHeight: 720, framesPerSecond: 29.6, codecId: 'c' },
    { id: 'a', type: 'inbound-rtp', kind: 'audio', timestamp, bytesReceived: 0, packetsReceived: 50, packetsLost: 0, codecId: 'o' },
    { id: 'c', type: 'codec', mimeType: 'video/H264' }, { id: 'o', type: 'codec', mimeType: 'audio/opus' },
    { id: 'p', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.0424 },
  );
  const first = summarize(reading(1000, 1000, 100, 0, 10), null);
  assert.equal(first.summary.bitrate_bps, null);
  const { summary } = summarize(reading(2000, 126_000, 190, 10, 40), first.sample);
  assert.deepEqual(summary, {
    bitrate_bps: 1_000_000, loss: 0.1, roundTrip_ms: 42, fps: 30, width: 1280, height: 720, codec: 'H264', frames: 40, videoBytes: 126_000, audioPackets: 50, limitation: null,
  });
});

test('a performer’s figures come from the far end and add all layers up', () => {
  const layer = (id, height, bytes) => ({ id, type: 'outbound-rtp', kind: 'video', timestamp: 1000, bytesSent: bytes, packetsSent: 10, framesEncoded: 5, frameWidth: height * 2, frameHeight: height, framesPerSecond: 30, qualityLimitationReason: height > 500 ? 'cpu' : 'none' });
  const { summary, sample } = summarize(report(layer('q', 180, 100), layer('f', 720, 900), layer('h', 360, 300),
    { id: 'r', type: 'remote-inbound-rtp', kind: 'video', packetsLost: 3, fractionLost: 0.02, roundTripTime: 0.1 }), null);
  assert.deepEqual([summary.width, summary.height, summary.limitation, summary.frames, summary.roundTrip_ms], [1440, 720, 'cpu', 15, 100]);
  assert.equal(sample.bytes, 1300);
});

test('an empty report has no figures and no errors', () => {
  const { summary } = summarize(new Map(), null);
  assert.deepEqual([summary.bitrate_bps, summary.loss, summary.codec, summary.fps], [null, null, null, null]);
});

const reading = (frames, audioPackets = 0, videoBytes = frames * 1000) => ({ frames, videoBytes, audioPackets });

test('a picture that stands still for five seconds is frozen, though the sound goes on', () => {
  const watchdog = new Watchdog();
  const picture = { video: true };
  assert.equal(watchdog.isFrozen(0, reading(1, 50), picture), false);
  assert.equal(watchdog.isFrozen(1000, reading(30, 100), picture), false);
  assert.equal(watchdog.isFrozen(1000 + FROZEN_AFTER_MS - 1, reading(30, 300), picture), false);
  assert.equal(watchdog.isFrozen(1000 + FROZEN_AFTER_MS, reading(30, 350), picture), true);
});

test('a connection that never brings anything is frozen too', () => {
  const watchdog = new Watchdog();
  assert.equal(watchdog.isFrozen(0, reading(0), { video: true }), false);
  assert.equal(watchdog.isFrozen(FROZEN_AFTER_MS, reading(0), { video: true }), true);
});

test('sound alone is enough where no picture ever came', () => {
  const watchdog = new Watchdog();
  for (let second = 0; second < 20; second += 1) assert.equal(watchdog.isFrozen(second * 1000, reading(0, second * 50), { video: true }), false);
});

test('after each vain reconnection the next one waits longer, until pictures move again', () => {
  const watchdog = new Watchdog();
  const freeze = (from) => {
    watchdog.begin();
    let now = from;
    while (!watchdog.isFrozen(now, reading(1), { video: true })) now += 1000;
    return now - from;
  };
  assert.deepEqual([freeze(0), freeze(100_000), freeze(200_000), freeze(300_000), freeze(400_000)], [5000, 10_000, 20_000, 40_000, 40_000]);
  watchdog.begin();
  for (let second = 0; second < 5; second += 1) watchdog.isFrozen(500_000 + second * 1000, reading(second), { video: true });
  assert.equal(freeze(600_000), 5000);
});
