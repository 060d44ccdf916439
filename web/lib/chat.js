/**
 * A chat as it is read: messages, who likes which, and what a moderator took away. Knows nothing of networks, pictures or Vue.
 * @module
 */
import { momentOf } from './message-timing.js';
import { sentence } from './words.js';

/** What a chat is made of. */
export const CHAT_TYPES = ['CHAT', 'LIKE', 'HEART'];
/** Messages that are shown; the oldest leave. */
export const SHOWN_MAX = 300;
/** Longest text that is shown, in characters. */
export const TEXT_MAX = 2000;
/** Longest text that can be typed: nobody reads more during a performance. */
export const TYPED_MAX = 500;
/** Longest name, in characters. */
export const NAME_MAX = 40;
/** People of whom is remembered what they like, for each message. */
const LIKES_MAX = 5000;
/** A message that is older than what is shown by more than this, in ms, goes to its place; all others go to the end. */
const LATE_MS = 15_000;

/** @typedef {import('./messages.js').Heard} Heard */
/**
 * @typedef {object} Line
 * @property {number} seq
 * @property {string} id
 * @property {string} name
 * @property {string} text
 * @property {boolean} own
 * @property {number} at ms since 1970
 * @property {number} likes
 * @property {boolean} liked by whoever reads
 */

/** What a value says in a chat; empty for what says nothing. @param {any} value @returns {string} */
export function textOf(value) {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.trim().slice(0, TEXT_MAX);
}

/** A name that can be shown: one line, not too long. @param {string} name @returns {string} */
export function nameOf(name) {
  return name.replace(/[\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g, ' ').replace(/\s+/g, ' ').trim().slice(0, NAME_MAX);
}

export class ChatLog {
  /** @type {Line[]} */ #lines = [];
  /** Who likes the messages of an id. @type {Map<string, Set<string>>} */ #likes = new Map();
  #self;

  /** @param {string} self the userId of whoever reads */
  constructor(self) {
    this.#self = self;
  }

  /** What is to be read, oldest first. @returns {Line[]} */
  get lines() {
    return this.#lines.map((line) => {
      const likes = this.#likes.get(line.id);
      return { ...line, likes: likes?.size ?? 0, liked: likes?.has(this.#self) ?? false };
    });
  }

  /** Takes a message. @param {Heard} message @returns {'line' | 'like' | 'heart' | null} what came of it */
  hear(message) {
    if (message.type === 'HEART') return 'heart';
    if (message.type === 'LIKE') return this.#like(message.value, message.userId || message.id) ? 'like' : null;
    if (message.type !== 'CHAT') return null;
    const text = textOf(message.value);
    if (text === '' || this.#lines.some(({ seq }) => seq === message.seq)) return null;
    const line = { seq: message.seq, id: message.id, name: nameOf(message.userName) || 'Somebody', text, own: message.own, at: momentOf(message), likes: 0, liked: false };
    let place = this.#lines.length;
    while (place > 0 && this.#lines[place - 1].at > line.at + LATE_MS) place -= 1;
    this.#lines.splice(place, 0, line);
    if (this.#lines.length > SHOWN_MAX) this.#drop(/** @type {Line} */ (this.#lines.shift()));
    return 'line';
  }

  /** Begins anew with these. @param {Heard[]} messages */
  rebuild(messages) {
    this.#lines = [];
    this.#likes.clear();
    for (const message of messages) this.hear(message);
  }

  /** A moderator took a message away. @param {{seq: number, id: string}} deleted @returns {boolean} whether it was shown */
  remove({ seq }) {
    const place = this.#lines.findIndex((line) => line.seq === seq);
    if (place < 0) return false;
    this.#drop(this.#lines.splice(place, 1)[0]);
    return true;
  }

  /** The operator took away everything up to this number. @param {{seq: number}} cleared @returns {boolean} whether something of it was shown */
  clear({ seq }) {
    return this.#lines.filter((line) => line.seq <= seq).map((line) => this.remove(line)).length > 0;
  }

  #like(/** @type {any} */ id, /** @type {string} */ user) {
    if (typeof id !== 'string' || id === '' || user === '') return false;
    const likes = this.#likes.get(id) ?? new Set();
    if (likes.has(user) || likes.size >= LIKES_MAX) return false;
    // What somebody likes may be known before the message is: both are kept, and come in any order. Not without end.
    if (!this.#likes.has(id) && this.#likes.size >= 2 * SHOWN_MAX) this.#likes.delete(/** @type {string} */ (this.#likes.keys().next().value));
    this.#likes.set(id, likes.add(user));
    return true;
  }

  #drop(/** @type {Line} */ line) {
    if (!this.#lines.some(({ id }) => id === line.id)) this.#likes.delete(line.id);
  }
}

/** What each refusal means for whoever typed. @type {Record<string, string>} */
const REFUSALS = {
  slow_mode: 'The chat is in slow mode. Wait a little before your next message.',
  rate: 'That was too fast. Wait a moment.',
  word: 'That has a word that is not welcome here.',
  banned: 'A moderator has asked you to be silent for a while.',
  too_large: 'That is too long for the chat.',
  forbidden: 'You may not say that here.',
  private: 'This space is private.',
  read_only: 'You can read along here, but not write.',
  full: 'Too many people are here at the moment. Try again later.',
  not_stored: 'The venue could not keep your message. Try again.',
};

/** Why a message was not taken, for people. @param {import('./message-frames.js').Complaint} error @returns {string} */
export function refusalText({ code, detail }) {
  if (code === 'slow_mode' && /\d/.test(detail)) return sentence(detail);
  return REFUSALS[code] ?? (sentence(detail) || 'The venue did not take that.');
}

/** How many are here, for people. @param {number} count @returns {string} */
export function hereText(count) {
  if (count <= 0) return '';
  return count === 1 ? '1 person here' : `${count.toLocaleString('en')} people here`;
}
