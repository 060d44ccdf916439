/**
 * Moments of a performance: positions in a player and the times at which they were performed. A moment is in ms since 1970 on the venue's
 * clock (`EXT-X-PROGRAM-DATE-TIME`), so that it means the same in every camera, in the rewind view and in a recording; a position is in seconds.
 * @module
 */
import { clockText } from './words.js';

/** A viewer this close to where live viewers are, in seconds, is one of them. */
export const LIVE_WITHIN_S = 3;
/** A viewer's clock that disagrees with the playlist by more than this, in seconds, is wrong. */
const CLOCK_ERROR_MAX_S = 5;
/** How much of the short playlist has to be left below somebody who is behind, in seconds, before the long one takes over. */
export const MARGIN_S = 14;
/** A rewind window without a length of its own, in seconds: what a venue keeps if nobody changed it. */
export const DVR_DEFAULT_S = 7200;

/** @typedef {{start: number, duration: number, programDateTime: number | null}} Span a stretch of media: seconds, seconds, ms since 1970 (hls.js's fragments are such) */

/** The last span that begins at or before what `value` reads; the first one when none does. */
function spanAt(/** @type {Span[]} */ spans, /** @type {(span: Span) => number} */ value, /** @type {number} */ wanted) {
  let [low, high] = [0, spans.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (value(spans[middle]) <= wanted) low = middle;
    else high = middle - 1;
  }
  return spans[low];
}

/**
 * The moment at a position.
 * @param {Span[]} spans in order
 * @param {number} position seconds
 * @returns {number | null} null without dates
 */
export function momentAt(spans, position) {
  if (spans.length === 0 || !Number.isFinite(position)) return null;
  const span = spanAt(spans, ({ start }) => start, position);
  return typeof span.programDateTime === 'number' ? span.programDateTime + (position - span.start) * 1000 : null;
}

/**
 * The position of a moment. A moment when nothing was performed (the performer was gone) is where it went on.
 * @param {Span[]} spans in order
 * @param {number} moment ms
 * @returns {number | null} seconds, inside the spans; null without dates
 */
export function positionAt(spans, moment) {
  if (spans.length === 0 || spans.some(({ programDateTime }) => typeof programDateTime !== 'number') || !Number.isFinite(moment)) return null;
  const span = spanAt(spans, ({ programDateTime }) => /** @type {number} */ (programDateTime), moment);
  const into = (moment - /** @type {number} */ (span.programDateTime)) / 1000;
  return span.start + Math.min(span.duration, Math.max(0, into));
}

/**
 * How far behind the performance a picture is, in seconds: by the viewer's clock where it can be right, else behind what the venue has sent.
 * @param {{now: number, moment: number | null, edge_s: number | null}} seen `now`: the viewer's clock, ms; `edge_s`: behind the newest media
 * @returns {number | null}
 */
export function latencyOf({ now, moment, edge_s }) {
  const edge = edge_s !== null && Number.isFinite(edge_s) ? Math.max(0, edge_s) : null;
  if (moment === null) return edge;
  const clock = (now - moment) / 1000;
  if (edge === null) return clock >= 0 ? clock : null;
  return clock >= 0 && Math.abs(clock - edge) <= CLOCK_ERROR_MAX_S ? clock : edge;
}

/**
 * What can be rewound to.
 * @param {{end: number, since: number | null, dvr_s: number | null, first: number | null, whole: boolean}} known `end`: the newest moment, ms;
 *   `since`: when the stream began; `dvr_s`: how much the venue keeps; `first`: the first moment of the playlist; `whole`: that playlist is the long one
 * @returns {{start: number, end: number}} ms
 */
export function windowOf({ end, since, dvr_s, first, whole }) {
  if (whole && first !== null) return { start: Math.min(first, end), end };
  const kept = end - (dvr_s ?? DVR_DEFAULT_S) * 1000;
  const begin = since === null && dvr_s === null ? first ?? end : Math.max(kept, dvr_s === null ? since ?? kept : kept);
  return { start: Math.min(first ?? end, begin, end), end };
}

/**
 * How far behind, in words.
 * @param {number | null} seconds
 * @returns {string} `1.8 s behind`, `12 s behind`, `5:20 behind`; empty when unknown
 */
export function behindText(seconds) {
  if (seconds === null || !Number.isFinite(seconds) || seconds < 0) return '';
  if (seconds < 10) return `${seconds.toFixed(1)} s behind`;
  return seconds < 60 ? `${Math.round(seconds)} s behind` : `${clockText(seconds * 1000)} behind`;
}

/**
 * A length of time in words, for those who hear the page.
 * @param {number} seconds
 * @returns {string} `5 minutes 20 seconds`
 */
export function durationWords(seconds) {
  const whole = Math.max(0, Math.round(Number.isFinite(seconds) ? seconds : 0));
  const parts = [[Math.floor(whole / 3600), 'hour'], [Math.floor(whole / 60) % 60, 'minute'], [whole % 60, 'second']];
  const said = parts.filter(([number]) => number !== 0).map(([number, word]) => `${number} ${word}${number === 1 ? '' : 's'}`);
  return said.length > 0 ? said.join(' ') : '0 seconds';
}
