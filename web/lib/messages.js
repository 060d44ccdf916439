/**
 * The message bus for pages. Ten lines are a chat:
 *
 *     import { connectMessages } from '/web/lib/messages.js';
 *     const bus = connectMessages('residence', { name: 'Ada', types: ['CHAT'] });
 *     bus.on('message', ({ userName, value }) => { log.append(`${userName}: ${value}\n`); });
 *     form.onsubmit = () => bus.say('CHAT', field.value);
 *
 * It connects again by itself, without a gap and without saying anything twice. `bus.timed(clock)` has the same messages when the viewer sees the moment
 * at which they were said.
 * @module
 */
import { Backoff, sleep } from './backoff.js';
import { read, write } from './keep.js';
import { envelopeOf, newId, parseFrame } from './message-frames.js';
import { fetchMessages, HistoryFeed } from './message-history.js';
import { MessageTiming } from './message-timing.js';

/** A connection that lasted this long, in ms, was a good one: the next failure is the first again. */
const GOOD_AFTER_MS = 10_000;
/** Numbers of messages that are remembered, so that none is told twice. */
const KNOWN_MAX = 5000;
/** What is said while there is no connection waits, at most so many messages, and not longer than this, in ms. */
const UNSENT_MAX = 50;
const UNSENT_AGE_MAX_MS = 30_000;
/** How often `timed` looks at the clock, in ms. */
const TICK_MS = 100;
/** After these close codes it would be of no use to connect again. */
const FINAL_CODES = new Map([[4003, 'You were removed from this space'], [4004, 'This space lets only invited people in']]);

/**
 * @typedef {import('./message-frames.js').Message & {own: boolean}} Heard
 * @typedef {object} Options
 * @property {string} [name] what others read
 * @property {string[]} [types] only these; all of them where nothing is said
 * @property {string} [token] an invitation, for a private space
 * @property {string} [userId] the same person after a reload; made and kept by the browser where nothing is said
 * @property {string} [origin] of the venue, for pages of elsewhere: `https://venue.example`
 */

/** Whoever this browser is on the bus, kept in it. */
export function ownId() {
  const known = read('localStorage', 'proscenium.user');
  if (/^[a-z]{16}$/.test(known)) return known;
  const id = newId();
  write('localStorage', 'proscenium.user', id);
  return id;
}

/**
 * Joins the bus of a space.
 * @param {string} space
 * @param {Options} [options]
 * @returns {Bus}
 */
export function connectMessages(space, options) {
  return new Bus(space, options);
}

/** Functions that are called with what happens. */
class Listeners {
  /** @type {Map<string, Set<(detail: any) => void>>} */ #all = new Map();

  /** @param {string} event @param {(detail: any) => void} listener @returns {() => void} which ends it */
  on(event, listener) {
    const listeners = this.#all.get(event) ?? new Set();
    this.#all.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** @param {string} event @param {any} detail */
  tell(event, detail) {
    for (const listener of [...(this.#all.get(event) ?? [])]) listener(detail);
  }
}

/**
 * Events for `on`:
 * - `message` a `Heard`: what was said, one's own included;
 * - `text` `{text, seq}`: what somebody said that is no JSON;
 * - `presence` a map of everybody by userId, with their fields; `positions` `{users, gone}`: who moved, who left;
 * - `deleted` `{seq, id}`: a moderator took a message away;
 * - `cleared` `{seq}`: the operator took away all messages up to this number;
 * - `error` `{code, detail, id}`: the venue did not take the message `id`;
 * - `missed`: while there was no connection, messages were lost that nobody keeps;
 * - `state` `'connecting' | 'open' | 'closed'`, with the reason as `bus.reason` where it will not connect again.
 */
export class Bus {
  /** @type {'connecting' | 'open' | 'closed'} */ state = 'connecting';
  reason = '';
  #listeners = new Listeners();
  #stop = new AbortController();
  #wake = new AbortController();
  /** @type {WebSocket | null} */ #socket = null;
  /** The newest number heard, to catch up from. */ #newest = 0;
  /** What the first welcome said: later messages come by themselves. @type {number | null} */ #first = null;
  /** In the order in which they came. @type {Set<number>} */ #known = new Set();
  /** @type {{text: string, at: number}[]} */ #unsent = [];
  #joined = false;

  /** @param {string} space @param {Options} [options] */
  constructor(space, { name = '', types = [], token = '', userId = ownId(), origin = '' } = {}) {
    this.space = space;
    this.name = name;
    this.types = types;
    this.token = token;
    this.userId = userId;
    this.origin = origin.replace(/\/+$/, '');
    this.#run();
  }

  /** Calls `listener` with what happens. @param {string} event @param {(detail: any) => void} listener @returns {() => void} which ends that */
  on(event, listener) {
    return this.#listeners.on(event, listener);
  }

  /**
   * Says something to everybody in the space.
   * @param {string} type `CHAT`, `CUE`, or any word of your own
   * @param {any} [value] whatever JSON can hold
   * @param {{store?: boolean}} [how] store: kept for those who come later; CHAT and LIKE always are
   * @returns {string} the message's id, by which an `error` names it; empty when too much waits for a connection
   */
  say(type, value, { store } = {}) {
    const envelope = envelopeOf({ type, value, channel: this.space, userId: this.userId, userName: this.name, store });
    return this.send(envelope) ? envelope.id : '';
  }

  /** Sends an envelope of one's own making. @param {Record<string, any>} envelope @returns {boolean} whether it was sent or waits to be */
  send(envelope) {
    if (this.state === 'closed') return false;
    const text = JSON.stringify(envelope);
    if (this.#socket?.readyState === 1) this.#socket.send(text);
    else if (this.#unsent.length >= UNSENT_MAX) return false;
    else this.#unsent.push({ text, at: performance.now() });
    return true;
  }

  /** Takes part: others see the name among who is here, until the connection ends. @param {string} [name] */
  join(name = this.name) {
    const before = this.name;
    this.name = name;
    if (!this.#joined) this.say('CHANNEL_JOIN', { userName: name });
    else if (name !== before) this.say('USER_UPDATE', { userName: name });
    this.#joined = true;
  }

  /** Moves: X, Y, Z and, if they matter, the rotation about each. @param {number[]} position three or six numbers */
  move(position) {
    this.say('POSITION', [...position, 0, 0, 0].slice(0, 6));
  }

  /**
   * What was kept, oldest first.
   * @param {{from?: number, to?: number, types?: string[], after?: number | null, limit?: number, newest?: boolean}} [query] times in ms since 1970
   */
  history(query = {}) {
    return fetchMessages(this.space, { types: this.types, token: this.token, origin: this.origin, ...query });
  }

  /**
   * The same messages, each when the picture shows its moment.
   * @param {() => number | null | undefined} clock the moment that is on the screen, in ms since 1970: hls.js has it as `playingDate`. null: the picture is live,
   *   or there is none; undefined: not known at the moment
   * @returns {Timed}
   */
  timed(clock) {
    return new Timed(this, clock);
  }

  /** Messages up to here, in ms since 1970 by the venue's clock, are history; later ones come by themselves. */
  get since() {
    return this.#first === null ? Infinity : this.#first / 1000;
  }

  /** Tries at once instead of at the end of a delay. */
  nudge() {
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  /** Ends for good. */
  close() {
    this.#stop.abort();
    this.#socket?.close(1000);
    this.#turn('closed');
  }

  get #address() {
    const url = new URL(`/ws/${encodeURIComponent(this.space)}`, this.origin || globalThis.location?.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    if (this.types.length > 0) url.searchParams.set('types', this.types.join(','));
    if (this.#first !== null) url.searchParams.set('since', String(this.#newest));
    if (this.token) url.searchParams.set('token', this.token);
    return url.href;
  }

  async #run() {
    const backoff = new Backoff();
    const stop = this.#stop.signal;
    while (!stop.aborted) {
      const began = performance.now();
      const { code, reason } = await this.#attend();
      if (stop.aborted) return;
      const final = FINAL_CODES.get(code);
      if (final !== undefined) {
        this.reason = reason || final;
        this.#stop.abort();
        return this.#turn('closed');
      }
      if (performance.now() - began > GOOD_AFTER_MS) backoff.reset();
      this.#turn('connecting');
      await sleep(backoff.next(), stop, this.#wake.signal);
    }
  }

  /** One connection from its first to its last moment. @returns {Promise<{code: number, reason: string}>} */
  #attend() {
    return new Promise((resolve) => {
      const socket = new WebSocket(this.#address);
      this.#socket = socket;
      socket.binaryType = 'arraybuffer';
      socket.onopen = () => this.#open(socket);
      socket.onmessage = ({ data }) => this.#hear(data);
      socket.onclose = ({ code, reason }) => {
        if (this.#socket === socket) this.#socket = null;
        resolve({ code, reason });
      };
    });
  }

  #open(/** @type {WebSocket} */ socket) {
    const unsent = this.#unsent.filter(({ at }) => performance.now() - at < UNSENT_AGE_MAX_MS);
    this.#unsent = [];
    this.#turn('open');
    const isJoin = ({ text }) => text.includes('"type":"CHANNEL_JOIN"');
    // The last connection's end was our leaving.
    if (this.#joined && !unsent.some(isJoin)) this.say('CHANNEL_JOIN', { userName: this.name });
    for (const { text } of unsent) socket.send(text);
  }

  #hear(/** @type {unknown} */ data) {
    const frame = parseFrame(data);
    if (frame === null) return;
    const tell = (/** @type {string} */ event, /** @type {any} */ detail) => this.#listeners.tell(event, detail);
    switch (frame.kind) {
      case 'welcome':
        if (this.#first !== null && frame.missed) tell('missed', null);
        if (this.#first === null) this.#newest = frame.seq;
        this.#first ??= frame.seq;
        return;
      case 'message':
        if (this.#isNew(frame.message.seq)) tell('message', { ...frame.message, own: frame.message.userId === this.userId });
        return;
      case 'text':
        if (this.#isNew(frame.seq)) tell('text', { text: frame.text, seq: frame.seq });
        return;
      case 'positions':
        return tell('positions', { users: frame.users, gone: frame.gone });
      case 'presence':
        return tell('presence', frame.users);
      case 'deleted':
        return tell('deleted', { seq: frame.seq, id: frame.id });
      case 'cleared':
        return tell('cleared', { seq: frame.seq });
      case 'error':
        return tell('error', frame.error);
    }
  }

  #isNew(/** @type {number} */ seq) {
    if (seq === 0) return true;
    if (this.#known.has(seq)) return false;
    this.#known.add(seq);
    if (this.#known.size > KNOWN_MAX) this.#known.delete(/** @type {number} */ (this.#known.values().next().value));
    this.#newest = Math.max(this.#newest, seq);
    return true;
  }

  #turn(/** @type {Bus['state']} */ state) {
    if (state === this.state) return;
    this.state = state;
    this.#listeners.tell('state', state);
  }
}

/**
 * The messages of a bus in time with a picture. Events for `on`:
 * - `message` a `Heard`, at its moment; one's own, and what came without a picture, at once;
 * - `back` a list of `Heard`: the picture went back; whatever was shown is void, and this is what was said until there;
 * - `deleted` and `cleared` as of the bus.
 */
export class Timed {
  #listeners = new Listeners();
  #timing;
  #feed;
  #bus;
  #clock;
  #ends;
  #ticker;

  /** @param {Bus} bus @param {() => number | null | undefined} clock */
  constructor(bus, clock) {
    this.#bus = bus;
    this.#clock = clock;
    this.#feed = new HistoryFeed({ load: (query) => bus.history(query), take: (messages) => this.#take(messages) });
    this.#timing = new MessageTiming({ onForgotten: () => this.#feed.forget() });
    this.#ends = [
      bus.on('message', (message) => {
        this.#timing.add(message, { own: message.own });
        this.#tick();
      }),
      bus.on('deleted', (deleted) => {
        this.#timing.remove(deleted.seq);
        this.#listeners.tell('deleted', deleted);
      }),
      bus.on('cleared', (cleared) => {
        this.#timing.clear(cleared.seq);
        this.#listeners.tell('cleared', cleared);
      }),
    ];
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Calls `listener` with what happens. @param {string} event @param {(detail: any) => void} listener @returns {() => void} which ends that */
  on(event, listener) {
    return this.#listeners.on(event, listener);
  }

  /**
   * Shows what was said before: the newest kept messages, for whoever has just come.
   * @param {number} [limit]
   */
  async recall(limit = 100) {
    const { messages } = await this.#bus.history({ newest: true, limit });
    this.#take(messages);
  }

  /** Ends it; the bus goes on. */
  close() {
    clearInterval(this.#ticker);
    for (const end of this.#ends) end();
  }

  #take(/** @type {import('./message-frames.js').Message[]} */ messages) {
    for (const message of messages) this.#timing.add(message, { old: true });
    this.#tick();
  }

  #tick() {
    const now = this.#clock();
    const { due, back } = this.#timing.advance(now);
    const heard = due.map((message) => ({ ...message, own: message.userId === this.#bus.userId }));
    if (back) this.#listeners.tell('back', heard);
    else for (const message of heard) this.#listeners.tell('message', message);
    if (typeof now === 'number' && !Number.isNaN(now)) this.#feed.follow(now, this.#bus.since);
  }
}
