/**
 * The two ways in which a performance reaches a page: WebRTC, at once, for as many as the venue has seats; HLS, about two seconds later, for
 * everybody else, with pause and rewind. What can be decided about them without a browser.
 * @module
 */
import { withTimeout } from './http.js';
import { read, write } from './keep.js';

/** @typedef {'webrtc' | 'hls'} Way */
/** @typedef {'seats' | 'blocked' | 'codec' | 'silent' | 'jerky'} Reason why a page leaves WebRTC by itself */

/** How long WebRTC may bring no picture of a stage that is live, in ms, before HLS is tried beside it: longer than any ordinary handshake. */
export const SILENT_MAX_MS = 5000;

/** How long the venue may take to say how many seats are free, in ms; without an answer a seat is simply tried. */
const SEATS_TIMEOUT_MS = 3000;

/** What a person chose, kept in the browser. */
const WISH = 'proscenium.way';
/** Why WebRTC did not work here, kept as long as the tab: a firewall does not open between two pages, and nobody waits for it twice. */
const BARRED = 'proscenium.barred';

/** @returns {Way | null} what somebody chose in this browser; null when nobody did */
export function wish() {
  const kept = read('localStorage', WISH);
  return kept === 'hls' || kept === 'webrtc' ? kept : null;
}

/** @param {Way} way */
export function keepWish(way) {
  write('localStorage', WISH, way);
  if (way === 'webrtc') write('sessionStorage', BARRED, '');
}

/** Whether WebRTC has failed in this tab in a way that will not pass by itself. */
export const isBarred = () => read('sessionStorage', BARRED) !== '';

/** @param {Reason} reason */
export function keepReason(reason) {
  // A full house and a performer's settings are no property of this network.
  if (reason !== 'seats' && reason !== 'jerky') write('sessionStorage', BARRED, reason);
}

/**
 * With which way a page begins.
 * @param {{webrtc: boolean, hls: boolean | null, wish: Way | null, barred: boolean, jerky?: boolean}} known `webrtc`: this browser has it; `hls`: the venue offers
 *   it for this stream, null while it has not said yet; `jerky`: it shows few of the performer's pictures by WebRTC
 * @returns {Way | null} null: only the venue's next word can tell
 */
export function firstWay({ webrtc, hls, wish: wanted, barred, jerky = false }) {
  if (!webrtc || (jerky && hls)) return 'hls';
  if (wanted !== 'hls' && !(barred && wanted === null)) return 'webrtc';
  if (hls === null) return null;
  return hls ? 'hls' : 'webrtc';
}

/**
 * How many more may watch by WebRTC.
 * @param {unknown} body parsed JSON
 * @returns {number | null} null when it does not say
 */
export function parseSeats(body) {
  const free = /** @type {any} */ (body)?.free;
  return Number.isSafeInteger(free) && free >= 0 ? free : null;
}

/** Asks the venue. @returns {Promise<number | null>} see `parseSeats` */
export async function freeSeats() {
  try {
    const response = await fetch('/api/seats', { headers: { Accept: 'application/json' }, cache: 'no-store', signal: withTimeout(undefined, SEATS_TIMEOUT_MS) });
    return response.ok ? parseSeats(await response.json()) : null;
  } catch {
    return null;
  }
}

/**
 * Whether a page should leave WebRTC for HLS by itself.
 * @param {{full: boolean, jerky?: boolean, refusal: {kind: string} | null, canSeePicture: boolean, live: boolean, hls: boolean, reachable: boolean, silent_ms: number}} seen
 *   `full`: the venue says that no seat is free; `jerky`: browsers show few of this performer's pictures by WebRTC; `silent_ms`: how long WebRTC has been wanted without showing anything
 * @returns {Reason | null}
 */
export function reasonToLeave({ full, jerky = false, refusal, canSeePicture, live, hls, reachable, silent_ms }) {
  if (!hls || !live) return null;
  if (jerky) return 'jerky';
  if (full || refusal?.kind === 'busy') return 'seats';
  if (refusal?.kind === 'blocked') return 'blocked';
  if (refusal?.kind === 'not-acceptable' || !canSeePicture) return 'codec';
  // A venue that cannot be reached has no HLS either.
  return reachable && silent_ms >= SILENT_MAX_MS ? 'silent' : null;
}

/**
 * What a person is told whose way changed, or did not.
 * @param {Reason | null} reason
 * @returns {string} empty where nothing needs to be said
 */
export function noticeOf(reason) {
  switch (reason) {
    case 'seats': return 'Every seat without delay is taken. You watch some seconds behind.';
    case 'blocked':
    case 'silent': return 'The live connection does not get through here. You watch some seconds behind.';
    case 'jerky': return 'This performer’s picture would be jerky without delay. You watch some seconds behind.';
    case 'codec': return 'This browser cannot show the live picture without delay. You watch some seconds behind.';
    default: return '';
  }
}
