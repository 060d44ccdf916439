/**
 * The message bus on the wire, as a client of `/ws/{space}` reads and writes it: whatever the venue sends becomes a frame with all its fields, or nothing.
 * @module
 */

/** Longest text, in characters, that is read: a picture of 1 MB and some. */
const TEXT_MAX = 2 * 1024 * 1024;
/** Most people of one frame that are read. */
export const PEOPLE_MAX = 5000;
/** Letters of a message's `id`, and of a `userId` that is made here. */
const ID_LENGTH = 16;

/**
 * @typedef {object} Moment where the live picture was when a message came
 * @property {string} stream
 * @property {string} life
 * @property {number} time_ms program date-time, ms since 1970
 *
 * @typedef {object} Message
 * @property {number} seq the venue's number of it: microseconds since 1970 when it came
 * @property {string} id chosen by whoever sent it, not always a unique one
 * @property {string} type
 * @property {any} value
 * @property {string} userId
 * @property {string} userName
 * @property {Moment | null} media
 * @property {any} envelope all of it, as it came
 *
 * @typedef {{code: string, detail: string, id: string}} Complaint why the venue did not take a message
 * @typedef {[number, number, number, number, number, number]} Position X, Y, Z, and rotation about each
 *
 * @typedef {{kind: 'welcome', seq: number, missed: boolean}
 *   | {kind: 'message', message: Message}
 *   | {kind: 'text', text: string, seq: number}
 *   | {kind: 'positions', users: Map<string, Position>, gone: string[]}
 *   | {kind: 'presence', users: Map<string, Record<string, any>>}
 *   | {kind: 'deleted', seq: number, id: string}
 *   | {kind: 'cleared', seq: number}
 *   | {kind: 'error', error: Complaint}} Frame
 */

const isObject = (/** @type {any} */ value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const textOr = (/** @type {any} */ value, otherwise = '') => (typeof value === 'string' ? value : otherwise);
const numberOf = (/** @type {any} */ value) => (Number.isSafeInteger(value) && value >= 0 ? value : 0);

/**
 * Reads one text frame.
 * @param {unknown} text
 * @returns {Frame | null} null for what this client does not know
 */
export function parseFrame(text) {
  if (typeof text !== 'string' || text.length > TEXT_MAX) return null;
  let frame;
  try {
    frame = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(frame)) return null;
  if (Object.hasOwn(frame, 'message')) {
    const message = messageOf(frame);
    return message && { kind: 'message', message };
  }
  if (isObject(frame.welcome)) return { kind: 'welcome', seq: numberOf(frame.welcome.seq), missed: frame.welcome.missed === true };
  if (isObject(frame.positions) || Array.isArray(frame.gone)) return { kind: 'positions', users: positionsOf(frame.positions), gone: textsOf(frame.gone) };
  if (isObject(frame.presence)) return { kind: 'presence', users: peopleOf(frame.presence.users) };
  if (isObject(frame.deleted)) return { kind: 'deleted', seq: numberOf(frame.deleted.seq), id: textOr(frame.deleted.id) };
  if (isObject(frame.cleared)) return { kind: 'cleared', seq: numberOf(frame.cleared.seq) };
  if (isObject(frame.error)) {
    const { code, detail, id } = frame.error;
    return { kind: 'error', error: { code: textOr(code, 'unknown'), detail: textOr(detail), id: textOr(id) } };
  }
  if (typeof frame.text === 'string') return { kind: 'text', text: frame.text, seq: numberOf(frame.seq) };
  return null;
}

/**
 * A message out of its frame, or out of a page of history, which has the same form.
 * @param {any} frame
 * @returns {Message | null} null for what is no envelope: it has no type, no value and no sender
 */
export function messageOf(frame) {
  if (!isObject(frame) || !isObject(frame.message)) return null;
  const envelope = frame.message;
  return {
    seq: numberOf(frame.seq),
    id: textOr(envelope.id),
    type: textOr(envelope.type),
    value: envelope.value,
    userId: textOr(envelope.userId, textOr(envelope.userid)),
    userName: textOr(envelope.userName, textOr(envelope.username)),
    media: momentOf(frame.media),
    envelope,
  };
}

/** @returns {Moment | null} */
function momentOf(/** @type {any} */ value) {
  if (!isObject(value) || typeof value.time_ms !== 'number' || !Number.isFinite(value.time_ms)) return null;
  return { stream: textOr(value.stream), life: textOr(value.life), time_ms: value.time_ms };
}

const textsOf = (/** @type {any} */ list) => (Array.isArray(list) ? list.filter((entry) => typeof entry === 'string').slice(0, PEOPLE_MAX) : []);

function positionsOf(/** @type {any} */ users) {
  /** @type {Map<string, Position>} */ const all = new Map();
  for (const [id, numbers] of Object.entries(isObject(users) ? users : {})) {
    if (all.size >= PEOPLE_MAX) break;
    if (Array.isArray(numbers) && numbers.length === 6 && numbers.every(Number.isFinite)) all.set(id, /** @type {Position} */ (numbers));
  }
  return all;
}

function peopleOf(/** @type {any} */ users) {
  /** @type {Map<string, Record<string, any>>} */ const all = new Map();
  for (const [id, fields] of Object.entries(isObject(users) ? users : {})) {
    if (all.size >= PEOPLE_MAX) break;
    if (isObject(fields)) all.set(id, fields);
  }
  return all;
}

/** Sixteen lower-case letters that nobody else has. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_LENGTH));
  return Array.from(bytes, (byte) => String.fromCharCode(97 + (byte % 26))).join('');
}

/**
 * What is sent for a message.
 * @param {{type: string, value?: any, channel: string, userId: string, userName: string, store?: boolean, id?: string}} said
 * @returns {Record<string, any>}
 */
export function envelopeOf({ type, value, channel, userId, userName, store, id = newId() }) {
  return { id, datetime: new Date().toISOString(), type, channel, userId, userName, value: value ?? null, ...(store ? { store: true } : {}) };
}
