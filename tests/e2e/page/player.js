// Plays HLS by the libraries that people use, and remembers what it saw. The tests drive it through `window.player`.
import { Reader } from './clock.js';
import Hls from './hls.mjs';

const FRAMES_MAX = 20_000;
const LISTEN_MS = 100;
const RECORD_MS = 3000;
const PEEK_MS_MAX = 5000;
/** What hls.js is told on our own pages: catch up, and do not fall back for ever after a stall. */
const LOW_LATENCY = { lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1, liveSyncOnStallIncrease: 0.2, liveDurationInfinity: true, backBufferLength: 60 };

const video = Object.assign(document.createElement('video'), { playsInline: true, crossOrigin: 'anonymous' });
document.body.append(video);
const own = { askedAt: 0, frames: [], errors: [], stalls: 0, manifests: 0, switched: [], ranges: [], energy: 0, loudness: [], sound: 'unknown' };
let library;

function watch() {
  const reader = new Reader();
  const onFrame = (_, { mediaTime }) => {
    if (own.frames.length < FRAMES_MAX) {
      own.frames.push({ at: Date.now(), media: mediaTime, value: reader.value(video), ...reader.picture(video), width: video.videoWidth, height: video.videoHeight });
    }
    video.requestVideoFrameCallback(onFrame);
  };
  video.requestVideoFrameCallback(onFrame);
}

const energyOf = (samples) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;

/** Sums up what is heard, whatever the loudspeaker. */
async function listen() {
  const audio = new AudioContext();
  const analyser = new AnalyserNode(audio, { fftSize: 2048 });
  const source = audio.createMediaElementSource(video);
  source.connect(analyser).connect(audio.destination);
  const splitter = new ChannelSplitterNode(audio, { numberOfOutputs: 2 });
  source.connect(splitter);
  const sides = [0, 1].map((side) => {
    const ear = new AnalyserNode(audio, { fftSize: 2048 });
    splitter.connect(ear, side);
    return ear;
  });
  const samples = new Float32Array(analyser.fftSize);
  const energy = (ear) => {
    ear.getFloatTimeDomainData(samples);
    return energyOf(samples);
  };
  setInterval(() => {
    own.sound = audio.state;
    own.energy += energy(analyser);
    own.loudness.push(sides.map((ear) => Math.sqrt(energy(ear))));
  }, LISTEN_MS);
  await audio.resume();
}

/** The same in Firefox, whose AudioContext waits for a loudspeaker for ever: records, and looks into the recording. */
async function record() {
  await new Promise((resolve) => video.addEventListener('playing', resolve, { once: true }));
  const recorder = new MediaRecorder(new MediaStream(video.mozCaptureStream().getAudioTracks()));
  const recorded = new Promise((resolve) => { recorder.ondataavailable = ({ data }) => resolve(data); });
  recorder.start();
  own.sound = 'recorded';
  await new Promise((resolve) => setTimeout(resolve, RECORD_MS));
  recorder.stop();
  const bytes = await (await recorded).arrayBuffer();
  const sound = await new OfflineAudioContext(1, 48_000, 48_000).decodeAudioData(bytes);
  own.energy = (energyOf(sound.getChannelData(0)) * sound.duration * 1000) / LISTEN_MS;
}

function playWithHls(url, config) {
  if (!Hls.isSupported()) throw new Error('hls.js cannot run here');
  const hls = new Hls({ ...LOW_LATENCY, ...config });
  hls.on(Hls.Events.ERROR, (_, { type, details, fatal, reason, error }) => own.errors.push({ at: Date.now(), type, details, fatal, reason: reason ?? error?.message }));
  hls.on(Hls.Events.MANIFEST_LOADED, () => { own.manifests++; });
  hls.on(Hls.Events.LEVEL_SWITCHED, (_, { level }) => own.switched.push({ at: Date.now(), level }));
  hls.loadSource(url);
  hls.attachMedia(video);
  let peek;
  return {
    /** Shows the keyframe at a time in a picture of its own, as above a time line; resolves with what is seen. */
    async peek(seconds) {
      if (!peek) {
        peek = { player: hls.createIFramePlayer(), video: Object.assign(document.createElement('video'), { muted: true }) };
        document.body.append(peek.video);
        peek.player.on(Hls.Events.ERROR, (_, { type, details, fatal, error }) => own.errors.push({ at: Date.now(), type: `peek ${type}`, details, fatal, reason: error?.message }));
        peek.player.attachMedia(peek.video);
      }
      const shown = new Promise((resolve) => peek.video.requestVideoFrameCallback((_, { mediaTime }) => resolve(mediaTime)));
      peek.player.loadMediaAt(seconds);
      const media = await Promise.race([shown, new Promise((resolve) => setTimeout(resolve, PEEK_MS_MAX, null))]);
      return { media, width: peek.video.videoWidth, ...new Reader().picture(peek.video) };
    },
    levels: () => hls.levels.map(({ width, height, codecSet, videoCodec, audioCodec, frameRate, maxBitrate }) => ({ width, height, codecSet, videoCodec, audioCodec, frameRate, maxBitrate })),
    level: (number) => { hls.currentLevel = number; },
    audioTracks: () => hls.audioTracks.map(({ name, groupId, audioCodec }) => ({ name, groupId, audioCodec })),
    now: () => ({
      level: hls.currentLevel, latency: hls.latency, target: hls.targetLatency, date: hls.playingDate?.getTime() ?? null,
      details: hls.latestLevelDetails && { partTarget: hls.latestLevelDetails.partTarget, live: hls.latestLevelDetails.live, edge: hls.latestLevelDetails.edge, deltaUpdateFailed: hls.latestLevelDetails.deltaUpdateFailed },
    }),
  };
}

async function playWithShaka(url, config) {
  shaka.polyfill.installAll();
  const shown = new shaka.Player();
  await shown.attach(video);
  shown.configure({ streaming: { lowLatencyMode: true, ...config } });
  shown.addEventListener('error', ({ detail }) => own.errors.push({ at: Date.now(), type: `shaka ${detail.category}`, details: String(detail.code), fatal: detail.severity === 2, reason: JSON.stringify(detail.data).slice(0, 300) }));
  shown.getNetworkingEngine().registerRequestFilter((_, request) => {
    if (request.headers.Range) own.ranges.push({ at: Date.now(), range: request.headers.Range });
  });
  shown.load(url).catch((error) => own.errors.push({ at: Date.now(), type: 'shaka load', details: String(error.code), fatal: true, reason: String(error.message) }));
  return {
    trick: (rate) => { if (rate) shown.trickPlay(rate); else shown.cancelTrickPlay(); },
    levels: () => shown.getVariantTracks().map(({ width, height, videoCodec, audioCodec, frameRate, bandwidth }) => ({ width, height, videoCodec, audioCodec, frameRate, maxBitrate: bandwidth })),
    now: () => ({ date: shown.getPlayheadTimeAsDate()?.getTime() ?? null }),
  };
}

/** As a page that knows nothing of the server sets it up. */
function playWithVideojs(url, config) {
  const shown = videojs(video, { autoplay: false, controls: false, html5: { vhs: { overrideNative: true, ...config } } });
  shown.on('error', () => own.errors.push({ at: Date.now(), type: 'video.js', details: String(shown.error()?.code), fatal: true, reason: shown.error()?.message }));
  shown.src({ src: url, type: 'application/x-mpegURL' });
  return { levels: () => [], now: () => ({}) };
}

/** What the browser plays by itself: an MP4, or a playlist in a page without a library. */
function playNatively(url) {
  video.addEventListener('error', () => own.errors.push({ at: Date.now(), type: 'native', details: String(video.error?.code), fatal: true, reason: video.error?.message }));
  video.src = url;
  return { levels: () => [], now: () => ({}) };
}

/** Begins to play `url` by `by`: `hls`, `shaka`, `videojs` or `native`. */
async function play(url, { by = 'hls', config = {}, muted = false, deaf = false } = {}) {
  own.askedAt = Date.now();
  video.muted = muted;
  watch();
  video.addEventListener('waiting', () => { own.stalls++; });
  library = await { hls: playWithHls, shaka: playWithShaka, videojs: playWithVideojs, native: playNatively }[by](url, config);
  if (!muted && !deaf) (video.mozCaptureStream ? record() : listen()).catch((error) => { own.sound = String(error); });
  // Refused while nothing is loaded in some browsers: once more when there is something.
  const begin = () => video.play().catch((error) => { own.sound += ` play: ${error.name}`; });
  video.addEventListener('canplay', begin, { once: true });
  begin();
}

const ranges = (list) => Array.from({ length: list.length }, (_, i) => [list.start(i), list.end(i)]);

/** Everything seen so far; `from`: frames from this place on. */
function seen(from = 0) {
  return {
    ...own, frames: own.frames.slice(from), count: own.frames.length, now: Date.now(), position: video.currentTime, duration: video.duration, paused: video.paused, ended: video.ended,
    buffered: ranges(video.buffered), seekable: ranges(video.seekable), soundTracks: video.audioTracks?.length ?? null,
    levels: library?.levels() ?? [], audioTracks: library?.audioTracks?.() ?? [], ...library?.now(),
  };
}

window.player = { play, seen, level: (number) => library.level(number), seek: (seconds) => { video.currentTime = seconds; }, rate: (factor) => { video.playbackRate = factor; },
  trick: (rate) => library.trick(rate), peek: (seconds) => library.peek(seconds) };
