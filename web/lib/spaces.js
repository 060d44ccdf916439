/**
 * What happens in a space, as the server tells it.
 * @module
 */
import { Backoff } from './backoff.js';
import { mediaAddress } from './http.js';
import { compareStreams, isName } from './names.js';

/** How often the server is asked where events do not get through, in ms. */
export const POLL_INTERVAL_MS = 3000;
/** How often a hidden page asks, in ms: it gives up its event stream, because a browser allows six connections to a server. */
export const POLL_HIDDEN_MS = 15_000;
/** The server speaks at least every 15 s; after twice that the event stream is dead, in ms. */
export const SILENCE_MAX_MS = 35_000;
/** Most streams of a space that a page shows. */
export const STREAMS_MAX = 64;

/**
 * @typedef {object} Track
 * @property {'audio' | 'video'} kind
 * @property {string} codec
 * @property {number} layers
 *
 * @typedef {object} Stream
 * @property {string} name
 * @property {boolean} live
 * @property {Date | null} since
 * @property {number} viewers
 * @property {Track[]} tracks
 * @property {Hls | null} hls null where the venue makes none of this stream
 * @property {Trouble[]} trouble what its performer should mend
 * @property {'standby' | 'on_air' | null} backup what its backup does; null where it has none
 * @property {boolean} slate whether nobody performs and viewers by WebRTC are shown a slate
 *
 * @typedef {object} Trouble
 * @property {string} code for programs: `b-frames` where browsers show only few of the pictures by WebRTC
 * @property {string} text for people
 *
 * @typedef {object} Hls
 * @property {string} url of the multivariant playlist
 * @property {number | null} latency_target_s how far behind its live viewers are
 * @property {number | null} dvr_s how far back the rewind view goes
 * @property {boolean} recording
 *
 * @typedef {object} Space
 * @property {string} space
 * @property {Stream[]} streams in the order of the cameras
 * @property {{stream: string, trouble: string}[]} cameras IP cameras that should play here and do not, and why
 */

/**
 * Reads the server's description of a space. Unknown fields are ignored, streams that make no sense are left out.
 * @param {unknown} body parsed JSON
 * @returns {Space}
 * @throws {TypeError} when it describes no space
 */
export function parseSpace(body) {
  const { space, streams, cameras } = /** @type {any} */ (body ?? {});
  if (typeof space !== 'string' || !Array.isArray(streams)) throw new TypeError('a space needs a name and a list of streams');
  return {
    space,
    streams: streams.slice(0, STREAMS_MAX).filter((stream) => typeof stream?.name === 'string' && isName(stream.name)).map((stream) => {
      const since = typeof stream.since === 'string' ? new Date(stream.since) : null;
      return {
        name: stream.name,
        live: stream.live === true,
        since: since && !Number.isNaN(since.getTime()) ? since : null,
        viewers: Number.isSafeInteger(stream.viewers) && stream.viewers > 0 ? stream.viewers : 0,
        tracks: (Array.isArray(stream.tracks) ? stream.tracks : []).filter((track) => track?.kind === 'audio' || track?.kind === 'video')
          .map(({ kind, codec, layers }) => ({ kind, codec: String(codec ?? ''), layers: Number.isSafeInteger(layers) ? layers : 1 })),
        hls: hlsOf(stream.hls),
        trouble: (Array.isArray(stream.trouble) ? stream.trouble : []).filter((one) => typeof one?.code === 'string')
          .map(({ code, text }) => ({ code, text: String(text ?? '') })),
        backup: ['standby', 'on_air'].includes(stream.backup) ? stream.backup : null,
        slate: stream.slate === true,
      };
    }).sort((left, right) => compareStreams(left.name, right.name)),
    cameras: (Array.isArray(cameras) ? cameras : []).slice(0, STREAMS_MAX).filter((camera) => typeof camera?.stream === 'string' && typeof camera.trouble === 'string')
      .map(({ stream, trouble }) => ({ stream, trouble })),
  };
}

/** @param {any} hls @returns {Hls | null} */
function hlsOf(hls) {
  const url = mediaAddress(hls?.url);
  const secondsOf = (/** @type {unknown} */ value) => (typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null);
  return url ? { url, latency_target_s: secondsOf(hls.latency_target_s), dvr_s: secondsOf(hls.dvr_s), recording: hls.recording === true } : null;
}

/**
 * How many people watch, on all cameras together.
 * @param {Space | null} space
 * @returns {number}
 */
export function viewersOf(space) {
  return (space?.streams ?? []).reduce((sum, { viewers }) => sum + viewers, 0);
}

/**
 * Follows a space: server-sent events, or polling where they do not get through.
 *
 * Events: `space` with `detail` a `Space`, at once and at every change; `reachable` with `detail.reachable` whenever that changes; `closing` when the server
 * says that it stops.
 */
export class SpaceWatcher extends EventTarget {
  /** @type {Space | null} */ space = null;
  reachable = true;
  #address;
  /** @type {EventSource | null} */ #source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  /** @type {AbortController | null} */ #run = null;
  #backoff = new Backoff();

  /** @param {string} space */
  constructor(space) {
    super();
    this.#address = `/api/spaces/${encodeURIComponent(space)}`;
  }

  start() {
    if (this.#run) return;
    this.#run = new AbortController();
    document.addEventListener('visibilitychange', () => this.#begin(), { signal: this.#run.signal });
    globalThis.addEventListener('online', () => this.#begin(), { signal: this.#run.signal });
    this.#begin();
  }

  stop() {
    this.#run?.abort();
    this.#run = null;
    this.#close();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #begin() {
    this.#close();
    if (!this.#run) return;
    if (document.hidden || typeof EventSource === 'undefined') this.#poll();
    else this.#listen();
  }

  #listen() {
    const source = new EventSource(`${this.#address}/events`);
    this.#source = source;
    this.#expect(source);
    source.addEventListener('space', (event) => {
      this.#backoff.reset();
      this.#expect(source);
      this.#take(() => JSON.parse(event.data));
    });
    source.addEventListener('open', () => this.#expect(source));
    source.addEventListener('closing', () => this.dispatchEvent(new CustomEvent('closing')));
    // The browser's own reconnection is left out: it stops for good at the first answer that is no event stream.
    source.addEventListener('error', () => {
      source.close();
      if (this.#source === source) this.#poll();
    });
  }

  /** Comment lines keep the connection open but reach no listener: a quiet stream is checked by a poll, not taken for dead. */
  #expect(/** @type {EventSource} */ source) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      const known = JSON.stringify(this.space);
      await this.#fetch();
      if (this.#source !== source) return;
      // News that the stream did not bring: the stream is dead.
      if (JSON.stringify(this.space) !== known || !this.reachable) this.#begin();
      else this.#expect(source);
    }, SILENCE_MAX_MS);
  }

  /** Asks once, then tries events again when the page is visible. */
  async #poll() {
    this.#source = null;
    const run = this.#run;
    await this.#fetch();
    if (this.#run !== run || !run || this.#source) return;
    const delay = document.hidden ? POLL_HIDDEN_MS : this.reachable ? POLL_INTERVAL_MS : this.#backoff.next();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#begin(), delay);
  }

  async #fetch() {
    try {
      const response = await fetch(this.#address, { headers: { Accept: 'application/json' }, cache: 'no-store' });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const body = await response.json();
      this.#take(() => body);
    } catch {
      this.#reach(false);
    }
  }

  #take(/** @type {() => unknown} */ read) {
    try {
      this.space = parseSpace(read());
    } catch (error) {
      console.warn('The venue described the space in a way that this page does not understand', error);
      return;
    }
    this.#reach(true);
    if (this.#run) this.dispatchEvent(new CustomEvent('space', { detail: this.space }));
  }

  #reach(/** @type {boolean} */ reachable) {
    if (this.reachable === reachable) return;
    this.reachable = reachable;
    this.dispatchEvent(new CustomEvent('reachable', { detail: { reachable } }));
  }
}
