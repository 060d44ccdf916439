import assert from 'node:assert/strict';
import test from 'node:test';
import { parseLayers, qualitiesOf, Qualities } from '../lib/layers.js';
import { parseSpace } from '../lib/spaces.js';
import { firstWay, noticeOf, reasonToLeave } from '../lib/ways.js';

const DESCRIBED = {
  1: {
    active: [], inactive: [],
    layers: [
      { encodingId: 'q', bitrate: 120_000, spatialLayerId: 0 }, { encodingId: 'h', bitrate: 480_000, spatialLayerId: 0 }, { encodingId: 'f', bitrate: 1_400_000, spatialLayerId: 0 },
    ],
  },
};

test('the layers of a simulcast are a menu, best first', () => {
  const qualities = qualitiesOf(parseLayers(DESCRIBED));
  assert.deepEqual(qualities.map(({ id, name, label }) => [id, name, label]), [[0, 'f', 'High'], [1, 'h', 'Medium'], [2, 'q', 'Low']]);
});

test('qualities are called by their sizes where all are known', () => {
  const of = (sizes) => qualitiesOf(parseLayers({ 0: { layers: sizes.map(([width, height], at) => ({ encodingId: String(at), bitrate: 100 + at, width, height })) } })).map(({ label }) => label);
  assert.deepEqual(of([[320, 180], [1280, 720]]), ['720p', '180p']);
  assert.deepEqual(of([[360, 640], [720, 1280]]), ['720p', '360p']);
  assert.deepEqual(of([[undefined, undefined], [1280, 720]]), ['High', 'Low']);
  assert.deepEqual(of([[1280, 720], [1280, 720]]), ['High', 'Low']);
});

test('what does not come, comes twice or is no description is no choice', () => {
  assert.deepEqual(qualitiesOf(parseLayers({ 0: { layers: [{ encodingId: 'q', bitrate: 1 }, { encodingId: 'h' }] } })), []);
  const svc = [{ encodingId: '0', bitrate: 1, spatialLayerId: 0 }, { encodingId: '0', bitrate: 2, spatialLayerId: 1 }];
  assert.deepEqual(parseLayers({ 0: { layers: svc } }), [{ name: '0', bitrate_bps: 2, height: 0 }]);
  for (const nonsense of [null, 1, 'x', [], {}, { 0: null }, { 0: { layers: [null, { encodingId: 3 }] } }]) assert.deepEqual(parseLayers(nonsense), []);
});

test('a choice is told, kept for the next session, and dropped when the venue refuses it', async () => {
  const asked = [];
  let takes = true;
  const client = /** @type {any} */ ({ layers: async () => parseLayers(DESCRIBED), chooseLayer: async (name) => (asked.push(name), takes) });
  const qualities = new Qualities();
  await qualities.read(client);
  await qualities.choose(client, 2);
  assert.equal(qualities.level, 2);
  qualities.restore(client);
  await qualities.choose(client, -1);
  qualities.restore(client);
  assert.deepEqual(asked, ['q', 'q', null]);
  takes = false;
  await qualities.choose(client, 0);
  assert.equal(qualities.level, -1);
  await qualities.read(null);
  assert.deepEqual(qualities.levels, []);
});

test('a stream with B-frames is watched by HLS wherever there is HLS, and why is said', () => {
  const { streams: [stream] } = parseSpace({ space: 's', streams: [{ name: 'main', live: true, trouble: [{ code: 'b-frames', text: 'Set bframes=0.' }, null, { text: 'x' }] }] });
  assert.deepEqual(stream.trouble, [{ code: 'b-frames', text: 'Set bframes=0.' }]);
  const known = { webrtc: true, wish: null, barred: false, jerky: true };
  assert.equal(firstWay({ ...known, hls: true }), 'hls');
  assert.equal(firstWay({ ...known, hls: false }), 'webrtc');
  assert.equal(firstWay({ ...known, hls: true, wish: 'webrtc' }), 'hls');
  const seen = { full: false, refusal: null, canSeePicture: true, live: true, hls: true, reachable: true, silent_ms: 0 };
  assert.equal(reasonToLeave({ ...seen, jerky: true }), 'jerky');
  assert.equal(reasonToLeave({ ...seen, jerky: true, hls: false }), null);
  assert.equal(reasonToLeave(seen), null);
  assert.match(noticeOf('jerky'), /jerky without delay/);
});
