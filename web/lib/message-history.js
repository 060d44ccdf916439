/**
 * What was kept of a space's messages, by time. A player that goes back, or plays a recording, has the messages around its moment loaded before they are due.
 * @module
 */
import { authorization, withTimeout } from './http.js';
import { messageOf } from './message-frames.js';

/** How long the venue may take, in ms. */
const TIMEOUT_MS = 10_000;
/** Messages of one page. */
export const PAGE_MAX = 500;
/** Pages that are read for one stretch: a chat that is faster than this is not read by anybody. */
const PAGES_MAX = 6;
/** A stretch of history that is loaded at once, in ms. */
export const STRETCH_MS = 300_000;
/** The next stretch is loaded when its first message may be due within this time, in ms. */
const AHEAD_MS = 60_000;
/** A message came up to so many ms after the moment that it belongs to: while a performer is away for a moment, its last picture is the moment. */
const LATE_MS = 65_000;
/** A stretch is not asked for more often than this, in ms. */
const AGAIN_MS = 20_000;

/** @typedef {import('./message-frames.js').Message} Message */

/**
 * One page of messages, oldest first.
 * @param {string} space
 * @param {{from?: number, to?: number, types?: string[], after?: number | null, limit?: number, newest?: boolean, token?: string, origin?: string}} query times in ms since 1970
 * @returns {Promise<{messages: Message[], next: number | null}>} `next`: what to give as `after` for the following page
 */
export async function fetchMessages(space, { from, to, types = [], after = null, limit = PAGE_MAX, newest = false, token = '', origin = '' } = {}) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (from !== undefined) query.set('from', String(Math.max(0, Math.floor(from))));
  if (to !== undefined) query.set('to', String(Math.max(0, Math.ceil(to))));
  if (types.length > 0) query.set('type', types.join(','));
  if (after !== null) query.set('after', String(after));
  if (newest) query.set('newest', 'true');
  const response = await fetch(`${origin}/api/spaces/${encodeURIComponent(space)}/messages?${query}`, { headers: authorization(token), signal: withTimeout(undefined, TIMEOUT_MS) });
  if (!response.ok) throw new Error(`the history of ${space} answered ${response.status}`);
  return readPage(await response.json());
}

/**
 * Reads a page leniently.
 * @param {any} body
 * @returns {{messages: Message[], next: number | null}}
 */
export function readPage(body) {
  const list = Array.isArray(body?.messages) ? body.messages : [];
  const next = Number.isSafeInteger(body?.next) ? body.next : null;
  return { messages: list.map(messageOf).filter((message) => message !== null), next };
}

/**
 * The stretches of time that a player at `moment` needs: what was said before it, for whoever has just come there, and what comes next.
 * @param {number} moment ms since 1970
 * @param {number} until nothing after this is history: it comes by itself
 * @returns {number[]} numbers of stretches
 */
export function stretchesFor(moment, until) {
  if (!Number.isFinite(moment)) return [];
  const here = Math.floor(moment / STRETCH_MS);
  const ahead = Math.floor((moment + AHEAD_MS) / STRETCH_MS);
  const all = ahead > here ? [here, ahead, here - 1] : [here, here - 1];
  return all.filter((number) => number >= 0 && number * STRETCH_MS < until);
}

/**
 * Loads stretches of history once each, the one that is needed first, one at a time.
 */
export class HistoryFeed {
  /** When each was asked for. @type {Map<number, number>} */ #asked = new Map();
  #busy = false;
  #load;
  #take;
  #now;

  /**
   * @param {{load: (query: {from: number, to: number, after: number | null}) => Promise<{messages: Message[], next: number | null}>,
   *   take: (messages: Message[]) => void, now?: () => number}} parts
   */
  constructor({ load, take, now = () => performance.now() }) {
    this.#load = load;
    this.#take = take;
    this.#now = now;
  }

  /** What was loaded is not there any more. */
  forget() {
    for (const [number, at] of this.#asked) if (this.#now() - at > AGAIN_MS) this.#asked.delete(number);
  }

  /**
   * The picture is at `moment`. Returns at once; messages are handed to `take`.
   * @param {number} moment ms since 1970
   * @param {number} until from here on messages come by themselves
   */
  async follow(moment, until) {
    if (this.#busy) return;
    const wanted = stretchesFor(moment, until).find((number) => !this.#asked.has(number));
    if (wanted === undefined) return;
    this.#busy = true;
    this.#asked.set(wanted, this.#now());
    try {
      await this.#read(wanted);
    } catch {
      // The venue is not to be reached: somewhat later it is asked again.
      this.#asked.set(wanted, this.#now());
      setTimeout(() => this.#asked.delete(wanted), AGAIN_MS).unref?.();
    } finally {
      this.#busy = false;
    }
  }

  async #read(/** @type {number} */ stretch) {
    const from = stretch * STRETCH_MS;
    let after = null;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const { messages, next } = await this.#load({ from, to: from + STRETCH_MS + LATE_MS, after });
      this.#take(messages);
      if (next === null) return;
      after = next;
    }
  }
}
