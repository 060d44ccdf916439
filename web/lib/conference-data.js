/**
 * The message bus inside a conference: the data channels `messages` and `positions` of the peer connection, which are opened again when they were closed
 * and go on where they were.
 * @module
 */
import { Backoff } from './backoff.js';
import { frameOf, Whereabouts } from './conference-positions.js';
import { envelopeOf, parseFrame } from './message-frames.js';

/** A channel that was open this long, in ms, was a good one: the next failure is the first again. */
const GOOD_AFTER_MS = 10_000;
/** Longest message, in bytes, where the browser does not say what the venue takes. */
const MESSAGE_MAX = 64 * 1024;
/** What may wait inside the browser, in bytes. */
const BUFFERED_MAX = 1024 * 1024;
/** What is said while there is no connection waits, at most so many messages. */
const UNSENT_MAX = 50;
/** Numbers of messages that are remembered, so that none is told twice. */
const KNOWN_MAX = 5000;
/** Positions are told this often, in ms. */
const MOVE_EVERY_MS = 50;
/** The last position is told again after these, in ms: nobody knows whether it arrived, and nothing newer follows. */
const REPEAT_AFTER_MS = [250, 1000, 3000];

/**
 * @typedef {import('./message-frames.js').Message & {own: boolean}} Heard
 * @typedef {import('./conference-positions.js').Position} Position
 * @typedef {object} Speaker
 * @property {string} userId who speaks
 * @property {string} userName
 */

/**
 * Events: `message` with `detail` a `Heard`; `text` `{text, seq}`; `positions` a map of everybody's `Position` by userId; `presence` a map of everybody's
 * fields; `deleted` `{seq, id}`; `cleared` `{seq}`; `missed`; `refused` `{code, detail, id}`; `open` and `closed`.
 */
export class Data extends EventTarget {
  /** Whether what is said goes out at once. */ isOpen = false;
  #space;
  #speaker;
  #whereabouts = new Whereabouts();
  /** @type {RTCPeerConnection | null} */ #pc = null;
  /** @type {RTCDataChannel | null} */ #messages = null;
  /** @type {RTCDataChannel | null} */ #positions = null;
  /** @type {Record<string, any>[]} */ #unsent = [];
  /** The newest number heard; null before the first welcome. @type {number | null} */ #newest = null;
  /** In the order in which they came. @type {Set<number>} */ #known = new Set();
  #backoff = new Backoff();
  #openedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #reopening;
  /** @type {Position | null} */ #position = null;
  #movedAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #moving;

  /** @param {string} space @param {() => Speaker} speaker */
  constructor(space, speaker) {
    super();
    this.#space = space;
    this.#speaker = speaker;
  }

  /** Everybody's position by userId, as far as known. */
  get whereabouts() {
    return this.#whereabouts.all;
  }

  /** Opens the channels on a peer connection, before its first offer; those of an earlier one are over. @param {RTCPeerConnection} pc */
  attach(pc) {
    this.detach();
    this.#pc = pc;
    this.#open();
  }

  /** There is no peer connection any more. */
  detach() {
    clearTimeout(this.#reopening);
    const [messages, positions] = [this.#messages, this.#positions];
    this.#pc = this.#messages = this.#positions = null;
    messages?.close();
    positions?.close();
    this.#turn(false);
  }

  /** Nothing of this conference goes on. */
  end() {
    this.detach();
    clearTimeout(this.#moving);
    this.#unsent = [];
    this.#newest = null;
    this.#position = null;
    this.#known.clear();
    this.#whereabouts.all.clear();
  }

  /**
   * Says something to everybody in the space.
   * @param {{type: string, value?: any, store?: boolean, id?: string}} said
   * @returns {string} the message's id; empty when it is too long, or too much waits already
   */
  say({ type, value, store, id }) {
    const { userId, userName } = this.#speaker();
    const envelope = envelopeOf({ type, value, channel: this.#space, userId, userName, store, ...(id ? { id } : {}) });
    return this.#send(envelope) ? envelope.id : '';
  }

  /** Moves oneself. @param {Partial<Position>} position what is left out is 0 */
  move({ x = 0, y = 0, z = 0, rx = 0, ry = 0, rz = 0 }) {
    const position = { x, y, z, rx, ry, rz };
    if (!Object.values(position).every(Number.isFinite)) throw new TypeError('a position is of finite numbers');
    this.#position = position;
    clearTimeout(this.#moving);
    const wait = this.#movedAt + MOVE_EVERY_MS - performance.now();
    if (wait <= 0) this.#go(0);
    else this.#moving = setTimeout(() => this.#go(0), wait);
  }

  #go(/** @type {number} */ repeats) {
    if (!this.#position) return;
    this.#movedAt = performance.now();
    // What waits for the network would only be old when it gets there.
    if (this.#positions?.readyState === 'open' && this.#positions.bufferedAmount === 0) this.#positions.send(frameOf(this.#position));
    const again = REPEAT_AFTER_MS[repeats];
    if (again !== undefined) this.#moving = setTimeout(() => this.#go(repeats + 1), again);
  }

  #send(/** @type {Record<string, any>} */ envelope) {
    // Before the first welcome nobody knows who they are.
    if (!envelope.userId) Object.assign(envelope, this.#speaker());
    const text = JSON.stringify(envelope);
    const most = this.#pc?.sctp?.maxMessageSize ?? MESSAGE_MAX;
    if (text.length > most || new TextEncoder().encode(text).length > most) return false;
    // One that is closing is not closed yet.
    if (!this.isOpen || this.#messages?.readyState !== 'open') return this.#unsent.length < UNSENT_MAX && this.#unsent.push(envelope) > 0;
    const channel = /** @type {RTCDataChannel} */ (this.#messages);
    if (channel.bufferedAmount > BUFFERED_MAX) return false;
    channel.send(text);
    return true;
  }

  #open() {
    const pc = this.#pc;
    if (!pc || typeof pc.createDataChannel !== 'function') return;
    this.#whereabouts.begin();
    if (this.#positions?.readyState !== 'open' && this.#positions?.readyState !== 'connecting') {
      const positions = pc.createDataChannel('positions', { ordered: false, maxRetransmits: 0 });
      positions.binaryType = 'arraybuffer';
      positions.onmessage = ({ data }) => this.#whereabouts.takeFrame(data) && this.#tellPositions();
      this.#positions = positions;
    }
    const since = this.#newest === null ? '' : `since=${this.#newest}&`;
    const messages = pc.createDataChannel('messages', { protocol: `${since}positions=binary` });
    messages.onmessage = ({ data }) => this.#messages === messages && this.#hear(data);
    messages.onclose = () => this.#messages === messages && this.#closed();
    this.#messages = messages;
  }

  /** The venue, or the network, has closed the channel: it is opened again on the same connection. */
  #closed() {
    this.#messages = null;
    if (this.isOpen && performance.now() - this.#openedAt > GOOD_AFTER_MS) this.#backoff.reset();
    this.#turn(false);
    const state = this.#pc?.connectionState;
    if (!this.#pc || state === 'closed' || state === 'failed') return;
    this.#reopening = setTimeout(() => this.#reopen(), this.#backoff.next());
  }

  #reopen() {
    try {
      this.#open();
    } catch {
      // The connection is over; the next one has channels of its own.
    }
  }

  #hear(/** @type {unknown} */ data) {
    const numbers = numbersOf(data);
    if (numbers) return void (this.#whereabouts.learn(numbers) && this.#tellPositions());
    const frame = parseFrame(data);
    if (frame === null) return;
    switch (frame.kind) {
      case 'welcome': return this.#welcome(frame);
      case 'message': return void (this.#isNew(frame.message.seq) && this.#tell('message', { ...frame.message, own: frame.message.userId === this.#speaker().userId }));
      case 'text': return void (this.#isNew(frame.seq) && this.#tell('text', { text: frame.text, seq: frame.seq }));
      case 'positions': return void (this.#whereabouts.take(frame.users, frame.gone) && this.#tellPositions());
      case 'presence': return this.#tell('presence', frame.users);
      case 'deleted': return this.#tell('deleted', { seq: frame.seq, id: frame.id });
      case 'cleared': return this.#tell('cleared', { seq: frame.seq });
      case 'error': return this.#tell('refused', frame.error);
    }
  }

  #welcome(/** @type {{seq: number, missed: boolean}} */ { seq, missed }) {
    if (this.#newest !== null && missed) this.#tell('missed', null);
    this.#newest ??= seq;
    this.#openedAt = performance.now();
    this.#turn(true);
    for (const envelope of this.#unsent.splice(0)) this.#send(envelope);
    if (this.#position) this.#go(0);
  }

  #isNew(/** @type {number} */ seq) {
    if (seq === 0) return true;
    if (this.#known.has(seq)) return false;
    this.#known.add(seq);
    if (this.#known.size > KNOWN_MAX) this.#known.delete(/** @type {number} */ (this.#known.values().next().value));
    this.#newest = Math.max(this.#newest ?? 0, seq);
    return true;
  }

  #turn(/** @type {boolean} */ isOpen) {
    if (isOpen === this.isOpen) return;
    this.isOpen = isOpen;
    this.#tell(isOpen ? 'open' : 'closed', null);
  }

  #tellPositions() {
    this.#tell('positions', this.#whereabouts.all);
  }

  #tell(/** @type {string} */ type, /** @type {any} */ detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Who has which number in positions; null for all other frames. @returns {Record<string, unknown> | null} */
function numbersOf(/** @type {unknown} */ data) {
  if (typeof data !== 'string' || !data.startsWith('{"number":')) return null;
  try {
    const { number } = JSON.parse(data);
    return typeof number === 'object' ? number : null;
  } catch {
    return null;
  }
}
