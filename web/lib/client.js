/**
 * What WHIP and WHEP clients share: one session after another until somebody stops it.
 * @module
 */
import { Backoff, sleep } from './backoff.js';
import { Refusal } from './http.js';
import { Session } from './session.js';
import { after } from './states.js';
import { summarize } from './stats.js';

/** A session that lasted this long, in ms, was a good one: the next failure is the first again. */
const GOOD_AFTER_MS = 10_000;
/** What may be better the next time without anybody's help. */
const RETRIED = new Set(['unreachable', 'blocked', 'busy']);
/** How often statistics are read, in ms. */
export const STATS_INTERVAL_MS = 1000;

/**
 * @typedef {object} ClientOptions
 * @property {string | null} [key] sent as `Authorization: Bearer`
 * @property {boolean} [trickle] see `SessionOptions`
 * @property {RTCIceServer[]} [iceServers]
 */

/**
 * Events, each a `CustomEvent`:
 * - `state`: `detail.state` (see states.js), `detail.refusal` (why, or null), `detail.retryMs` (when it tries again by itself, or 0);
 * - `stats`: once a second while connected, `detail` is a `Summary` of stats.js.
 *
 * Subclasses say what is negotiated (`prepare`, `tuneOffer`, `tuneAnswer`) and what a refusal means (`judge`).
 */
export class Client extends EventTarget {
  /** @type {import('./states.js').State} */ #state = 'idle';
  /** @type {AbortController | null} */ #run = null;
  /** @type {AbortController} */ #wake = new AbortController();
  /** @type {Session | null} */ #session = null;
  /** @type {RTCIceServer[]} */ #iceServers;
  /** @type {import('./stats.js').Sample | null} */ #sample = null;

  /**
   * @param {'whip' | 'whep'} protocol
   * @param {string} address of the endpoint, relative to the page or absolute
   * @param {ClientOptions} [options]
   */
  constructor(protocol, address, { key = null, trickle = false, iceServers = [] } = {}) {
    super();
    this.protocol = protocol;
    /** Shortest pause, in ms, while nobody performs: long where somebody else tells when that changes, and calls `nudge`. */
    this.patienceMs = 0;
    this.address = new URL(address, globalThis.location?.href).href;
    this.key = key;
    this.trickle = trickle;
    this.#iceServers = iceServers;
    /** @type {Refusal | null} why it is not live */
    this.refusal = null;
  }

  /** @returns {import('./states.js').State} */
  get state() {
    return this.#state;
  }

  /** The current session, for replacing tracks; null between sessions. */
  get session() {
    return this.#session;
  }

  /** Begins, or begins again after `failed` or `closed`. */
  start() {
    if (this.#run) return;
    const run = new AbortController();
    this.#run = run;
    this.refusal = null;
    this.step('start');
    this.#loop(run.signal).finally(() => {
      if (this.#run === run) this.#run = null;
    });
  }

  /**
   * Ends for good: closes the connection and deletes the session.
   * @param {{leaving?: boolean}} [options] leaving: the page goes away
   */
  stop({ leaving = false } = {}) {
    this.#run?.abort();
    this.#run = null;
    this.#session?.close({ leaving });
    this.#session = null;
    this.step('stop');
  }

  /** Tries at once instead of at the end of a delay: the network came back, or the stage went live. */
  nudge() {
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  /** Makes a new session in place of the current one, for example with other tracks. */
  renew() {
    if (this.#session) this.#session.end('renewed');
    else this.nudge();
  }

  /** Adds transceivers. @param {RTCPeerConnection} _pc */
  prepare(_pc) {
    throw new Error(`${this.constructor.name} must say what it negotiates`);
  }

  /** @param {string} sdp @returns {string} */
  tuneOffer(sdp) {
    return sdp;
  }

  /** @param {string} sdp @returns {string} */
  tuneAnswer(sdp) {
    return sdp;
  }

  /** What a refusal leads to. @param {Refusal} refusal @returns {import('./states.js').Step} */
  judge(refusal) {
    return RETRIED.has(refusal.kind) ? 'lost' : 'refused';
  }

  /** Called once a second with fresh statistics. @param {import('./stats.js').Summary} _summary @param {Session} _session */
  observe(_summary, _session) {}

  /**
   * Called with every session that ended by itself or never began. Throws a refusal where trying again would be wrong.
   * @param {Session} _session @param {AbortSignal} _signal
   * @returns {Promise<void>}
   */
  async explain(_session, _signal) {}

  /** Called with every session that ended, to close it. @param {Session} session */
  retire(session) {
    session.close();
  }

  /**
   * Negotiates one session. @param {Session} session @param {AbortSignal} signal
   * @returns {Promise<Session>} the session that is to be used, which may be another
   */
  async negotiate(session, signal) {
    this.prepare(session.pc);
    await session.offer(signal);
    return session;
  }

  /** @returns {Session} a new, empty one */
  createSession() {
    return new Session({
      protocol: this.protocol,
      address: this.address,
      key: this.key,
      trickle: this.trickle,
      iceServers: this.#iceServers,
      tuneOffer: (sdp) => this.tuneOffer(sdp),
      tuneAnswer: (sdp) => this.tuneAnswer(sdp),
    });
  }

  /**
   * @param {import('./states.js').Step} step
   * @param {{refusal?: Refusal | null, retryMs?: number}} [more]
   */
  step(step, { refusal = null, retryMs = 0 } = {}) {
    const state = after(this.#state, step);
    if (state === null) return;
    this.#state = state;
    this.refusal = refusal;
    this.dispatchEvent(new CustomEvent('state', { detail: { state, refusal, retryMs } }));
  }

  async #loop(/** @type {AbortSignal} */ signal) {
    const backoff = new Backoff();
    while (!signal.aborted) {
      /** @type {Refusal} */ let refusal;
      const wake = this.#wake.signal;
      try {
        const began = performance.now();
        const reason = await this.#attend(signal);
        if (performance.now() - began > GOOD_AFTER_MS) backoff.reset();
        if (reason === 'renewed') continue;
        refusal = new Refusal('unreachable', reason);
      } catch (error) {
        refusal = error instanceof Refusal ? error : new Refusal('refused', `This browser could not connect: ${error instanceof Error ? error.message : error}`);
      }
      if (signal.aborted) return;
      const step = this.judge(refusal);
      if (step === 'refused') return this.step('refused', { refusal });
      const retryMs = backoff.next(Math.max(refusal.retryAfterMs, step === 'not-live' ? this.patienceMs : 0));
      this.step(step, { refusal, retryMs });
      await sleep(retryMs, signal, wake);
      if (wake.aborted) backoff.reset();
    }
  }

  /** One session from offer to end. @returns {Promise<string>} why it ended */
  async #attend(/** @type {AbortSignal} */ signal) {
    let session = this.createSession();
    let timer;
    try {
      session = await this.negotiate(session, signal);
      if (session.iceServers.length > 0) this.#iceServers = session.iceServers;
      await session.connected(signal);
      this.#session = session;
      this.#sample = null;
      const ended = new Promise((resolve) => {
        session.addEventListener('end', (event) => resolve(/** @type {CustomEvent} */ (event).detail.reason), { once: true });
        signal.addEventListener('abort', () => resolve('stopped'), { once: true });
      });
      session.addEventListener('stable', () => this.#state !== 'live' && this.step('connected'));
      session.addEventListener('unstable', () => this.step('lost', { refusal: new Refusal('unreachable', 'The connection is interrupted') }));
      this.step('connected');
      timer = setInterval(() => this.#measure(session), STATS_INTERVAL_MS);
      const reason = session.ended ? 'the connection was closed' : await ended;
      if (reason !== 'renewed') await this.explain(session, signal);
      return reason;
    } catch (error) {
      if (!(error instanceof Refusal && error.kind === 'replaced')) await this.explain(session, signal);
      throw error;
    } finally {
      clearInterval(timer);
      // After `stop` the session is closed already, with the flags that a leaving page needs.
      if (this.#session === session) this.#session = null;
      if (signal.aborted) session.close();
      else this.retire(session);
    }
  }

  async #measure(/** @type {Session} */ session) {
    if (session.ended) return;
    const report = await session.pc.getStats().catch(() => null);
    if (!report || session.ended) return;
    const { summary, sample } = summarize(report, this.#sample);
    this.#sample = sample;
    this.observe(summary, session);
    this.dispatchEvent(new CustomEvent('stats', { detail: summary }));
  }
}
