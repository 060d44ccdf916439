/**
 * Which pictures a participant wants, and how large: told to the server when it has settled, and only when it changed.
 * @module
 */
import { SOURCES } from './conference-messages.js';

/** How long a list may change, in ms, before it is sent: a grid that is being laid out tells once. */
export const SETTLE_MS = 100;
/** Longest list that is sent. */
export const TRACKS_MAX = 64;
/** Sizes are told in steps of this many pixels: one pixel more is no other layer. */
const STEP = 16;
/** Largest side of a picture that can be asked for, in pixels. */
const SIDE_MAX = 4096;

const PRIORITIES = new Set(['low', 'normal', 'high', 'pinned']);

/**
 * @typedef {object} Wish
 * @property {string} id of the participant
 * @property {import('./conference-messages.js').Source} [source] `camera` unless said
 * @property {number} [width] in device pixels
 * @property {number} [height]
 * @property {'low' | 'normal' | 'high' | 'pinned'} [priority]
 */

/**
 * A list as it is sent: each picture once, the first mention counts, sizes rounded up.
 * @param {Wish[]} wishes most important first
 * @param {number} [most]
 * @returns {Required<Wish>[]}
 */
export function tidy(wishes, most = TRACKS_MAX) {
  const seen = new Set();
  const tracks = [];
  for (const { id, source = 'camera', width = 320, height = 180, priority = 'normal' } of wishes) {
    const key = `${source} ${id}`;
    if (tracks.length >= most || typeof id !== 'string' || !SOURCES.includes(source) || seen.has(key)) continue;
    seen.add(key);
    tracks.push({ id, source, width: side(width), height: side(height), priority: PRIORITIES.has(priority) ? priority : 'normal' });
  }
  return tracks;
}

function side(/** @type {number} */ pixels) {
  if (!(pixels > 0)) return STEP;
  return Math.min(SIDE_MAX, Math.ceil(pixels / STEP) * STEP);
}

/** Sends the list when it has settled. */
export class WatchList {
  #send;
  /** @type {Required<Wish>[] | null} nobody said anything yet: the server shows everybody */ #tracks = null;
  #sent = '';
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /** @param {(message: object) => boolean} send false when it could not be sent */
  constructor(send) {
    this.#send = send;
  }

  /** @param {Wish[]} wishes @param {number} [most] */
  set(wishes, most) {
    this.#tracks = tidy(wishes, most);
    this.#timer ??= setTimeout(() => this.flush(), SETTLE_MS);
  }

  /** Sends it now, if it differs from what was sent last. */
  flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#tracks === null) return;
    const text = JSON.stringify(this.#tracks);
    if (text !== this.#sent && this.#send({ type: 'watch', tracks: this.#tracks })) this.#sent = text;
  }

  /** The server forgot: everything is sent again. */
  repeat() {
    this.#sent = '';
    this.flush();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
