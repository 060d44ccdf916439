/**
 * What a venue has recorded of a space, as the server tells it.
 * @module
 */
import { authorization, mediaAddress, withTimeout } from './http.js';
import { isName } from './names.js';

/** Most recordings that a page lists; a longer list is cut to the newest. */
export const RECORDINGS_MAX = 100;
/** Most thumbnails of one recording: a day, one each ten seconds. */
const THUMBNAILS_MAX = 8640;
/** How long the server may take to answer, in ms. */
const TIMEOUT_MS = 10_000;

/**
 * @typedef {{at_s: number, url: string}} Thumbnail `at_s`: seconds since the recording began
 *
 * @typedef {object} Recording
 * @property {string} id
 * @property {string} stream
 * @property {Date} started
 * @property {number} duration_s
 * @property {number} bytes 0 when unknown
 * @property {boolean} finished false while it is being made
 * @property {string} playlist address
 * @property {string | null} mp4 address of the file
 * @property {Thumbnail[]} thumbnails in order
 */

const numberOf = (/** @type {unknown} */ value) => (typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0);

/** @param {unknown} thumbnails @param {string} base @returns {Thumbnail[]} */
function thumbnailsOf(thumbnails, base) {
  if (!Array.isArray(thumbnails)) return [];
  return thumbnails.slice(0, THUMBNAILS_MAX).flatMap((thumbnail) => {
    const url = mediaAddress(thumbnail?.url, base);
    const at_s = thumbnail?.at_s;
    return url && typeof at_s === 'number' && Number.isFinite(at_s) && at_s >= 0 ? [{ at_s, url }] : [];
  }).sort((left, right) => left.at_s - right.at_s);
}

/**
 * Reads the list of a space's recordings. Entries that make no sense are left out.
 * @param {unknown} body parsed JSON
 * @param {string} [base] what relative addresses are relative to
 * @returns {Recording[]} the newest first
 * @throws {TypeError} when it is no such list
 */
export function parseRecordings(body, base = globalThis.location?.href ?? 'http://localhost/') {
  const { recordings } = /** @type {any} */ (body ?? {});
  if (!Array.isArray(recordings)) throw new TypeError('a list of recordings is needed');
  return recordings.flatMap((entry) => {
    const started = new Date(typeof entry?.started === 'string' ? entry.started : NaN);
    const playlist = mediaAddress(entry?.playlist, base);
    const isOne = typeof entry?.id === 'string' && isName(entry.id) && typeof entry.stream === 'string' && isName(entry.stream);
    if (!isOne || !playlist || Number.isNaN(started.getTime())) return [];
    return [{
      id: entry.id,
      stream: entry.stream,
      started,
      duration_s: numberOf(entry.duration_s),
      bytes: numberOf(entry.bytes),
      finished: entry.state === 'finished',
      playlist,
      mp4: mediaAddress(entry.mp4, base),
      thumbnails: thumbnailsOf(entry.thumbnails, base),
    }];
  }).sort((left, right) => right.started.getTime() - left.started.getTime()).slice(0, RECORDINGS_MAX);
}

/**
 * The thumbnail of a moment: the last one before it.
 * @param {Recording[]} recordings
 * @param {string} stream
 * @param {number} moment ms since 1970
 * @returns {string | null} its address
 */
export function thumbnailAt(recordings, stream, moment) {
  const of = recordings.find((one) => one.stream === stream && one.thumbnails.length > 0
    && moment >= one.started.getTime() && (!one.finished || moment <= one.started.getTime() + one.duration_s * 1000));
  if (!of) return null;
  const at_s = (moment - of.started.getTime()) / 1000;
  return of.thumbnails.findLast((thumbnail) => thumbnail.at_s <= at_s)?.url ?? of.thumbnails[0].url;
}

/** The picture on a recording's card: from its middle, where the stage is lit. @param {Recording} recording @returns {string | null} */
export function posterOf({ thumbnails }) {
  return thumbnails[thumbnails.length >> 1]?.url ?? null;
}

/** @param {number} bytes @returns {string} `640 MB`; empty when unknown */
export function bytesText(bytes) {
  if (!(bytes > 0)) return '';
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1000))} kB`;
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/**
 * The recordings of a space.
 * @param {string} space
 * @param {string} [token] an invitation, for a space that is private
 * @returns {Promise<Recording[]>} empty where the venue records nothing or does not answer
 */
export async function fetchRecordings(space, token = '') {
  try {
    const response = await fetch(`/api/spaces/${encodeURIComponent(space)}/recordings`, { headers: { Accept: 'application/json', ...authorization(token) }, signal: withTimeout(undefined, TIMEOUT_MS) });
    return response.ok ? parseRecordings(await response.json()) : [];
  } catch {
    return [];
  }
}

/**
 * Begins or ends the recording of a stream.
 * @param {string} space
 * @param {string} stream
 * @param {boolean} recording
 * @param {string} token a moderator's
 * @returns {Promise<string>} what went wrong, for a person; empty when nothing did
 */
export async function setRecording(space, stream, recording, token) {
  const address = `/api/spaces/${encodeURIComponent(space)}/streams/${encodeURIComponent(stream)}/recording`;
  try {
    const response = await fetch(address, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...authorization(token) },
      body: JSON.stringify({ recording }),
      signal: withTimeout(undefined, TIMEOUT_MS),
    });
    if (response.ok) return '';
    if (response.status === 401 || response.status === 403) return 'This invitation does not allow recording.';
    const { detail } = await response.json().catch(() => ({}));
    return typeof detail === 'string' ? detail.slice(0, 200) : `The venue answered ${response.status}.`;
  } catch {
    return 'The venue does not answer.';
  }
}
