import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { compareStreams, endpoint, isName, isSpaceName, labelOfStream, RESERVED, spaceOfPath, spaceOfTyped, streamOfCamera, streamOfHash, streamOfSession } from '../lib/names.js';
import { cameraConstraints, contextProblem, encodings, explain, microphoneConstraints, PRESETS, presetOf } from '../lib/media.js';
import { advice, bitrateText, reportOf, vitals } from '../lib/performance.js';
import { Refusal } from '../lib/http.js';
import { parseSpace, STREAMS_MAX, viewersOf } from '../lib/spaces.js';
import { statusOf } from '../lib/status.js';
import { clockText } from '../lib/words.js';

const root = new URL('../', import.meta.url);
const text = (path) => readFileSync(new URL(path, root), 'utf8');
const files = (folder, ending) => readdirSync(new URL(folder, root)).filter((name) => name.endsWith(ending)).map((name) => `${folder}${name}`);
const PAGES = ['index.html', 'space.html', 'perform.html', 'meet.html'];
const SCRIPTS = ['lib/', 'pages/', 'components/', 'composables/', 'compat/'].flatMap((folder) => files(folder, '.js'));

test('a path names its space', () => {
  const check = (path, space) => assert.equal(spaceOfPath(path), space, path);
  check('/residence', 'residence');
  check('/residence/perform', 'residence');
  check('/r%C3%A9sidence', null);
  check('/%zz', null);
  check('/', null);
  check('/whip/residence', null);
  check('/WEB', null);
  check(`/${'a'.repeat(64)}`, 'a'.repeat(64));
  check(`/${'a'.repeat(65)}`, null);
});

test('names are letters, digits, hyphens, underscores and dots', () => {
  for (const name of ['a', 'A-1_b.c', '...', 'main']) assert.equal(isName(name), true, name);
  for (const name of ['', '.', '..', 'a b', 'a/b', 'ä', 'a'.repeat(65)]) assert.equal(isName(name), false, name);
  assert.equal(isSpaceName('Whip'), false);
});

test('the pages keep the same words free as the server', () => {
  const list = /RESERVED: &\[&str\] = &\[([^\]]*)\]/.exec(text('../signaling/venue/src/names.rs'))[1];
  assert.deepEqual([...RESERVED].sort(), [...list.matchAll(/"([^"]+)"/g)].map((found) => found[1]).sort());
});

test('what people type or paste leads to a space, or says why not', () => {
  const check = (typed, space) => assert.deepEqual(spaceOfTyped(typed), { space }, typed);
  check('  residence ', 'residence');
  check('/residence/perform', 'residence');
  check('https://venue.example/residence#camera-2', 'residence');
  check('summer night', 'summer-night');
  for (const [typed, problem] of [['', /Enter the word/], ['whip', /needs for itself/], ['café', /letters a to z/], ['a'.repeat(70), /this has 70/], ['http://', /cannot be read/]]) {
    assert.match(spaceOfTyped(typed).problem, problem, typed);
  }
});

test('cameras are called cameras, other streams by their own names', () => {
  assert.equal(labelOfStream('main'), 'Camera 1');
  assert.equal(labelOfStream('camera-2'), 'Camera 2');
  assert.equal(labelOfStream('cam03'), 'Camera 3');
  assert.equal(labelOfStream('drone_from-above'), 'Drone from above');
  assert.equal(labelOfStream('main', ['main', 'camera-1']), 'Main');
  assert.deepEqual([1, 2, 4].map(streamOfCamera), ['main', 'camera-2', 'camera-4']);
  assert.deepEqual(['camera-10', 'b', 'camera-2', 'main'].sort(compareStreams), ['main', 'b', 'camera-2', 'camera-10']);
});

test('addresses of streams leave the default one out', () => {
  assert.equal(endpoint('whep', 'demo', 'main'), '/whep/demo');
  assert.equal(endpoint('whip', 'demo', 'camera-2'), '/whip/demo/camera-2');
  assert.equal(streamOfHash('#camera-2'), 'camera-2');
  assert.equal(streamOfHash('#<b>'), null);
  assert.equal(streamOfHash(''), null);
});

test('a space is read leniently: unknown fields and senseless streams are left out', () => {
  const space = parseSpace({
    space: 'demo', later: true,
    streams: [
      { name: 'camera-2', live: false, since: null, viewers: -4, tracks: null },
      { name: 'main', live: true, since: '2026-11-22T18:00:00Z', viewers: 3, tracks: [{ kind: 'video', codec: 'H264', layers: 1 }, { kind: 'smell' }] },
      { name: '<script>' }, null, 'x', { name: 'odd', live: 'yes', since: 'yesterday', viewers: 1.5 },
    ],
  });
  assert.deepEqual(space.streams.map(({ name, live, viewers }) => [name, live, viewers]), [['main', true, 3], ['camera-2', false, 0], ['odd', false, 0]]);
  assert.deepEqual(space.streams[0].tracks, [{ kind: 'video', codec: 'H264', layers: 1 }]);
  assert.equal(space.streams[0].since.toISOString(), '2026-11-22T18:00:00.000Z');
  assert.equal(space.streams[2].since, null);
  assert.equal(viewersOf(space), 3);
  assert.equal(viewersOf(null), 0);
});

test('what is no space is refused, and a flood of streams is cut', () => {
  for (const body of [null, 7, {}, { space: 'a' }, { streams: [] }]) assert.throws(() => parseSpace(body), TypeError);
  const streams = Array.from({ length: STREAMS_MAX + 1 }, (_, place) => ({ name: `s${place}` }));
  assert.equal(parseSpace({ space: 'a', streams }).streams.length, STREAMS_MAX);
  const cameras = [{ stream: 'main', trouble: 'the camera sends VP8' }, { stream: 'main' }, null, 7];
  assert.deepEqual(parseSpace({ space: 'a', streams: [], cameras }).cameras, [{ stream: 'main', trouble: 'the camera sends VP8' }]);
  assert.deepEqual(parseSpace({ space: 'a', streams: [], cameras: 'none' }).cameras, []);
});

const SNAPSHOT = { state: 'connecting', refusal: null, stream: 'main', streams: [], viewers: 0, reachable: true, known: true, wasLive: false, canSeePicture: true, hasPicture: false, soundOnly: false, muted: true, blocked: false, held: false, way: 'webrtc', switching: null, ways: { webrtc: true, hls: false }, reason: null, recording: null };
const kindOf = (changes, surroundings) => statusOf({ ...SNAPSHOT, ...changes }, surroundings).kind;

test('the stage says what a viewer needs to know', () => {
  const check = (kind, changes, surroundings) => assert.equal(kindOf(changes, surroundings), kind, JSON.stringify(changes));
  check('connecting', {});
  check('connecting', { state: 'live' });
  check('live', { state: 'live', hasPicture: true });
  check('waiting', { state: 'waiting' });
  check('ended', { state: 'waiting', wasLive: true });
  check('reconnecting', { state: 'waiting', wasLive: true, hasPicture: true });
  check('dark', { state: 'waiting', streams: [{ name: 'camera-2', live: true }] });
  check('reconnecting', { state: 'reconnecting', wasLive: true, hasPicture: true });
  check('offline', { state: 'reconnecting', reachable: false });
  check('offline', { state: 'waiting', reachable: false });
  check('offline', { state: 'reconnecting', refusal: new Refusal('unreachable', '') });
  check('offline', { state: 'reconnecting', refusal: new Refusal('blocked', '') });
  check('offline', { state: 'connecting' }, { online: false });
  check('live', { state: 'live', hasPicture: true }, { online: false });
  check('full', { state: 'reconnecting', refusal: new Refusal('busy', 'full') });
  check('unsupported', { state: 'failed', refusal: new Refusal('not-acceptable', '') });
  check('refused', { state: 'failed', refusal: new Refusal('key', '') });
  check('refused', { state: 'failed', refusal: null });
});

test('words over a last picture are a note, not a curtain', () => {
  assert.equal(statusOf({ ...SNAPSHOT, state: 'reconnecting', wasLive: true, hasPicture: true }).over, false);
  assert.equal(statusOf({ ...SNAPSHOT, state: 'reconnecting', wasLive: true }).over, true);
});

test('a performer is told what to do about every refusal', () => {
  const check = (kind, hasKey, title) => assert.match(reportOf('failed', new Refusal(kind, 'reason'), { hasKey, camera: 'Camera 2' }).title, title);
  check('key', false, /has a key/);
  check('key', true, /not the key/);
  check('taken', false, /Someone else is live/);
  check('replaced', false, /Live from somewhere else/);
  check('not-acceptable', false, /No format/);
  check('refused', false, /did not work/);
  assert.match(reportOf('failed', new Refusal('taken', ''), { hasKey: false, camera: 'Camera 2' }).text, /Camera 2 is taken/);
  assert.match(reportOf('reconnecting', new Refusal('blocked', ''), { hasKey: false, camera: 'Camera 1' }).title, /gets through/);
  assert.equal(reportOf('live', null, { hasKey: false, camera: 'Camera 1' }).kind, 'live');
  assert.equal(reportOf('idle', null, { hasKey: false, camera: 'Camera 1' }).kind, 'off');
});

test('a session says which camera it belongs to', () => {
  const check = (resource, stream) => assert.equal(streamOfSession(resource), stream, String(resource));
  check('https://venue.example/whip/residence/main/0b2f6d0e', 'main');
  check('https://venue.example/whip/residence/camera-2/0b2f6d0e', 'camera-2');
  check('https://venue.example/', null);
  check('', null);
  check(undefined, null);
  check('https://venue.example/whip/a/%zz/b', null);
});

test('a performer and a backup are told who of them is to be seen', () => {
  const check = (isBackup, backup, kind, title) => {
    const report = reportOf('live', null, { hasKey: true, camera: 'Camera 1', isBackup, backup });
    assert.equal(report.kind, kind, report.title);
    assert.match(report.title, title);
  };
  check(false, null, 'live', /You are live/);
  check(false, 'standby', 'live', /You are live/);
  check(false, 'on_air', 'trouble', /backup is on air/);
  check(true, null, 'working', /stand by/);
  check(true, 'standby', 'working', /stand by/);
  check(true, 'on_air', 'live', /backup is on air/);
  assert.match(reportOf('failed', new Refusal('taken', 'a backup needs the token'), { hasKey: false, camera: 'Camera 1', isBackup: true }).text, /token/);
  const streams = ['standby', 'on_air', 'else', undefined].map((backup, place) => ({ name: `s${place}`, live: true, backup }));
  assert.deepEqual(parseSpace({ space: 'a', streams }).streams.map(({ backup }) => backup), ['standby', 'on_air', null, null]);
  const slates = [true, false, 'else', undefined].map((slate, place) => ({ name: `s${place}`, live: false, slate }));
  assert.deepEqual(parseSpace({ space: 'a', streams: slates }).streams.map(({ slate }) => slate), [true, false, false, false]);
});

test('figures read as people say them', () => {
  assert.deepEqual([bitrateText(null), bitrateText(64_400), bitrateText(2_540_000)], ['–', '64 kbit/s', '2.5 Mbit/s']);
  assert.deepEqual([clockText(null), clockText(999), clockText(245_000), clockText(3_723_000)], ['–', '0:00', '4:05', '1:02:03']);
  const summary = { bitrate_bps: 1, loss: 0.081, roundTrip_ms: 20, fps: 30, width: 1280, height: 720, codec: 'H264', frames: 1, videoBytes: 1, audioPackets: 1, limitation: null };
  assert.deepEqual(vitals(summary, 1200, 0).filter(({ bad }) => bad).map(({ label, value }) => [label, value]), [['Loss', '8.1 %']]);
  assert.equal(vitals(summary, 1200, 0)[0].value, '1,200');
  assert.match(advice(summary, 60_000), /loses packets/);
  assert.equal(advice({ ...summary, loss: 0, limitation: 'bandwidth' }, 2000), '', 'a browser needs some seconds to find its rate');
});

test('music is taken as it is played, speech is cleaned', () => {
  const music = microphoneConstraints(true, 'mic');
  assert.deepEqual([music.echoCancellation, music.noiseSuppression, music.autoGainControl, music.channelCount.ideal, music.deviceId.exact], [false, false, false, 2, 'mic']);
  assert.deepEqual([microphoneConstraints(false).echoCancellation, microphoneConstraints(false).deviceId], [true, undefined]);
});

test('a preset asks for its size without insisting', () => {
  assert.deepEqual(cameraConstraints(presetOf('1080p60')), { width: { ideal: 1920 }, height: { ideal: 1080 }, frameRate: { ideal: 60, max: 60 } });
  assert.equal(presetOf('nonsense').id, '720p');
});

test('three sizes share the rate of one', () => {
  for (const preset of PRESETS) {
    const layers = encodings(preset, true);
    assert.deepEqual(layers.map(({ rid, scaleResolutionDownBy }) => [rid, scaleResolutionDownBy]), [['q', 4], ['h', 2], ['f', 1]]);
    assert.ok(layers.reduce((sum, { maxBitrate }) => sum + maxBitrate, 0) <= preset.bitrate_bps * 1.05, preset.id);
    assert.deepEqual(encodings(preset, false), [{ maxBitrate: preset.bitrate_bps, maxFramerate: preset.fps }]);
  }
});

test('every failure of a device says what to do', () => {
  for (const name of ['NotAllowedError', 'NotFoundError', 'NotReadableError', 'OverconstrainedError', 'Whatever']) {
    const { title, advice: what } = explain({ name, message: 'm' }, 'camera');
    assert.ok(title.includes('camera') && what.length > 10, name);
  }
  assert.equal(explain({ name: 'NotAllowedError', message: 'Permission denied' }, 'screen'), null, 'closing the chooser is no problem');
});

test('a page without a secure address says which one to open', () => {
  const context = { isSecureContext: false, navigator: {}, RTCPeerConnection: class {}, location: { host: 'venue.example', pathname: '/demo/perform' } };
  assert.match(contextProblem(context).advice, /https:\/\/venue\.example\/demo\/perform/);
  assert.match(contextProblem({ ...context, RTCPeerConnection: undefined }).title, /cannot perform/);
  assert.equal(contextProblem({ ...context, isSecureContext: true, navigator: { mediaDevices: {} } }), null);
});

test('pages have one import map, the same in each, and no other inline script, style or handler', () => {
  const maps = new Set();
  for (const page of PAGES) {
    const html = text(page);
    for (const [, attributes, body] of html.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)) {
      if (attributes.includes('importmap')) maps.add(body);
      else assert.equal(body, '', `${page}: inline script`);
    }
    assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=/, page);
  }
  assert.equal(maps.size, 1);
});

test('components write no markup of others and no inline style', () => {
  for (const path of SCRIPTS) assert.doesNotMatch(text(path), /v-html|innerHTML|\sstyle="|\son[a-z]+="/, path);
});

test('every module that is imported or preloaded is there', () => {
  for (const path of SCRIPTS) {
    for (const [, target] of text(path).matchAll(/^import [^;]*?from '(\.[^']+)'/gm)) text(fileURLToPath(new URL(target, new URL(path, root))));
  }
  // What is loaded later is named in full, too.
  for (const path of SCRIPTS) for (const [, target] of text(path).matchAll(/import\('(\.[^']+)'\)/g)) text(fileURLToPath(new URL(target, new URL(path, root))).slice(fileURLToPath(root).length));
  for (const page of PAGES) for (const [, target] of text(page).matchAll(/(?:href|src)="\/web\/([^"]+)"/g)) text(target);
});

/** What a browser with an empty cache loads for a page, compressed as the venue sends it. */
function transferOf(page) {
  const loaded = new Set();
  const load = (path) => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const [, target] of text(path).matchAll(/(?:from|import) '(\.[^']+)'/g)) load(fileURLToPath(new URL(target, new URL(path, root))).slice(fileURLToPath(root).length));
  };
  for (const [, target] of text(page).matchAll(/(?:href|src)="\/web\/([^"]+)"/g)) load(target);
  return { files: loaded.size, bytes: [page, ...loaded].reduce((sum, path) => sum + gzipSync(text(path)).length, 0) };
}

test('the event page with everything it loads stays below 150 kB', () => {
  const { files: count, bytes } = transferOf('space.html');
  assert.ok(count > 20 && bytes < 150_000, `${count} files, ${bytes} bytes`);
});

test('an event page without HLS loads neither its player nor what only films need', () => {
  const html = text('space.html');
  for (const later of ['vendor/hls.min.mjs', 'lib/hls-player.js', 'lib/playback.js', 'lib/recordings.js', 'components/playback-timeline.js']) assert.ok(!html.includes(later), later);
  for (const path of SCRIPTS) assert.doesNotMatch(text(path), /^import [^;]*hls\.min\.mjs/m, path);
});

test('the meeting page with everything it loads stays below 200 kB', (t) => {
  const { files: count, bytes } = transferOf('meet.html');
  t.diagnostic(`${count} files, ${bytes} bytes`);
  assert.ok(count > 30 && bytes < 200_000, `${count} files, ${bytes} bytes`);
});

test('every module of a page is preloaded, so that none waits for another to name it', () => {
  for (const page of ['space.html', 'perform.html', 'meet.html']) {
    const html = text(page);
    const preloaded = new Set([...html.matchAll(/modulepreload" href="\/web\/([^"]+)"/g)].map((found) => found[1]));
    for (const path of preloaded) {
      for (const [, target] of text(path).matchAll(/^import [^;]*?from '(\.[^']+)'/gm)) {
        const imported = fileURLToPath(new URL(target, new URL(path, root))).slice(fileURLToPath(root).length);
        assert.ok(preloaded.has(imported), `${page}: ${path} imports ${imported}`);
      }
    }
    for (const [, entry] of html.matchAll(/<script type="module"[^>]* src="\/web\/([^"]+)"/g)) assert.ok(preloaded.has(entry), entry);
  }
});
