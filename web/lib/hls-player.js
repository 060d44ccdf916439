/**
 * One HLS presentation in one video element: hls.js where it runs, the browser's own player elsewhere (an iPhone before iOS 17.1). Knows nothing of
 * Vue, of WebRTC or of rewinding: see `playback.js`. hls.js itself is loaded with the first player.
 * @module
 */
import { Backoff } from './backoff.js';
import { Refusal } from './http.js';
import { latencyOf, momentAt, positionAt } from './moments.js';

/** How much faster than life a picture may run to catch up: hardly anybody hears eight per cent. */
const CATCH_UP_RATE = 1.08;
/** Decoder failures that are repaired within `FAULTS_WITHIN_MS`; with more the browser cannot play this. */
const FAULTS_MAX = 4;
const FAULTS_WITHIN_MS = 60_000;
/** A player that ran this long, in ms, is well again: its next failure is the first. */
const WELL_AFTER_MS = 10_000;

/** Patience for what the network brings. A playlist may be held by the venue for three target durations while a performer is away. */
const policy = (/** @type {number} */ firstByteMs, /** @type {number} */ loadMs, /** @type {number} */ retries) => ({
  default: {
    maxTimeToFirstByteMs: firstByteMs,
    maxLoadTimeMs: loadMs,
    timeoutRetry: { maxNumRetry: retries, retryDelayMs: 0, maxRetryDelayMs: 0 },
    errorRetry: { maxNumRetry: retries, retryDelayMs: 500, maxRetryDelayMs: 8000 },
  },
});

const CONFIG = {
  lowLatencyMode: true,
  enableWorker: false, // The worker unpacks MPEG-TS; fragments of MP4 need none.
  autoStartLoad: false,
  backBufferLength: 60,
  maxBufferLength: 30,
  capLevelToPlayerSize: true,
  testBandwidth: false,
  abrEwmaDefaultEstimate: 2_000_000,
  maxLiveSyncPlaybackRate: CATCH_UP_RATE,
  liveSyncOnStallIncrease: 0.2, // The default moves a viewer one second away from the stage with every stall, for good.
  manifestLoadPolicy: policy(10_000, 20_000, 1),
  playlistLoadPolicy: policy(35_000, 45_000, 4),
  fragLoadPolicy: policy(10_000, 60_000, 6),
};

/**
 * Where the same is with its sound as it was published. A playlist offers one codec: AAC to whoever does not say that it takes Opus.
 * @param {string} address of a multivariant playlist
 */
export const withOpus = (address) => `${address}${address.includes('?') ? '&' : '?'}audio=opus`;

/** Whether hls.js can be given Opus here. */
function takesOpus() {
  const source = /** @type {any} */ (globalThis).ManagedMediaSource ?? globalThis.MediaSource;
  return source?.isTypeSupported?.('audio/mp4; codecs="opus"') ?? false;
}

/** @type {Promise<any> | undefined} */
let library;

/** hls.js; null where only the browser's own player can play. @returns {Promise<any>} */
function load() {
  library ??= import('../vendor/hls.min.mjs').then(({ default: Hls }) => (Hls.isSupported() ? Hls : null), (error) => {
    library = undefined;
    throw error;
  });
  return library;
}

/** @typedef {'loading' | 'playing' | 'paused' | 'stalled' | 'waiting' | 'ended' | 'failed'} PlayerState waiting: the venue has no such stream yet */
/** @typedef {number | null | ((end: number) => number)} Start a moment in ms, or one that depends on the newest moment there is; null: live, or the film's beginning */
/** @typedef {{id: number, label: string, height: number, bitrate_bps: number}} Level */

/**
 * Events: `state` when `state` or `refusal` changed; `time` when the picture moved; `tracks` when levels or captions changed.
 * A source for `Screen`: `attach` and `detach`.
 */
export class HlsPlayer extends EventTarget {
  /** @type {PlayerState} */ state = 'loading';
  /** @type {Refusal | null} */ refusal = null;
  /** @type {any} */ #hls = null;
  /** @type {HTMLVideoElement | null} */ #video = null;
  /** @type {any} what hls.js knows of the playlist */ #details = null;
  /** @type {AbortController} */ #life = new AbortController();
  #backoff = new Backoff();
  #faults = /** @type {number[]} */ ([]);
  #following = true;
  #started = false;
  /** The moment shown last. @type {number | null} */ #seen = null;
  /** Where the browser's own player is to go as soon as that is possible, in seconds. @type {number | null} */ #target = null;
  #placed = () => {};
  /** Resolves when the element is where it should begin, or never will be. @type {Promise<void>} */
  placed = new Promise((resolve) => {
    this.#placed = resolve;
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /**
   * @param {string} address of a multivariant playlist
   * @param {{start?: Start}} [options] where to begin
   */
  constructor(address, { start = null } = {}) {
    super();
    this.address = address;
    this.start = start;
  }

  /**
   * Takes the element; resolves when it may be played.
   * @param {HTMLVideoElement} video
   */
  async attach(video) {
    this.#video = video;
    const { signal } = this.#life;
    for (const event of ['canplay', 'seeked']) video.addEventListener(event, () => this.#place(), { signal });
    for (const [event, state] of /** @type {const} */ ([['playing', 'playing'], ['pause', 'paused'], ['waiting', 'stalled'], ['ended', 'ended']])) {
      video.addEventListener(event, () => this.#reach(event === 'pause' && video.ended ? 'ended' : state), { signal });
    }
    video.addEventListener('timeupdate', () => {
      this.#seen = this.moment;
    }, { signal });
    for (const event of ['timeupdate', 'seeking', 'seeked', 'durationchange']) video.addEventListener(event, () => this.#tell('time'), { signal });
    await this.#load(video);
  }

  async #load(/** @type {HTMLVideoElement} */ video) {
    const { signal } = this.#life;
    try {
      const Hls = await load();
      if (signal.aborted) return;
      if (Hls) this.#open(Hls);
      else if (video.canPlayType('application/vnd.apple.mpegurl')) this.#openNative();
      else this.#fail(new Refusal('not-acceptable', 'This browser plays no HLS'));
    } catch (error) {
      if (!signal.aborted) this.#retry(() => this.#load(video), new Refusal('unreachable', `The player could not be loaded: ${error}`));
    }
  }

  detach() {
    this.#life.abort();
    this.#placed();
    clearTimeout(this.#timer);
    this.#hls?.destroy();
    this.#hls = null;
    const video = this.#video;
    this.#video = null;
    if (!video) return;
    video.playbackRate = 1;
    video.replaceChildren();
    video.removeAttribute('src');
    video.load();
  }

  /** Whether the stream has not ended. */
  get live() {
    return this.#details ? this.#details.live : this.#video?.duration === Infinity;
  }

  /** The moment shown, in ms; null while unknown. Without dates in the playlist: ms since the film began. @returns {number | null} */
  get moment() {
    const video = this.#video;
    if (!video || video.readyState === 0) return null;
    return this.#hls?.playingDate?.getTime() ?? momentAt(this.#spans(), video.currentTime) ?? video.currentTime * 1000;
  }

  /** What can be sought to without another playlist, in ms. @returns {{start: number, end: number} | null} */
  get window() {
    const video = this.#video;
    if (!video) return null;
    const spans = this.#spans();
    const ends = video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) : null;
    const start = this.#details ? this.#details.fragmentStart : video.seekable.length > 0 ? video.seekable.start(0) : null;
    const end = this.#details ? this.#details.edge : ends;
    if (start === null || end === null || !Number.isFinite(end)) return null;
    return { start: momentAt(spans, start) ?? start * 1000, end: momentAt(spans, end) ?? end * 1000 };
  }

  /** Seconds behind the performance; null for a film. @returns {number | null} */
  get latency_s() {
    if (!this.live || !this.#video) return null;
    const edge = this.#hls ? this.#hls.latency : this.window ? (this.window.end - (this.moment ?? 0)) / 1000 : null;
    return latencyOf({ now: Date.now(), moment: this.#spans().length > 0 ? this.moment : null, edge_s: edge || null });
  }

  /** How far behind the newest media live viewers are meant to be, in seconds. */
  get target_s() {
    return this.#hls?.targetLatency ?? 3;
  }

  /** @param {number} moment ms */
  seek(moment) {
    const video = this.#video;
    const position = this.#positionOf(moment);
    if (!video || position === null) return;
    video.currentTime = position;
    this.#tell('time');
  }

  /** To where live viewers are. */
  seekLive() {
    const video = this.#video;
    const position = this.#hls ? this.#hls.liveSyncPosition : video && video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) - 1 : null;
    if (video && position !== null && Number.isFinite(position)) video.currentTime = position;
    this.#tell('time');
  }

  /** Whether the picture runs a little faster until it is live: not for somebody who chose to be behind. */
  get following() {
    return this.#following;
  }

  set following(on) {
    this.#following = on;
    if (this.#hls) this.#hls.config.maxLiveSyncPlaybackRate = on ? CATCH_UP_RATE : 1;
    if (!on && this.#video) this.#video.playbackRate = 1;
  }

  /** Tries at once instead of at the end of a delay. */
  retry() {
    this.#faults = [];
    this.#backoff.reset();
    if (this.refusal) this.#reload();
  }

  /** One entry for each size, the largest first. @returns {Level[]} */
  get levels() {
    /** @type {Map<string, Level>} */ const found = new Map();
    for (const [id, level] of (this.#hls?.levels ?? []).entries()) {
      const height = Math.min(level.height || 0, level.width || Infinity) || 0;
      const fps = Math.round(level.frameRate || 0);
      const label = height > 0 ? `${height}p${fps > 30 ? fps : ''}` : `${Math.round(level.bitrate / 1000)} kbit/s`;
      if (!found.has(label)) found.set(label, { id, label, height, bitrate_bps: level.bitrate });
    }
    return [...found.values()].sort((left, right) => right.height - left.height || right.bitrate_bps - left.bitrate_bps);
  }

  /** The chosen level's id; -1 for automatic. */
  get level() {
    return this.#hls && !this.#hls.autoLevelEnabled ? this.#hls.loadLevel : -1;
  }

  set level(id) {
    if (this.#hls) this.#hls.nextLevel = id;
    this.#tell('tracks');
  }

  /** The label of what is shown now. */
  get playingLevel() {
    const level = this.#hls?.levels[this.#hls.currentLevel];
    return level ? this.levels.find(({ height, bitrate_bps }) => height === Math.min(level.height || 0, level.width || Infinity) || bitrate_bps === level.bitrate)?.label ?? '' : '';
  }

  /** @returns {{id: number, label: string}[]} */
  get captions() {
    if (this.#hls) return this.#hls.subtitleTracks.map((track, id) => ({ id, label: track.name || track.lang || `Captions ${id + 1}` }));
    return [...(this.#video?.textTracks ?? [])].map((track, id) => ({ id, label: track.label || track.language || `Captions ${id + 1}` }));
  }

  /** Which captions are shown; -1 for none. */
  get caption() {
    if (this.#hls) return this.#hls.subtitleDisplay ? this.#hls.subtitleTrack : -1;
    return [...(this.#video?.textTracks ?? [])].findIndex(({ mode }) => mode === 'showing');
  }

  set caption(id) {
    if (this.#hls) {
      this.#hls.subtitleDisplay = id >= 0;
      this.#hls.subtitleTrack = id;
    } else {
      [...(this.#video?.textTracks ?? [])].forEach((track, place) => {
        track.mode = place === id ? 'showing' : 'disabled';
      });
    }
    this.#tell('tracks');
  }

  #open(/** @type {any} */ Hls) {
    const { Events, ErrorTypes } = Hls;
    const hls = new Hls({ ...CONFIG, maxLiveSyncPlaybackRate: this.#following ? CATCH_UP_RATE : 1 });
    this.#hls = hls;
    this.#details = null;
    hls.on(Events.MANIFEST_PARSED, () => {
      hls.subtitleDisplay = false;
      hls.startLoad(-1);
      this.#tell('tracks');
    });
    for (const event of [Events.LEVEL_LOADED, Events.LEVEL_UPDATED]) hls.on(event, (_name, { details }) => hls === this.#hls && this.#read(details));
    hls.on(Events.FRAG_BUFFERED, () => {
      this.#well();
      this.#place();
    });
    for (const event of [Events.LEVEL_SWITCHED, Events.LEVELS_UPDATED, Events.SUBTITLE_TRACKS_UPDATED]) hls.on(event, () => this.#tell('tracks'));
    hls.on(Events.MEDIA_ATTACHED, () => this.#offerAirPlay());
    hls.on(Events.ERROR, (_name, data) => {
      if (data.fatal) this.#repair(data, data.type === ErrorTypes.MEDIA_ERROR);
    });
    hls.loadSource(takesOpus() ? withOpus(this.address) : this.address);
    hls.attachMedia(/** @type {HTMLVideoElement} */ (this.#video));
  }

  /** A managed media source cannot be sent to a television; its playlist beside it can. */
  #offerAirPlay() {
    const video = this.#video;
    if (!video || !('ManagedMediaSource' in globalThis) || !('WebKitPlaybackTargetAvailabilityEvent' in globalThis)) return;
    const source = document.createElement('source');
    source.type = 'application/vnd.apple.mpegurl';
    source.src = this.address;
    video.append(source);
    video.disableRemotePlayback = false;
  }

  #read(/** @type {any} */ details) {
    const before = this.#details;
    this.#details = details;
    // The window of a live stream became a whole film: hls.js cannot put media in front of what it has.
    if (before && details.startSN < before.startSN) return this.#reload(this.#seen);
    if (this.#started) return;
    this.#started = true;
    // Only now is it known where a moment is. hls.js has chosen its own place already: the first call makes it forget that, the second begins.
    const position = this.#startPosition();
    if (position === null) return this.#placed();
    this.#hls.startLoad(position);
    this.#hls.startLoad(position);
  }

  #place() {
    const video = this.#video;
    if (!this.#started || !video || video.seeking) return;
    if (this.#target === null) return this.#placed();
    video.currentTime = this.#target;
    this.#target = null;
  }

  #openNative() {
    const video = /** @type {HTMLVideoElement} */ (this.#video);
    const { signal } = this.#life;
    video.addEventListener('loadedmetadata', () => {
      if (!this.#started) this.#target = this.#startPosition();
      this.#started = true;
      this.#place();
      this.#well();
      this.#tell('tracks');
    }, { signal });
    video.addEventListener('error', () => this.#retry(() => this.#reload(), new Refusal('unreachable', 'The stream was interrupted')), { signal });
    video.src = this.address;
  }

  /** Spans of media with their moments: of hls.js, else one that the browser dates (Safari). @returns {import('./moments.js').Span[]} */
  #spans() {
    if (this.#details) return this.#details.fragments;
    const begin = /** @type {any} */ (this.#video)?.getStartDate?.().getTime();
    return Number.isFinite(begin) ? [{ start: 0, duration: Infinity, programDateTime: begin }] : [];
  }

  #startPosition() {
    if (typeof this.start === 'function') this.start = this.start(this.window?.end ?? Date.now());
    return this.start === null ? null : this.#positionOf(this.start);
  }

  #positionOf(/** @type {number} */ moment) {
    const spans = this.#spans();
    const dated = spans.length > 0 && typeof spans[0].programDateTime === 'number';
    return dated ? positionAt(spans, moment) : Number.isFinite(moment) ? moment / 1000 : null;
  }

  #repair(/** @type {any} */ data, /** @type {boolean} */ isMedia) {
    const hls = this.#hls;
    if (isMedia) {
      const now = performance.now();
      this.#faults = [...this.#faults.filter((at) => now - at < FAULTS_WITHIN_MS), now];
      if (this.#faults.length > FAULTS_MAX) return this.#fail(new Refusal('not-acceptable', 'This browser cannot play this performance'));
      if (this.#faults.length > 2) return this.#reload();
      const wasPaused = this.#video?.paused;
      hls.recoverMediaError();
      if (!wasPaused) this.#video?.play().catch(() => {});
      return;
    }
    const status = data.response?.code ?? 0;
    const absent = status === 404 || status === 410;
    const refusal = status === 401 || status === 403
      ? new Refusal('key', 'This space is closed', { status })
      : new Refusal(absent ? 'not-live' : 'unreachable', absent ? 'Nobody performs yet' : 'The stream was interrupted', { status });
    if (refusal.kind === 'key') return this.#fail(refusal);
    this.#retry(() => this.#reload(), refusal);
  }

  #retry(/** @type {() => void} */ again, /** @type {Refusal} */ refusal) {
    this.refusal = refusal;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(again, this.#backoff.next());
    this.#reach(refusal.kind === 'not-live' ? 'waiting' : 'stalled', true);
  }

  /** Begins anew where the picture is, or live. @param {number | null} [moment] where, if that is known better */
  #reload(moment = null) {
    clearTimeout(this.#timer);
    const video = this.#video;
    if (!video || this.#life.signal.aborted) return;
    if (moment !== null) this.start = moment;
    else if (!this.#following || !this.live) this.start = this.moment ?? this.start;
    this.#started = false;
    const wasPaused = video.paused;
    if (this.#hls) {
      const { constructor } = this.#hls;
      this.#hls.destroy();
      this.#open(constructor);
    } else {
      video.src = this.address;
    }
    if (!wasPaused) video.play().catch(() => {});
  }

  #well() {
    if (this.refusal) {
      this.refusal = null;
      this.#reach(this.#video?.paused ? 'paused' : 'playing', true);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#backoff.reset(), WELL_AFTER_MS);
  }

  #fail(/** @type {Refusal} */ refusal) {
    this.#placed();
    this.refusal = refusal;
    this.#hls?.destroy();
    this.#hls = null;
    this.#reach('failed', true);
  }

  #reach(/** @type {PlayerState} */ state, always = false) {
    if (this.state === state && !always) return;
    this.state = state;
    this.#tell('state');
  }

  #tell(/** @type {string} */ event) {
    this.dispatchEvent(new CustomEvent(event));
  }
}
