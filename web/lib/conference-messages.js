/**
 * The conference protocol, version 1, as a client reads it: whatever the server sends becomes a message with all its fields, or nothing.
 * @module
 */

/** The protocol that is spoken here. */
export const VERSION = 1;

/** Longest message, in characters, that is read: a welcome of a full space is a tenth of it. */
export const MESSAGE_MAX = 2 * 1024 * 1024;
/** Most people, slots or speakers of one message that are read. */
export const ENTRIES_MAX = 2048;

/** What a participant can publish. */
export const SOURCES = ['camera', 'screen'];

/**
 * @typedef {'camera' | 'screen'} Source
 * @typedef {'audio' | 'video'} Kind
 * @typedef {{audio: boolean, video: boolean}} Muted
 *
 * @typedef {object} Feed what somebody publishes
 * @property {Source} source
 * @property {boolean} audio whether it has sound
 * @property {boolean} video
 * @property {Muted} muted
 * @property {boolean} music
 * @property {string | null} stream the stream of the space that it is, beside the conference
 * @property {{rid: string, width: number, height: number}[]} layers lowest first
 *
 * @typedef {object} Participant
 * @property {string} id
 * @property {string} name
 * @property {string} role `viewer`, `participant`, `performer` or `moderator`
 * @property {boolean} stage
 * @property {string | null} hand since when it is raised
 * @property {string | null} joined
 * @property {boolean} reachable
 * @property {string | null} data what the participant's program says about it, opaque
 * @property {Feed[]} feeds
 *
 * @typedef {object} Slot
 * @property {string} mid
 * @property {Kind} kind
 * @property {string} id whose
 * @property {Source} source
 * @property {'live' | 'paused' | 'unsupported'} state
 */

/**
 * Reads one text frame.
 * @param {unknown} text
 * @returns {{type: string, [field: string]: any} | null} null for what is no message of this protocol, or one that it does not know
 */
export function parse(text) {
  if (typeof text !== 'string' || text.length > MESSAGE_MAX) return null;
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value) || typeof value.type !== 'string' || !Object.hasOwn(READERS, value.type)) return null;
  const fields = READERS[value.type](value);
  return fields && { ...fields, type: value.type };
}

/** @param {any} value @returns {Participant | null} null without an id */
export function participantOf(value) {
  if (!isObject(value) || !isText(value.id) || value.id === '') return null;
  return {
    id: value.id,
    name: textOr(value.name, ''),
    role: textOr(value.role, 'participant'),
    stage: value.stage === true,
    hand: textOr(value.hand, null),
    joined: textOr(value.joined, null),
    reachable: value.reachable !== false,
    data: textOr(value.data, null),
    feeds: listOf(value.feeds, feedOf),
  };
}

const isObject = (/** @type {unknown} */ value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (/** @type {unknown} */ value) => typeof value === 'string';
const textOr = (/** @type {unknown} */ value, /** @type {any} */ otherwise) => (typeof value === 'string' ? value : otherwise);
const numberOr = (/** @type {unknown} */ value, /** @type {any} */ otherwise) => (typeof value === 'number' && Number.isFinite(value) ? value : otherwise);
const isSource = (/** @type {unknown} */ value) => SOURCES.includes(/** @type {string} */ (value));
const object = (/** @type {any} */ value) => (isObject(value) ? value : {});

/** The readable entries of what should be a list. */
function listOf(value, read) {
  return Array.isArray(value) ? value.slice(0, ENTRIES_MAX).map(read).filter((entry) => entry !== null) : [];
}

const mutedOf = (value) => ({ audio: object(value).audio === true, video: object(value).video === true });

function feedOf(value) {
  if (!isObject(value) || !isSource(value.source)) return null;
  return {
    source: value.source,
    audio: value.audio === true,
    video: value.video === true,
    muted: mutedOf(value.muted),
    music: value.music === true,
    stream: textOr(value.stream, null),
    layers: listOf(value.layers, (layer) => (isObject(layer) ? { rid: textOr(layer.rid, ''), width: numberOr(layer.width, 0), height: numberOr(layer.height, 0) } : null)),
  };
}

function slotOf(value) {
  if (!isObject(value) || !isText(value.mid) || !isText(value.id) || !isSource(value.source) || !['audio', 'video'].includes(value.kind)) return null;
  const state = ['paused', 'unsupported'].includes(value.state) ? value.state : 'live';
  return { mid: value.mid, kind: value.kind, id: value.id, source: value.source, state };
}

function permissionsOf(value) {
  const { publish, screen, music, stream, moderate } = object(value);
  return { publish: publish === true, screen: screen === true, music: music === true, stream: stream === true, moderate: moderate === true };
}

const spaceOf = (value) => ({ name: textOr(object(value).name, ''), locked: object(value).locked === true, stage_only: object(value).stage_only === true });

function iceServerOf(value) {
  const urls = isObject(value) ? listOf([value.urls].flat(), (url) => (isText(url) ? url : null)) : [];
  if (urls.length === 0) return null;
  return { urls, ...(isText(value.username) ? { username: value.username } : {}), ...(isText(value.credential) ? { credential: value.credential } : {}) };
}

const described = (value) => (isText(value.sdp) ? { id: numberOr(value.id, 0), sdp: value.sdp } : null);

const leaverOf = (value) => (isObject(value) && isText(value.id) ? { id: value.id, reason: textOr(value.reason, 'left'), ...(isText(value.message) ? { message: value.message } : {}) } : null);

function person(value) {
  const participant = participantOf(value.participant);
  return participant && { participant };
}

/** How the fields of each type are read; null when the message makes no sense without what is missing. */
const READERS = {
  welcome(value) {
    if (!isText(value.id)) return null;
    return {
      version: numberOr(value.version, VERSION),
      server: textOr(value.server, ''),
      id: value.id,
      resume: textOr(value.resume, null),
      media: value.media === 'kept' ? 'kept' : 'new',
      role: textOr(value.role, 'participant'),
      permissions: permissionsOf(value.permissions),
      space: spaceOf(value.space),
      participants: listOf(value.participants, participantOf),
      ice_servers: listOf(value.ice_servers, iceServerOf),
      limits: isObject(value.limits) ? value.limits : {},
    };
  },
  answer: described,
  offer: described,
  joined: person,
  updated: person,
  left: leaverOf,
  participants: (value) => ({ joined: listOf(value.joined, participantOf), updated: listOf(value.updated, participantOf), left: listOf(value.left, leaverOf) }),
  space: (value) => ({ space: spaceOf(value.space) }),
  permissions: (value) => ({ role: textOr(value.role, 'participant'), permissions: permissionsOf(value.permissions) }),
  slots: (value) => ({ slots: listOf(value.slots, slotOf) }),
  speakers: (value) => ({
    dominant: textOr(value.dominant, null),
    active: listOf(value.active, (entry) => (isObject(entry) && isText(entry.id) ? { id: entry.id, level: numberOr(entry.level, 127) } : null)),
  }),
  layers: (value) => (isSource(value.source) ? { source: value.source, active: listOf(value.active, (on) => on !== false) } : null),
  quality: (value) => ({
    participants: listOf(value.participants, (entry) => (isObject(entry) && isText(entry.id) && isText(entry.quality) ? { id: entry.id, quality: entry.quality } : null)),
  }),
  muted: (value) => (isSource(value.source) ? { source: value.source, ...mutedOf(value), by: textOr(value.by, null) } : null),
  unpublished: (value) => (isSource(value.source) ? { source: value.source, by: textOr(value.by, null) } : null),
  restart: () => ({}),
  error: (value) => ({
    code: textOr(value.code, 'unknown'),
    message: textOr(value.message, 'The venue refused without saying why'),
    request: textOr(value.request, null),
    id: numberOr(value.id, null),
    retryAfterMs: Math.max(0, numberOr(value.retry_after, 0)) * 1000,
  }),
};
