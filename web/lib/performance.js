/**
 * What the performer's page says about a performance, and the figures as people read them.
 * @module
 */
import { clockText, sentence } from './words.js';

/**
 * @typedef {object} Report
 * @property {'off' | 'working' | 'live' | 'trouble'} kind
 * @property {string} title
 * @property {string} text
 */

/**
 * @param {import('./states.js').State} state
 * @param {import('./http.js').Refusal | null} refusal
 * @param {{hasKey: boolean, camera: string, isBackup?: boolean, backup?: 'standby' | 'on_air' | null}} given what the performer entered, and
 *   what the backup of the camera does
 * @returns {Report}
 */
export function reportOf(state, refusal, { hasKey, camera, isBackup = false, backup = null }) {
  switch (state) {
    case 'connecting':
      return { kind: 'working', title: 'Going live', text: 'The stage is being opened.' };
    case 'live':
      return liveReport(camera, isBackup, backup);
    case 'waiting':
    case 'reconnecting':
      if (refusal?.kind === 'blocked') {
        return { kind: 'trouble', title: 'Nothing gets through', text: 'The venue answers, but your picture and sound do not reach it. A firewall or a VPN may block them. This page keeps trying.' };
      }
      return {
        kind: 'trouble',
        title: 'Reconnecting',
        text: refusal?.kind === 'busy' ? `${sentence(refusal.message)} You go live as soon as there is room.` : 'The connection was interrupted. You go live again by yourself, nothing is to be done.',
      };
    case 'failed':
      return failure(refusal, { hasKey, camera, isBackup });
    default:
      return { kind: 'off', title: 'Not live', text: isBackup ? `You are to be the backup of ${camera}.` : 'Nobody sees or hears you yet.' };
  }
}

/** Who is to be seen, as far as the venue has told. @returns {Report} */
function liveReport(camera, isBackup, backup) {
  if (isBackup && backup === 'on_air') return { kind: 'live', title: 'The backup is on air', text: `Nothing comes from the performer of ${camera}: you are to be seen until they are back.` };
  if (isBackup) return { kind: 'working', title: 'You stand by', text: `You are the backup of ${camera}, and on air within a second when nothing comes from its performer.` };
  if (backup === 'on_air') return { kind: 'trouble', title: 'Your backup is on air', text: 'Nothing came from you for a moment. You are back on stage when your picture has been steady for some seconds.' };
  return { kind: 'live', title: 'You are live', text: `${camera} is on stage.${backup === 'standby' ? ' A backup stands by.' : ''}` };
}

/** @returns {Report} */
function failure(refusal, { hasKey, camera, isBackup }) {
  if (isBackup && refusal?.kind === 'taken') return { kind: 'trouble', title: 'Not the backup of this camera', text: sentence(refusal.message) };
  switch (refusal?.kind) {
    case 'key':
      return hasKey
        ? { kind: 'trouble', title: 'That is not the key', text: 'The key does not open this space. Enter it again, exactly as you got it.' }
        : { kind: 'trouble', title: 'This space has a key', text: 'Enter the stream key that the venue gave you, then go live.' };
    case 'taken':
      return { kind: 'trouble', title: 'Someone else is live here', text: `${camera} is taken. Choose another camera, or wait until they have finished.` };
    case 'replaced':
      return { kind: 'trouble', title: 'Live from somewhere else', text: `Another window or device has taken ${camera} over, and you stopped here. Go live again to take it back.` };
    case 'not-acceptable':
      return { kind: 'trouble', title: 'No format in common', text: `${sentence(refusal.message)} Use another browser.` };
    case 'gone':
      return { kind: 'trouble', title: 'There is no such stage', text: 'Check the address of this page.' };
    default:
      return { kind: 'trouble', title: 'Going live did not work', text: sentence(refusal?.message || 'The venue refused.') };
  }
}

const NOTHING = '–';

/**
 * @param {number | null} bitrate_bps
 * @returns {string}
 */
export function bitrateText(bitrate_bps) {
  if (bitrate_bps === null) return NOTHING;
  return bitrate_bps >= 1_000_000 ? `${(bitrate_bps / 1_000_000).toFixed(1)} Mbit/s` : `${Math.round(bitrate_bps / 1000)} kbit/s`;
}

/**
 * @typedef {object} Vital
 * @property {string} label
 * @property {string} value
 * @property {boolean} bad whether it explains a poor performance
 */

/**
 * The figures of a performance.
 * @param {import('./stats.js').Summary | null} summary
 * @param {number} viewers
 * @param {number | null} live_ms how long it has been live
 * @returns {Vital[]}
 */
export function vitals(summary, viewers, live_ms) {
  const { bitrate_bps = null, loss = null, roundTrip_ms = null, fps = null, width = null, height = null, codec = null } = summary ?? {};
  return [
    { label: 'Watching', value: viewers.toLocaleString('en'), bad: false },
    { label: 'Live for', value: clockText(live_ms), bad: false },
    { label: 'Bit rate', value: bitrateText(bitrate_bps), bad: false },
    { label: 'Loss', value: loss === null ? NOTHING : `${(loss * 100).toFixed(1)} %`, bad: (loss ?? 0) > 0.05 },
    { label: 'Round trip', value: roundTrip_ms === null ? NOTHING : `${roundTrip_ms} ms`, bad: (roundTrip_ms ?? 0) > 400 },
    { label: 'Picture', value: height ? `${width} × ${height}` : NOTHING, bad: false },
    { label: 'Frame rate', value: fps === null ? NOTHING : `${fps} fps`, bad: fps !== null && fps < 10 },
    { label: 'Format', value: codec ?? NOTHING, bad: false },
  ];
}

/** How long a browser may take to find out what the network carries, in ms, before a small picture is worth a word. */
const RAMP_MS = 15_000;

/**
 * What a performer can do about a poor picture.
 * @param {import('./stats.js').Summary | null} summary
 * @param {number | null} live_ms how long it has been live
 * @returns {string} empty when all is well
 */
export function advice(summary, live_ms) {
  if (!summary || live_ms === null || live_ms < RAMP_MS) return '';
  if ((summary.loss ?? 0) > 0.05) return 'Your network loses packets. A cable instead of Wi-Fi helps, or a smaller picture.';
  if (summary.limitation === 'cpu') return 'This device is too slow for the chosen picture. Choose a smaller one, or close other programs.';
  if (summary.limitation === 'bandwidth') return 'Your network carries less than the chosen picture needs. It is being made smaller.';
  return '';
}
