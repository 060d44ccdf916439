import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withOpus } from '../lib/hls-player.js';
import { mediaAddress } from '../lib/http.js';
import { behindText, durationWords, DVR_DEFAULT_S, latencyOf, momentAt, positionAt, windowOf } from '../lib/moments.js';
import { bytesText, parseRecordings, posterOf, RECORDINGS_MAX, thumbnailAt } from '../lib/recordings.js';
import { parseSpace } from '../lib/spaces.js';
import { firstWay, isBarred, keepReason, keepWish, noticeOf, parseSeats, reasonToLeave, SILENT_MAX_MS, wish } from '../lib/ways.js';

const BASE = 'https://venue.example/demo';

/** A browser's storage, or one that is switched off. */
function storage(off = false) {
  const kept = new Map();
  const touch = (action) => {
    if (off) throw new Error('switched off');
    return action();
  };
  return { getItem: (name) => touch(() => kept.get(name) ?? null), setItem: (name, value) => touch(() => kept.set(name, value)), removeItem: (name) => touch(() => kept.delete(name)) };
}

test('a page begins with WebRTC unless somebody chose otherwise or it cannot', () => {
  const check = (way, known) => assert.equal(firstWay({ webrtc: true, hls: true, wish: null, barred: false, ...known }), way, JSON.stringify(known));
  check('webrtc', {});
  check('webrtc', { hls: null });
  check('webrtc', { hls: false });
  check('webrtc', { wish: 'webrtc', barred: true });
  check('hls', { wish: 'hls' });
  check('hls', { barred: true });
  check('hls', { webrtc: false });
  check('hls', { webrtc: false, hls: null });
  check(null, { wish: 'hls', hls: null });
  check(null, { barred: true, hls: null });
  check('webrtc', { wish: 'hls', hls: false });
  check('webrtc', { barred: true, hls: false });
});

test('WebRTC is left for HLS only for a reason, and only for a stage that HLS shows', () => {
  const fine = { full: false, refusal: null, canSeePicture: true, live: true, hls: true, reachable: true, silent_ms: 0 };
  const check = (reason, seen) => assert.equal(reasonToLeave({ ...fine, ...seen }), reason, JSON.stringify(seen));
  check(null, {});
  check('seats', { refusal: { kind: 'busy' } });
  check('seats', { full: true });
  check('blocked', { refusal: { kind: 'blocked' } });
  check('codec', { refusal: { kind: 'not-acceptable' } });
  check('codec', { canSeePicture: false });
  check(null, { refusal: { kind: 'not-live' } });
  check(null, { refusal: { kind: 'key' } });
  check(null, { refusal: { kind: 'unreachable' } });
  check(null, { silent_ms: SILENT_MAX_MS - 1 });
  check('silent', { silent_ms: SILENT_MAX_MS });
  check(null, { silent_ms: SILENT_MAX_MS, reachable: false });
  for (const nothing of [{ hls: false }, { live: false }]) check(null, { ...nothing, refusal: { kind: 'busy' }, silent_ms: 60_000 });
});

test('only a whole number of seats is one', () => {
  assert.deepEqual([{ free: 0 }, { free: 12, later: 1 }].map(parseSeats), [0, 12]);
  for (const nothing of [null, undefined, 7, {}, [], { free: -1 }, { free: '3' }, { free: 1.5 }, { free: NaN }, { free: 1e300 }]) assert.equal(parseSeats(nothing), null);
});

test('a choice outlives the page, a firewall outlives it as long as the tab, and a new choice forgets the firewall', (t) => {
  t.after(() => {
    delete globalThis.localStorage;
    delete globalThis.sessionStorage;
  });
  Object.assign(globalThis, { localStorage: storage(), sessionStorage: storage() });
  assert.deepEqual([wish(), isBarred()], [null, false]);
  keepReason('seats');
  assert.equal(isBarred(), false, 'seats become free');
  keepReason('silent');
  keepWish('hls');
  assert.deepEqual([wish(), isBarred()], ['hls', true]);
  keepWish('webrtc');
  assert.deepEqual([wish(), isBarred()], ['webrtc', false]);
  globalThis.localStorage.setItem('proscenium.way', '<b>');
  assert.equal(wish(), null);
  Object.assign(globalThis, { localStorage: storage(true), sessionStorage: storage(true) });
  keepWish('hls');
  assert.deepEqual([wish(), isBarred()], [null, false], 'storage that is switched off is no failure');
});

test('whoever is moved to HLS is told why', () => {
  for (const reason of ['seats', 'blocked', 'codec', 'silent']) assert.match(noticeOf(reason), /behind/);
  assert.equal(noticeOf(null), '');
});

const NOON = Date.parse('2026-11-28T12:00:00Z');
/** Three segments of 2 s, then 10 s without a performer, then two more. */
const SPANS = [0, 2, 4, 6, 8].map((start, place) => ({ start, duration: 2, programDateTime: NOON + start * 1000 + (place >= 3 ? 10_000 : 0) }));

test('positions and moments say the same, also around a pause of the performer', () => {
  for (const [position, seconds] of [[0, 0], [1.5, 1.5], [5.999, 5.999], [6, 16], [9, 19]]) {
    assert.equal(momentAt(SPANS, position), NOON + seconds * 1000, `position ${position}`);
    assert.ok(Math.abs(positionAt(SPANS, NOON + seconds * 1000) - position) < 1e-6, `moment ${seconds}`);
  }
  assert.equal(positionAt(SPANS, NOON + 12_000), 6, 'when nobody performed: where it went on');
  assert.equal(positionAt(SPANS, NOON - 60_000), 0);
  assert.equal(positionAt(SPANS, NOON + 3_600_000), 10);
});

test('without dates there are no moments', () => {
  const undated = SPANS.map((span) => ({ ...span, programDateTime: null }));
  assert.deepEqual([momentAt([], 1), momentAt(undated, 1), positionAt([], NOON), positionAt(undated, NOON)], [null, null, null, null]);
  assert.deepEqual([momentAt(SPANS, NaN), positionAt(SPANS, Infinity)], [null, null]);
});

test('a wrong clock does not make a latency', () => {
  const check = (expected, seen) => assert.equal(latencyOf(seen), expected, JSON.stringify(seen));
  check(1.8, { now: NOON + 1800, moment: NOON, edge_s: 1.5 });
  check(1.5, { now: NOON + 600_000, moment: NOON, edge_s: 1.5 });
  check(1.5, { now: NOON - 600_000, moment: NOON, edge_s: 1.5 });
  check(1.5, { now: NOON, moment: null, edge_s: 1.5 });
  check(0, { now: NOON, moment: null, edge_s: -3 });
  check(2, { now: NOON + 2000, moment: NOON, edge_s: null });
  check(null, { now: NOON - 2000, moment: NOON, edge_s: null });
  check(null, { now: NOON, moment: null, edge_s: null });
  check(null, { now: NOON, moment: null, edge_s: NaN });
});

test('the rewind window is what the playlist has, else what the venue says, else what it usually keeps', () => {
  const end = NOON + 10_000_000;
  const known = { end, since: NOON, dvr_s: null, first: end - 40_000, whole: false };
  const check = (start, more) => assert.deepEqual(windowOf({ ...known, ...more }), { start, end }, JSON.stringify(more));
  check(end - 40_000, { whole: true });
  check(end - 600_000, { dvr_s: 600 });
  check(end - DVR_DEFAULT_S * 1000, {});
  check(NOON + 9_000_000, { since: NOON + 9_000_000 });
  check(end - 40_000, { since: end - 1000 });
  check(end - 40_000, { since: null });
  check(end - 40_000, { since: end + 60_000 });
  check(end, { since: null, first: null });
});

test('how far behind reads as people say it', () => {
  const check = (seconds, text) => assert.equal(behindText(seconds), text, String(seconds));
  check(1.84, '1.8 s behind');
  check(9.99, '10.0 s behind');
  check(42.4, '42 s behind');
  check(320, '5:20 behind');
  check(3723, '1:02:03 behind');
  for (const nothing of [null, NaN, -1, Infinity]) check(nothing, '');
  assert.deepEqual([durationWords(0), durationWords(61), durationWords(3602), durationWords(NaN)], ['0 seconds', '1 minute 1 second', '1 hour 2 seconds', '0 seconds']);
});

const FILM = {
  id: 'abcd1234', stream: 'main', started: '2026-11-28T12:00:00Z', duration_s: 60, bytes: 8_400_000, state: 'finished', playlist: '/hls/demo/main/abcd1234/index.m3u8',
  mp4: '/hls/demo/main/abcd1234.mp4', thumbnails: [{ at_s: 10, url: '/t/10.jpg' }, { at_s: 0, url: '/t/0.jpg' }, { at_s: 20, url: '/t/20.jpg' }],
};

test('recordings are read leniently, the newest first', () => {
  const recordings = parseRecordings({
    later: 1,
    recordings: [
      FILM, { ...FILM, id: 'new', started: '2026-11-29T12:00:00Z', state: 'recording', mp4: null, duration_s: -4, bytes: 'many', thumbnails: 'none' },
      null, 7, 'x', [], {}, { ...FILM, id: '<b>' }, { ...FILM, stream: '../..' }, { ...FILM, started: 'yesterday' }, { ...FILM, started: 1e12 }, { ...FILM, playlist: null },
    ],
  }, BASE);
  assert.deepEqual(recordings.map(({ id, finished, duration_s, bytes, mp4 }) => [id, finished, duration_s, bytes, mp4]), [
    ['new', false, 0, 0, null],
    ['abcd1234', true, 60, 8_400_000, '/hls/demo/main/abcd1234.mp4'],
  ]);
  assert.deepEqual(recordings[1].thumbnails.map(({ at_s }) => at_s), [0, 10, 20]);
  assert.equal(posterOf(recordings[1]), '/t/10.jpg');
  assert.equal(posterOf(recordings[0]), null);
});

test('what is no list of recordings is refused, and a flood is cut', () => {
  for (const body of [null, undefined, 7, 'x', [], {}, { recordings: {} }]) assert.throws(() => parseRecordings(body, BASE), TypeError);
  const many = Array.from({ length: RECORDINGS_MAX + 5 }, (_, place) => ({ ...FILM, id: `r${place}` }));
  assert.equal(parseRecordings({ recordings: many }, BASE).length, RECORDINGS_MAX);
});

test('an address that is no HTTP address never becomes a link', () => {
  const check = (value, expected) => assert.equal(mediaAddress(value, BASE), expected, String(value));
  check('/hls/demo/main/index.m3u8', '/hls/demo/main/index.m3u8');
  check('https://venue.example/hls/x?dvr', '/hls/x?dvr');
  check('https://cdn.example/hls/x', 'https://cdn.example/hls/x');
  check('../hls/x', '/hls/x');
  for (const bad of ['javascript:alert(1)', 'data:text/html,x', 'blob:https://venue.example/1', 'http://[', '', null, 7, {}, [], 'x'.repeat(3000)]) {
    check(bad, null);
  }
  assert.deepEqual(parseRecordings({ recordings: [{ ...FILM, playlist: 'javascript:alert(1)' }, { ...FILM, mp4: 'javascript:alert(1)', thumbnails: [{ at_s: 1, url: 'javascript:x' }, { at_s: 'x', url: '/t' }, null] }] }, BASE)
    .map(({ mp4, thumbnails }) => [mp4, thumbnails]), [[null, []]]);
});

test('the picture under the pointer is the last one before that moment', () => {
  const recordings = parseRecordings({ recordings: [FILM] }, BASE);
  const start = Date.parse(FILM.started);
  const check = (seconds, picture, stream = 'main') => assert.equal(thumbnailAt(recordings, stream, start + seconds * 1000), picture, String(seconds));
  check(0, '/t/0.jpg');
  check(9.9, '/t/0.jpg');
  check(10, '/t/10.jpg');
  check(59, '/t/20.jpg');
  check(-1, null);
  check(61, null);
  check(10, null, 'camera-2');
  assert.equal(thumbnailAt([], 'main', start), null);
});

test('sizes read as people say them', () => {
  assert.deepEqual([bytesText(0), bytesText(NaN), bytesText(900), bytesText(8_400_000), bytesText(1_940_000_000)], ['', '', '1 kB', '8 MB', '1.9 GB']);
});

test('a stream says where its HLS is, and nonsense there is nothing', () => {
  const hlsOf = (hls) => parseSpace({ space: 'demo', streams: [{ name: 'main', hls }] }).streams[0].hls;
  assert.deepEqual(hlsOf({ url: '/hls/demo/main/index.m3u8', latency_target_s: 2, recording: true, later: 1 }), { url: '/hls/demo/main/index.m3u8', latency_target_s: 2, dvr_s: null, recording: true });
  assert.deepEqual(hlsOf({ url: '/x', latency_target_s: 'two', dvr_s: -1, recording: 'yes' }), { url: '/x', latency_target_s: null, dvr_s: null, recording: false });
  assert.equal(hlsOf({ url: '/x', dvr_s: 7200 }).dvr_s, 7200);
  for (const nothing of [null, undefined, true, 7, 'x', {}, { url: 'javascript:alert(1)' }, { url: 7 }]) assert.equal(hlsOf(nothing), null);
});

test('the sound as it was published is asked for beside whatever else is asked for', () => {
  assert.equal(withOpus('/live/demo.m3u8'), '/live/demo.m3u8?audio=opus');
  assert.equal(withOpus('/hls/demo/main/index.m3u8?dvr'), '/hls/demo/main/index.m3u8?dvr&audio=opus');
});
