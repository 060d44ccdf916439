import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { judge } from '../lib/conference-connection.js';
import { cameraEncodings, layersOf, rateFor, tuneLocal, tuneRemote } from '../lib/conference-encodings.js';
import { Feeds } from '../lib/conference-feeds.js';
import { identityFor, randomIdentity } from '../lib/conference-identity.js';
import { ENTRIES_MAX, MESSAGE_MAX, parse, participantOf } from '../lib/conference-messages.js';
import { People, SlotMap } from '../lib/conference-people.js';
import { digest } from '../lib/conference-stats.js';
import { tidy, TRACKS_MAX, WatchList } from '../lib/conference-watch.js';
import { preferFormats, preferredOrder } from '../lib/sdp.js';
import { dataOf, nameOf, spaceOfToken } from '../compat/openvidu-session.js';

const read = (value) => parse(JSON.stringify(value));

test('what is no message of the protocol is nothing', () => {
  for (const text of ['', '{', 'null', '[]', '7', '"welcome"', '{"type":7}', '{"type":"constructor"}', '{"type":"__proto__"}', '{"type":"later"}', undefined, new ArrayBuffer(4)]) {
    assert.equal(parse(text), null, String(text));
  }
  assert.equal(parse(`{"type":"restart","x":"${'x'.repeat(MESSAGE_MAX)}"}`), null);
  for (const value of [{ type: 'welcome' }, { type: 'answer', id: 1 }, { type: 'joined', participant: { name: 'x' } }, { type: 'left' }, { type: 'layers', source: 'nose' }, { type: 'muted' }]) {
    assert.equal(read(value), null, JSON.stringify(value));
  }
});

test('a welcome has all its fields, whatever is missing or senseless in it', () => {
  const welcome = read({
    type: 'welcome', id: 'p_1', media: 'odd', later: 1, permissions: { publish: true, screen: 'yes' }, participants: [{ id: 'p_1', feeds: [{ source: 'camera', audio: true }, { source: 'nose' }, null] }, {}, 7],
    ice_servers: [{ urls: 'turn:a', username: 'u', credential: 'c' }, { urls: [] }, { urls: [7, 'stun:b'] }],
  });
  assert.equal(welcome.media, 'new');
  assert.deepEqual(welcome.permissions, { publish: true, screen: false, music: false, stream: false, moderate: false });
  assert.deepEqual(welcome.ice_servers, [{ urls: ['turn:a'], username: 'u', credential: 'c' }, { urls: ['stun:b'] }]);
  assert.deepEqual(welcome.space, { name: '', locked: false, stage_only: false });
  assert.equal(welcome.participants.length, 1);
  assert.deepEqual(welcome.participants[0].feeds, [{ source: 'camera', audio: true, video: false, muted: { audio: false, video: false }, music: false, stream: null, layers: [] }]);
});

test('slots and speakers that make no sense are left out, and a flood is cut', () => {
  const slot = { mid: '4', kind: 'video', id: 'p', source: 'camera', state: 'paused' };
  assert.deepEqual(read({ type: 'slots', slots: [slot, { ...slot, mid: 4 }, { ...slot, kind: 'smell' }, { ...slot, state: 'later' }] }).slots, [slot, { ...slot, state: 'live' }]);
  assert.deepEqual(read({ type: 'speakers', active: [{ id: 'p', level: '3' }, 'x'] }), { type: 'speakers', dominant: null, active: [{ id: 'p', level: 127 }] });
  assert.equal(read({ type: 'slots', slots: Array.from({ length: ENTRIES_MAX + 5 }, () => slot) }).slots.length, ENTRIES_MAX);
  assert.equal(read({ type: 'error', code: 'full', retry_after: 5 }).retryAfterMs, 5000);
});

test('a closed connection is tried again, unless another attempt would not change anything', () => {
  const check = (code, error, state, retryAfterMs = 0) => {
    const verdict = judge(code, error && { message: '', request: 'join', retryAfterMs: 0, ...error });
    assert.deepEqual([verdict.state, verdict.retryAfterMs, verdict.error?.code ?? null], [state, retryAfterMs, error?.code ?? null], `${code} ${error?.code}`);
  };
  check(1006, null, null);
  check(1001, null, null);
  check(1005, { code: 'stopping' }, null);
  check(1013, { code: 'full', retryAfterMs: 3000 }, null, 3000);
  check(1008, null, null, 5000);
  check(1000, null, 'left');
  check(4001, null, 'replaced');
  check(4003, null, 'removed');
  for (const code of ['token_missing', 'token_expired', 'locked', 'version', 'name']) check(1000, { code }, 'refused');
  assert.equal(judge(4004, null).state, 'refused');
  assert.equal(judge(4004, null).error.code, 'token_invalid');
});

test('a watch list has each picture once, most important first, in sizes that settle', () => {
  assert.deepEqual(tidy([{ id: 'a', width: 321, height: 1, priority: 'pinned' }, { id: 'a', width: 9 }, { id: 'a', source: 'screen', width: 99_999, height: NaN, priority: 'most' }, { id: 7 }, { id: 'b', source: 'nose' }]), [
    { id: 'a', source: 'camera', width: 336, height: 16, priority: 'pinned' },
    { id: 'a', source: 'screen', width: 4096, height: 16, priority: 'normal' },
  ]);
  const many = Array.from({ length: 100 }, (_, place) => ({ id: `p${place}` }));
  assert.equal(tidy(many).length, TRACKS_MAX);
  assert.equal(tidy(many, 9).length, 9);
});

test('a grid that is laid out ten times tells the server once, and not again what it knows', async () => {
  const sent = [];
  let isOpen = true;
  const list = new WatchList((message) => isOpen && sent.push(message) > 0);
  list.flush();
  list.repeat();
  assert.equal(sent.length, 0, 'without a list the server decides');
  for (let width = 100; width < 110; width += 1) list.set([{ id: 'a', width }]);
  await sleep(130);
  assert.deepEqual(sent.map(({ tracks }) => tracks[0].width), [112]);
  list.set([{ id: 'a', width: 105 }]);
  list.flush();
  assert.equal(sent.length, 1);
  isOpen = false;
  list.set([]);
  list.flush();
  isOpen = true;
  list.repeat();
  assert.deepEqual(sent.at(-1), { type: 'watch', tracks: [] });
  list.stop();
});

const storage = (values = {}) => ({ values, getItem: (key) => values[key] ?? null, setItem: (key, value) => { values[key] = value; } });
/** Locks as browsers have them, shared by all tabs. */
function locks() {
  const held = new Set();
  return {
    held,
    async request(name, { signal }, callback) {
      while (held.has(name)) {
        if (signal.aborted) throw Object.assign(new Error('aborted'), { name: 'AbortError' });
        await sleep(5);
      }
      held.add(name);
      await callback();
      held.delete(name);
    },
  };
}
const names = () => {
  let made = 0;
  return () => `identity-${String(made += 1).padStart(12, '0')}`;
};

test('a reload is the same person, a duplicated tab another', async () => {
  const random = names();
  const shared = { locks: locks(), Channel: null, random };
  const tab = storage();
  const first = await identityFor('stage', { storage: tab, ...shared });
  const copy = await identityFor('stage', { storage: storage({ ...tab.values }), ...shared });
  assert.notEqual(copy.value, first.value);
  setTimeout(first.release, 50);
  await sleep(60);
  const reloaded = await identityFor('stage', { storage: tab, ...shared });
  assert.equal(reloaded.value, first.value);
  assert.notEqual((await identityFor('foyer', { storage: tab, ...shared })).value, first.value);
  reloaded.release();
  copy.release();
});

test('a second conference on a page is another person, and does not take the memory of the first', async () => {
  const shared = { storage: storage(), locks: locks(), Channel: null, random: names() };
  const [first, second] = [await identityFor('twice', shared), await identityFor('twice', shared)];
  assert.notEqual(first.value, second.value);
  assert.equal(shared.storage.getItem('proscenium.identity.twice'), first.value);
  first.release();
  second.release();
});

test('where locks are missing, tabs ask one another', async () => {
  const tab = storage();
  const first = await identityFor('stage', { storage: tab, locks: null, Channel: BroadcastChannel, random: randomIdentity });
  // The copy runs in another page, which does not share this one's memory.
  const { identityFor: elsewhere } = await import('../lib/conference-identity.js?another-page');
  const copy = await elsewhere('stage', { storage: storage({ ...tab.values }), locks: null, Channel: BroadcastChannel, random: randomIdentity });
  assert.notEqual(copy.value, first.value);
  first.release();
  copy.release();
});

test('an identity is made where nothing can be stored or locked, and a strange one is not used', async () => {
  const broken = { getItem() { throw new Error('denied'); }, setItem() { throw new Error('denied'); } };
  const identity = await identityFor('stage', { storage: broken, locks: { request: () => Promise.reject(new Error('insecure')) }, Channel: null, random: randomIdentity });
  assert.match(identity.value, /^[0-9a-f]{32}$/);
  identity.release();
  const odd = await identityFor('stage', { storage: storage({ 'proscenium.identity.stage': 'a b' }), locks: null, Channel: null, random: randomIdentity });
  assert.match(odd.value, /^[0-9a-f]{32}$/);
  odd.release();
});

test('slots say what reaches us, also when their sections come later than they do', () => {
  const map = new SlotMap();
  const tracks = new Map([['4', 'track 4'], ['5', 'track 5']]);
  const trackOf = (mid) => tracks.get(mid) ?? null;
  const slot = (mid, id, more = {}) => ({ mid, kind: 'video', id, source: 'camera', state: 'live', ...more });
  const told = (changes) => changes.map(({ id, track, state }) => `${id} ${track} ${state}`);
  assert.deepEqual(told(map.assign([slot('4', 'ada'), slot('9', 'bob')], trackOf)), ['ada track 4 live']);
  tracks.set('9', 'track 9');
  assert.deepEqual(told(map.assign(null, trackOf)), ['bob track 9 live']);
  assert.deepEqual(told(map.assign([slot('4', 'ada'), slot('9', 'bob')], trackOf)), []);
  // Ada's slot is given to Cleo: what ended comes first, so that a page never shows two under one name.
  assert.deepEqual(told(map.assign([slot('4', 'cleo'), slot('9', 'bob', { state: 'paused' })], trackOf)), ['ada null live', 'cleo track 4 live', 'bob track 9 paused']);
  assert.deepEqual(told(map.assign([slot('5', 'cleo')], trackOf)), ['bob null paused', 'cleo track 5 live']);
  assert.equal(map.get('cleo', 'camera', 'video').mid, '5');
  assert.deepEqual(told(map.clear()), ['cleo null live']);
  assert.deepEqual(told(map.assign(null, trackOf)), []);
});

test('people join, change and leave once each', () => {
  const people = new People();
  people.begin('p_1', [participantOf({ id: 'p_1', name: 'Ada' })]);
  assert.equal(people.self.name, 'Ada');
  assert.deepEqual([people.put(participantOf({ id: 'p_2' })), people.put(participantOf({ id: 'p_2', hand: 'now' }))], ['joined', 'updated']);
  people.quality.set('p_2', 'poor');
  assert.equal(people.remove('p_2').hand, 'now');
  assert.deepEqual([people.remove('p_2'), people.quality.size], [null, 0]);
});

const track = (kind, settings = {}) => Object.assign(new EventTarget(), { kind, contentHint: '', getSettings: () => settings });

/** A peer connection's senders, with what was done to them. */
function senders() {
  const all = new Map();
  const sender = (source, kind) => {
    const key = `${source} ${kind}`;
    if (!all.has(key)) {
      const parameters = { encodings: kind === 'video' && source === 'camera' ? cameraEncodings() : [{}] };
      all.set(key, { track: null, parameters, async replaceTrack(next) { this.track = next; }, getParameters: () => structuredClone(parameters), async setParameters(next) { parameters.encodings = next.encodings; } });
    }
    return all.get(key);
  };
  const mids = { 'camera audio': '0', 'camera video': '1', 'screen video': '2', 'screen audio': '3' };
  return { sender, midOf: (source, kind) => mids[`${source} ${kind}`] };
}

function feeds({ may = () => true } = {}) {
  const sent = [];
  const made = new Feeds({ send: (message) => sent.push(message) > 0, mayPublish: (source) => may(source), mayMusic: () => may('music'), music: false });
  const peer = senders();
  made.attach(peer);
  const events = [];
  made.addEventListener('feed', ({ detail: { source, feed, reason } }) => events.push(`${source} ${feed ? 'on' : 'off'} ${reason}`));
  return { feeds: made, sent, peer, events, types: () => sent.map(({ type, source }) => `${type} ${source}`) };
}

test('publishing and muting tells the server what changed and nothing else', async () => {
  const { feeds: own, sent, peer, types, events } = feeds();
  const [microphone, camera] = [track('audio'), track('video', { width: 1280, height: 720 })];
  await own.set('camera', { audio: microphone, video: camera });
  assert.deepEqual(sent[0], {
    type: 'publish', source: 'camera', audio: '0', video: '1', music: false, muted: { audio: false, video: false },
    layers: [{ rid: 'q', width: 320, height: 180 }, { rid: 'h', width: 640, height: 360 }, { rid: 'f', width: 1280, height: 720 }],
  });
  assert.equal(peer.sender('camera', 'audio').track, microphone);
  await own.mute('camera', { video: true });
  assert.equal(peer.sender('camera', 'video').track, null);
  await own.set('camera', { video: track('video', { width: 1280, height: 720 }) });
  assert.equal(peer.sender('camera', 'video').track, null, 'a new camera is muted as the old one was');
  await own.mute('camera', { video: true });
  assert.deepEqual(types(), ['publish camera', 'mute camera']);
  await own.set('camera', { video: null });
  await own.set('camera', { audio: null });
  assert.deepEqual(types().slice(2), ['publish camera', 'unpublish camera']);
  assert.deepEqual(events.at(-1), 'camera off own');
});

test('somebody else may mute or end a feed, and it stays so until its owner says otherwise', async () => {
  const { feeds: own, types, peer, events } = feeds();
  const microphone = track('audio');
  await own.set('camera', { audio: microphone });
  await own.obey('camera', { audio: true, video: false });
  assert.equal(peer.sender('camera', 'audio').track, null);
  await own.mute('camera', { audio: false });
  assert.equal(peer.sender('camera', 'audio').track, microphone);
  await own.revoke('camera');
  assert.equal(peer.sender('camera', 'audio').track, null);
  own.reconsider();
  assert.deepEqual(types(), ['publish camera', 'mute camera']);
  assert.deepEqual(events, ['camera on own', 'camera on muted', 'camera on own', 'camera off revoked']);
});

test('nothing leaves before it may: who is called on stage is seen at once', async () => {
  let may = false;
  const { feeds: own, types, peer } = feeds({ may: () => may });
  const camera = track('video');
  await own.set('camera', { video: camera });
  assert.deepEqual([types(), peer.sender('camera', 'video').track], [[], null]);
  may = true;
  own.reconsider();
  assert.deepEqual([types(), peer.sender('camera', 'video').track], [['publish camera'], camera]);
});

test('who joined with a camera but may not publish is seen when called on stage', async () => {
  let may = true; // Before the welcome nobody knows.
  const { feeds: own, types, peer, sent } = feeds({ may: () => may });
  const camera = track('video');
  await own.set('camera', { video: camera });
  own.announced();
  sent.length = 0;
  may = false;
  own.reconsider();
  await sleep(1);
  assert.deepEqual([types(), peer.sender('camera', 'video').track], [[], null]);
  may = true;
  own.reconsider();
  await sleep(1);
  assert.deepEqual([types(), peer.sender('camera', 'video').track], [['publish camera'], camera]);
});

test('music is only called so where it may be', async () => {
  let may = false;
  const { feeds: own, sent } = feeds({ may: (what) => what !== 'music' || may });
  await own.setMusic(true);
  const microphone = track('audio');
  await own.set('camera', { audio: microphone });
  assert.deepEqual([sent[0].music, microphone.contentHint], [false, 'music']);
  may = true;
  own.repeat(['camera']);
  assert.equal(sent[1].music, true);
});

test('a screen that is ended with the browser’s own button is unpublished, a camera that is unplugged leaves the sound', async () => {
  const { feeds: own, types, events } = feeds();
  const [screen, microphone, camera] = [track('video'), track('audio'), track('video')];
  await own.set('screen', { video: screen, audio: track('audio') });
  assert.equal(screen.contentHint, 'detail');
  screen.dispatchEvent(new Event('ended'));
  await own.set('camera', { audio: microphone, video: camera });
  camera.dispatchEvent(new Event('ended'));
  assert.equal(own.get('camera').audio, microphone);
  assert.equal(own.get('camera').video, null);
  assert.deepEqual(types(), ['publish screen', 'unpublish screen', 'publish camera', 'publish camera']);
  assert.deepEqual(events, ['screen on own', 'screen off ended', 'camera on own', 'camera on ended']);
});

test('layers that nobody watches rest, and a new connection begins with all', async () => {
  const { feeds: own, peer } = feeds();
  await own.set('camera', { video: track('video', { width: 640, height: 360 }) });
  own.setWatched('camera', [true, false, false]);
  await sleep(5);
  assert.deepEqual(peer.sender('camera', 'video').parameters.encodings.map(({ active }) => active), [true, false, false]);
  const next = senders();
  own.attach(next);
  await sleep(5);
  assert.deepEqual(next.sender('camera', 'video').parameters.encodings.map(({ active }) => active), [true, true, true]);
});

test('after a reconnection the server is told everything again, also what ended meanwhile', async () => {
  const { feeds: own, types } = feeds();
  await own.set('camera', { audio: track('audio') });
  own.repeat(['camera', 'screen']);
  assert.deepEqual(types(), ['publish camera', 'publish camera', 'unpublish screen']);
  own.repeat([]);
  assert.deepEqual(types().slice(3), ['publish camera']);
});

test('a join carries the feeds, and they are not told twice', async () => {
  const { feeds: own, sent } = feeds();
  await own.set('screen', { video: track('video') });
  sent.length = 0;
  assert.deepEqual(own.announced().map(({ source, audio, video, layers }) => [source, audio, video, layers[0].rid]), [['screen', null, '2', '']]);
  own.reconsider();
  assert.deepEqual(sent, []);
});

test('smaller pictures get less, larger ones more, and layers are never empty', () => {
  assert.deepEqual([rateFor(1_500_000, { width: 1280, height: 720 }), rateFor(1_500_000, {})], [1_500_000, 1_500_000]);
  assert.ok(rateFor(1_500_000, { width: 640, height: 360 }) < 600_000);
  assert.ok(rateFor(1_500_000, { width: 1920, height: 1080 }) > 2_000_000);
  assert.deepEqual(layersOf({ width: 3, height: 2 }, 'camera')[0], { rid: 'q', width: 1, height: 1 });
  assert.deepEqual(layersOf({}, 'screen'), [{ rid: '', width: 1280, height: 720 }]);
});

const SOUND = ['0', '3', '4'].map((mid) => `m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0\r\na=mid:${mid}\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n`);
const SDP = `v=0\r\n${SOUND.join('')}`;
const partOf = (sdp, mid) => sdp.split(/^(?=m=)/m).find((text) => text.includes(`a=mid:${mid}\r\n`));

test('the server’s description makes speech thrifty and music whole', () => {
  const rules = { microphone: '0', screen: '3', music: false, red: true, codecs: [] };
  const speech = tuneRemote(SDP, rules);
  assert.match(partOf(speech, '0'), /^m=audio 9 UDP\/TLS\/RTP\/SAVPF 63 111 0\r\n/);
  assert.match(partOf(speech, '0'), /usedtx=1/);
  assert.match(partOf(speech, '3'), /SAVPF 111 63 0.*stereo=1;maxaveragebitrate=128000;usedtx=0/s);
  assert.equal(partOf(speech, '4'), SOUND[2]);
  const music = tuneRemote(SDP, { ...rules, music: true });
  assert.match(partOf(music, '0'), /SAVPF 111 63 0.*stereo=1;maxaveragebitrate=256000;usedtx=0/s);
  assert.equal(tuneRemote(SDP, { ...rules, microphone: null, screen: null }), SDP);
});

test('pictures are sent in the codec that is preferred here, whatever the server names first', () => {
  const video = (direction) => `v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 108 109 127 96 97\r\na=mid:1\r\na=${direction}\r\na=rtpmap:108 H264/90000\r\na=rtpmap:109 rtx/90000\r\na=rtpmap:127 H264/90000\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\n`;
  const order = (direction, codecs) => /SAVPF ([\d ]+)/.exec(tuneRemote(video(direction), { microphone: '0', screen: '3', music: false, red: true, codecs }))[1];
  assert.equal(order('recvonly', ['VP8']), '96 108 109 127 97');
  assert.equal(order('recvonly', ['av1', 'h264', 'vp8']), '108 127 96 109 97');
  assert.equal(order('sendonly', ['VP8']), '108 109 127 96 97', 'what the server sends is its own');
});

test('our own description asks for two channels of everybody else', () => {
  const local = tuneLocal(SDP.replace('a=mid:0\r\n', 'a=mid:0\r\na=sendonly\r\n').replace('a=mid:4\r\n', 'a=mid:4\r\na=recvonly\r\n'));
  assert.deepEqual(['0', '3', '4'].map((mid) => /stereo=1/.test(partOf(local, mid))), [false, false, true]);
});

test('codecs are ordered as preferred and redundancy is moved, not made', () => {
  const codecs = ['video/rtx', 'video/VP9', 'video/H264', 'video/VP8', 'video/red'].map((mimeType) => ({ mimeType }));
  assert.deepEqual(preferredOrder(codecs, ['VP8', 'h264']).map(({ mimeType }) => mimeType), ['video/VP8', 'video/H264', 'video/VP9', 'video/rtx', 'video/red']);
  const without = SDP.replace(/a=rtpmap:63[^\r]*\r\n/g, '');
  assert.equal(preferFormats(without, ['red'], () => true), without);
  const refused = SDP.replaceAll(' 111 63 0', ' 111 0');
  assert.equal(preferFormats(refused, ['red'], () => true), refused);
});

test('figures say whose they are', () => {
  const report = new Map([
    { id: 'v', type: 'inbound-rtp', kind: 'video', mid: '7', framesDecoded: 9, packetsReceived: 20, codecId: 'c' },
    { id: 'a', type: 'inbound-rtp', kind: 'audio', mid: '4', totalAudioEnergy: 0.5 },
    { id: 'o', type: 'outbound-rtp', kind: 'video', mid: '1', rid: 'h', active: false },
    { id: 'p', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.021 },
    { id: 'c', type: 'codec', mimeType: 'video/VP8' },
  ].map((entry) => [entry.id, entry]));
  const { inbound, outbound, roundTrip_ms } = digest(report, [{ mid: '7', id: 'ada', source: 'camera' }]);
  assert.deepEqual(inbound.map(({ id, kind, frames, energy, codec }) => [id, kind, frames, energy, codec]), [['ada', 'video', 9, 0, 'VP8'], ['', 'audio', 0, 0.5, '']]);
  assert.deepEqual([outbound[0].rid, outbound[0].active, roundTrip_ms], ['h', false, 21]);
});

const tokenOf = (claims) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;

test('a token names the session that an OpenVidu page connects to', () => {
  assert.equal(spaceOfToken(tokenOf({ space: 'residence', name: 'Zoë ✓' })), 'residence');
  assert.equal(spaceOfToken('wss://venue.example?sessionId=residence&token=abc'), 'residence');
  assert.equal(spaceOfToken(`wss://venue.example?token=${tokenOf({ space: 'foyer' })}`), 'foyer');
  for (const token of ['', 'abc', 'a.b.c', tokenOf({}), tokenOf({ space: '*' }), tokenOf(null), 'wss://venue.example']) assert.throws(() => spaceOfToken(token), /POST \/api\/tokens/, token);
});

test('what an OpenVidu page connects with reaches the others as text, and gives a name', () => {
  assert.equal(dataOf({ userId: 'abc', userName: 'Ada' }), '{"userId":"abc","userName":"Ada"}');
  assert.deepEqual([dataOf(undefined), dataOf('plain')], [null, 'plain']);
  assert.throws(() => dataOf('ä'.repeat(300)), /600 bytes; at most 512/);
  assert.deepEqual([dataOf({ userName: 'Ada' }), 'Bob', '{"clientData":"Cleo"}', '7', null, '{"userName":"  "}', '{"userName":"a\\u0000b"}'].map(nameOf), ['Ada', 'Bob', 'Cleo', '7', 'Guest', 'Guest', 'a b']);
  assert.equal(nameOf('🎭'.repeat(80)).length, 128);
});
