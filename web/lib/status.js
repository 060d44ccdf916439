/**
 * What the event page says while there is no picture to see.
 * @module
 */
import { sentence } from './words.js';

/**
 * @typedef {object} Snapshot what a viewer is doing
 * @property {import('./states.js').State} state
 * @property {import('./http.js').Refusal | null} refusal
 * @property {string} stream the chosen one
 * @property {import('./spaces.js').Stream[]} streams every stream that the venue knows in this space
 * @property {number} viewers
 * @property {boolean} reachable
 * @property {boolean} known whether the venue has described the space yet
 * @property {boolean} wasLive whether this page has shown a performance
 * @property {boolean} canSeePicture
 * @property {boolean} hasPicture
 * @property {boolean} soundOnly
 * @property {boolean} muted
 * @property {boolean} blocked
 * @property {boolean} held paused by the person
 * @property {import('./ways.js').Way} way how it is shown; the way that is tried while nothing is
 * @property {import('./ways.js').Way | null} switching the way that is on its way
 * @property {{webrtc: boolean, hls: boolean}} ways what could be chosen
 * @property {import('./ways.js').Reason | null} reason why it is HLS although nobody chose that
 * @property {string | null} recording the id of the film that is shown
 */

/**
 * @typedef {object} Status
 * @property {'live' | 'connecting' | 'waiting' | 'ended' | 'dark' | 'reconnecting' | 'offline' | 'full' | 'unsupported' | 'refused'} kind
 * @property {string} title empty while live
 * @property {string} text
 * @property {boolean} busy whether the page works on it by itself
 * @property {boolean} over whether it covers the stage (true) or is a small note over the last picture
 * @property {boolean} retry whether a person can do something: a button to try again
 */

/** @type {(kind: Status['kind'], title: string, text: string, flags?: Partial<Status>) => Status} */
const status = (kind, title, text, flags = {}) => ({ kind, title, text, busy: false, over: true, retry: false, ...flags });

/**
 * @param {Snapshot} snapshot
 * @param {{online?: boolean}} [surroundings] whether this device believes that it has a network
 * @returns {Status}
 */
export function statusOf(snapshot, { online = true } = {}) {
  const { state, refusal, reachable, hasPicture, wasLive, stream, streams, ways, known } = snapshot;
  // Without WebRTC only HLS remains, and whether there is any the venue has to say first.
  if (known && !ways.webrtc && !ways.hls && streams.some((one) => one.live && one.name === stream)) return NO_WEBRTC;
  if (state === 'failed') return failure(refusal);
  if (state === 'live' && hasPicture) return status('live', '', '', { over: false });
  if (!online) {
    return status('offline', 'You are offline', 'The performance comes back with your network.', { busy: true, over: !hasPicture });
  }
  if (state === 'waiting' && hasPicture && reachable) return status('reconnecting', 'One moment', 'The performance was interrupted.', { busy: true, over: false });
  if (state === 'waiting') {
    if (!reachable) return unreachable(hasPicture);
    if (streams.some((other) => other.live && other.name !== stream)) {
      return status('dark', 'This camera is dark', 'Another one is live. Choose it below, or wait here.');
    }
    if (wasLive) return status('ended', 'The performance is over', 'Stay if you like: when the stage goes live again, so does this page.');
    return status('waiting', 'Not live yet', 'This page goes live by itself, the moment the performance begins.');
  }
  if (refusal?.kind === 'busy') {
    return status('full', 'The house is full', `${sentence(refusal.message)} You will be let in as soon as there is room.`, { busy: true, over: !hasPicture });
  }
  if (reachable && refusal?.kind === 'blocked' && !hasPicture) {
    return status('offline', 'Nothing gets through', 'The venue answers, but picture and sound do not reach this browser. A firewall or a VPN may block them; another network or browser may help.', { busy: true });
  }
  if (!reachable || (state === 'reconnecting' && refusal?.kind === 'unreachable' && !hasPicture && !wasLive)) return unreachable(hasPicture);
  if (state === 'reconnecting') return status('reconnecting', 'Reconnecting', 'The connection was interrupted. One moment.', { busy: true, over: !hasPicture });
  return status('connecting', 'Opening', 'One moment.', { busy: true, over: !hasPicture });
}

/** @param {boolean} hasPicture @returns {Status} */
function unreachable(hasPicture) {
  return status('offline', 'The venue cannot be reached', 'This page keeps trying. If it takes long, check your network.', { busy: true, over: !hasPicture, retry: true });
}

/** @param {import('./http.js').Refusal | null} refusal @returns {Status} */
function failure(refusal) {
  switch (refusal?.kind) {
    case 'not-acceptable':
      return status('unsupported', 'This browser cannot show this performance', 'It lacks the video format that is performed. A current Chrome, Edge or Safari has it.');
    case 'key':
      return status('refused', 'This space is closed', 'Its performances are not open to everybody.', { retry: true });
    case 'gone':
      return status('refused', 'There is no such stage', 'Check the address.', { retry: true });
    default:
      return status('refused', 'This did not work', sentence(refusal?.message || 'The venue refused the connection'), { retry: true });
  }
}

/** A browser without WebRTC, or with it switched off. */
export const NO_WEBRTC = status('unsupported', 'This browser cannot show live performances', 'It has no WebRTC, or it is switched off, and this venue sends nothing else. A current Chrome, Edge, Firefox or Safari has it.');
