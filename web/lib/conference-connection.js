/**
 * The way to the server: a WebSocket that is opened again and again until somebody leaves or the server refuses for good.
 * @module
 */
import { Backoff, sleep } from './backoff.js';
import { parse } from './conference-messages.js';

/** How long the WebSocket and the welcome may take together, in ms. A server under a storm of joins answers late, not never. */
export const WELCOME_TIMEOUT_MS = 20_000;
/** A connection that lasted this long, in ms, was a good one. */
const GOOD_AFTER_MS = 10_000;

/** What another attempt would not change. */
const FINAL = new Set(['token_missing', 'token_invalid', 'token_expired', 'token_space', 'forbidden', 'locked', 'name', 'identity', 'version', 'malformed', 'too_large', 'not_acceptable']);

/** @typedef {'idle' | 'joining' | 'joined' | 'reconnecting' | 'refused' | 'removed' | 'replaced' | 'left'} State */

/** States from which nothing happens by itself. @type {Record<number, State>} */
const ENDINGS = { 4001: 'replaced', 4003: 'removed', 4004: 'refused', 1000: 'left' };

/** Why the server refused; `code` is one of the protocol's. */
export class ConferenceError extends Error {
  /** @param {{code: string, message: string, retryAfterMs?: number}} error */
  constructor({ code, message, retryAfterMs = 0 }) {
    super(message);
    this.name = 'ConferenceError';
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * What becomes of a connection that ended.
 * @param {number} closeCode of the WebSocket
 * @param {{code: string, message: string, request: string | null, retryAfterMs: number} | null} error the last one before it, about the joining
 * @returns {{state: State | null, error: ConferenceError | null, retryAfterMs: number}} state null: try again
 */
export function judge(closeCode, error) {
  const reason = error && new ConferenceError(error);
  if (reason && FINAL.has(reason.code)) return { state: 'refused', error: reason, retryAfterMs: 0 };
  if (closeCode === 4004) return { state: 'refused', error: reason ?? new ConferenceError({ code: 'token_invalid', message: 'The invitation is no longer valid; ask for a new one' }), retryAfterMs: 0 };
  if (closeCode in ENDINGS) return { state: ENDINGS[closeCode], error: reason, retryAfterMs: 0 };
  // Whoever was thrown out for haste or nonsense had better wait.
  return { state: null, error: reason, retryAfterMs: Math.max(reason?.retryAfterMs ?? 0, closeCode === 1008 ? 5000 : 0) };
}

/**
 * Events: `message` with `detail` as `parse` reads it (the welcome among them); `state` with `detail` `{state, error, retryMs}`; `lost` whenever a
 * connection that was welcomed is gone.
 */
export class Connection extends EventTarget {
  /** @type {State} */ state = 'idle';
  /** @type {ConferenceError | null} */ error = null;
  #url;
  #compose;
  #WebSocket;
  /** @type {WebSocket | null} */ #socket = null;
  #isWelcome = false;
  #run = new AbortController();
  #wake = new AbortController();

  /**
   * @param {string} url `ws:` or `wss:`
   * @param {() => Promise<object>} compose makes the `join` of each attempt
   * @param {typeof WebSocket} [Socket]
   */
  constructor(url, compose, Socket = globalThis.WebSocket) {
    super();
    this.#url = url;
    this.#compose = compose;
    this.#WebSocket = Socket;
  }

  /** Whether messages reach the server. */
  get isOpen() {
    return this.#isWelcome && this.#socket?.readyState === 1;
  }

  start() {
    if (this.state === 'joining' || this.state === 'joined' || this.state === 'reconnecting') return;
    this.#run.abort();
    this.#run = new AbortController();
    this.#turn('joining', null);
    this.#loop(this.#run.signal);
  }

  /** @param {object} message @returns {boolean} false when it was not sent */
  send(message) {
    if (!this.isOpen) return false;
    this.#socket?.send(JSON.stringify(message));
    return true;
  }

  /** Takes another WebSocket at once: the network changed, or the present one is dead though nobody said so. */
  refresh() {
    this.#socket?.close();
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  /** Leaves for good. */
  stop() {
    this.send({ type: 'leave' });
    this.#run.abort();
    this.#turn('left', null);
  }

  async #loop(/** @type {AbortSignal} */ signal) {
    const backoff = new Backoff();
    while (!signal.aborted) {
      const wake = this.#wake.signal;
      const began = Date.now();
      const { code, error } = await this.#attend(signal, wake);
      if (signal.aborted) return;
      const verdict = judge(code, error);
      if (verdict.state) return this.#turn(verdict.state, verdict.error);
      if (Date.now() - began > GOOD_AFTER_MS) backoff.reset();
      const retryMs = wake.aborted ? 0 : backoff.next(verdict.retryAfterMs);
      this.#turn(this.state === 'joining' ? 'joining' : 'reconnecting', verdict.error, retryMs);
      await sleep(retryMs, signal, wake);
      if (wake.aborted) backoff.reset();
    }
  }

  /** One WebSocket from opening to closing. @returns {Promise<{code: number, error: any}>} */
  async #attend(/** @type {AbortSignal} */ signal, /** @type {AbortSignal} */ wake) {
    let error = null;
    const socket = new this.#WebSocket(this.#url);
    this.#socket = socket;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
    const code = await new Promise((resolve) => {
      const give = (/** @type {number} */ reason) => resolve(reason);
      timer = setTimeout(() => give(0), WELCOME_TIMEOUT_MS);
      signal.addEventListener('abort', () => give(0), { once: true });
      wake.addEventListener('abort', () => give(0), { once: true });
      const join = this.#compose();
      join.catch((reason) => {
        error = { code: 'not_acceptable', message: `This browser cannot take part: ${reason?.message ?? reason}`, request: 'join', retryAfterMs: 0 };
        give(0);
      });
      socket.onopen = () => join.then((message) => socket.readyState === 1 && socket.send(JSON.stringify(message)), () => {});
      socket.onclose = (event) => give(event.code);
      socket.onmessage = (event) => {
        const message = parse(event.data);
        if (!message || this.#socket !== socket) return;
        if (message.type === 'error' && !this.#isWelcome) error = message;
        if (message.type === 'welcome') {
          clearTimeout(timer);
          this.#isWelcome = true;
        }
        this.dispatchEvent(new CustomEvent('message', { detail: message }));
        // Whoever hears that they are in finds everybody there.
        if (message.type === 'welcome') this.#turn('joined', null);
      };
    });
    clearTimeout(timer);
    this.#close(socket);
    return { code, error };
  }

  #close(/** @type {WebSocket} */ socket) {
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close();
    if (this.#socket === socket) this.#socket = null;
    if (!this.#isWelcome) return;
    this.#isWelcome = false;
    this.dispatchEvent(new CustomEvent('lost'));
  }

  #turn(/** @type {State} */ state, /** @type {ConferenceError | null} */ error, retryMs = 0) {
    this.state = state;
    this.error = error;
    this.dispatchEvent(new CustomEvent('state', { detail: { state, error, retryMs } }));
  }
}
