/**
 * What a room says to people.
 * @module
 */
import { feedOf } from './meet-people.js';
import { sentence } from './words.js';

/** @typedef {'Good' | 'Weak' | 'Bad' | 'Reconnecting'} QualityWord */

/**
 * How a person's connection is, in a word.
 * @param {'good' | 'fair' | 'poor' | 'lost' | undefined} quality
 * @param {boolean} [isReachable]
 * @returns {QualityWord}
 */
export function qualityWord(quality, isReachable = true) {
  if (!isReachable || quality === 'lost') return 'Reconnecting';
  return quality === 'poor' ? 'Bad' : quality === 'fair' ? 'Weak' : 'Good';
}

/** What helps one's own connection. @param {QualityWord} word */
export function qualityAdvice(word) {
  if (word === 'Weak') return 'Your connection is weak. Others may see you less sharply.';
  if (word === 'Bad') return 'Your connection is bad. Go closer to the Wi-Fi, or turn your camera off.';
  return '';
}

export const ROLES = [
  { role: 'viewer', label: 'Audience', explain: 'sees and hears, and can raise a hand' },
  { role: 'participant', label: 'Participant', explain: 'has camera, microphone and screen' },
  { role: 'performer', label: 'Performer', explain: 'also music mode, and a picture on the event page' },
  { role: 'moderator', label: 'Moderator', explain: 'leads the room' },
];

export const roleWord = (/** @type {string} */ role) => ROLES.find((known) => known.role === role)?.label ?? role;

/** One or two letters that stand for a name where there is no picture. @param {string} name */
export function initials(name) {
  const words = name.trim().split(/[\s._-]+/u).filter(Boolean);
  const first = (word) => [...(word ?? '')][0] ?? '';
  return (first(words[0]) + (words.length > 1 ? first(words.at(-1)) : '')).toLocaleUpperCase('en') || '?';
}

/** A hue for a name, always the same one, in degrees. @param {string} name */
export function hueOf(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + /** @type {number} */ (letter.codePointAt(0))) % 3600;
  return sum % 360;
}

/**
 * Everything that a tile shows, for whoever hears the page.
 * @param {import('./meet-people.js').Tile} tile
 * @param {{quality: QualityWord, isSpeaking: boolean, isPinned: boolean, isSilenced?: boolean}} state
 */
export function tileLabel({ person, source, isSelf, hasPicture, isMuted }, { quality, isSpeaking, isPinned, isSilenced = false }) {
  const name = isSelf ? `${person.name} (you)` : person.name;
  const onAir = feedOf(person, source)?.stream && 'on the event page';
  if (source === 'screen') return [`The screen of ${person.name}`, onAir, isPinned && 'pinned'].filter(Boolean).join(', ');
  return [
    name, isSpeaking && 'speaking', isMuted && 'microphone off', !hasPicture && 'camera off', person.hand && 'hand raised',
    quality !== 'Good' && (quality === 'Reconnecting' ? 'reconnecting' : `connection ${quality.toLowerCase()}`), isSilenced && 'not heard here', onAir, isPinned && 'pinned',
  ].filter(Boolean).join(', ');
}

/** How many are not on this page. */
export const moreWord = (/** @type {number} */ count) => `and ${count.toLocaleString('en')} more`;

/** The audience as a count. */
export function audienceWord(/** @type {number} */ count) {
  return count === 1 ? '1 person in the audience' : `${count.toLocaleString('en')} people in the audience`;
}

/**
 * @typedef {object} Ending why one is not in the room, and what can be done
 * @property {string} title
 * @property {string} text
 * @property {'again' | 'key' | 'wait' | 'none'} next again: join once more · key: another invitation or key is needed · wait: the page tries by itself · none
 * @property {string} [button]
 */

/**
 * What to say when one is not, or no longer, in the room.
 * @param {string} state of the conference
 * @param {{code?: string, message?: string, reason?: string} | null} error
 * @param {{hasToken?: boolean}} [surroundings]
 * @returns {Ending}
 */
export function endingOf(state, error, { hasToken = false } = {}) {
  const reason = error?.message ? ` ${sentence(error.message)}` : '';
  if (state === 'left') return { title: 'You left the room', text: 'The others are told.', next: 'again', button: 'Join again' };
  if (state === 'removed') return { title: 'You were removed from the room', text: `Whoever leads it asked you to leave.${error?.reason ? ` ${sentence(error.reason)}` : ''}`, next: 'none' };
  if (state === 'replaced') return { title: 'You are in this room in another tab', text: 'You can be in it once. Come back here if you like: the other tab then lets go.', next: 'again', button: 'Come back here' };
  switch (error?.code) {
    case 'full':
      return { title: 'The room is full', text: 'You will be let in as soon as there is a place.', next: 'wait', button: 'Try now' };
    case 'locked':
      return { title: 'The room is locked', text: 'Nobody else is let in at the moment. Ask whoever leads it to unlock it, then try again.', next: 'again', button: 'Try again' };
    case 'token_expired':
      return { title: 'Your invitation has expired', text: 'Ask whoever invited you for a new link, or enter the key of the space.', next: 'key' };
    case 'token_missing':
      return { title: 'This room is by invitation', text: 'Open the link that you were sent, or enter the key of the space.', next: 'key' };
    case 'token_invalid':
      return hasToken
        ? { title: 'The venue does not know this key', text: 'Open the link that you were sent once more, or enter the key of the space.', next: 'key' }
        : { title: 'This room is by invitation', text: 'Open the link that you were sent, or enter the key of the space.', next: 'key' };
    case 'token_space':
      return { title: 'This invitation is for another space', text: 'Check the address, or ask for a link to this space.', next: 'key' };
    case 'name':
      return { title: 'This name cannot be used', text: reason.trim() || 'Choose another one, of at most 64 characters.', next: 'again', button: 'Choose another name' };
    case 'stopping':
      return { title: 'The venue is restarting', text: 'This page comes back with it.', next: 'wait', button: 'Try now' };
    case 'version':
      return { title: 'This page is out of date', text: 'Reload it to get the venue’s current one.', next: 'again', button: 'Try again' };
    case 'not_acceptable':
      return { title: 'This browser cannot take part', text: `It lacks a format that the venue needs.${reason}`, next: 'none' };
    case 'unreachable':
      return { title: 'The venue cannot be reached', text: 'Check your network. This page keeps trying.', next: 'wait', button: 'Try now' };
    default:
      return { title: 'This did not work', text: reason.trim() || 'The venue refused the connection.', next: 'again', button: 'Try again' };
  }
}

/**
 * What stands in the way of one's camera and microphone; one sentence where one step helps both.
 * @param {{title: string, advice: string} | null} context what rules both out
 * @param {{camera: {title: string, advice: string} | null, microphone: {title: string, advice: string} | null}} problems
 */
export function problemsOf(context, { camera, microphone }) {
  if (context) return [context];
  if (camera?.title.startsWith('This page may not') && microphone?.title.startsWith('This page may not')) {
    return [{ title: 'This page may not use camera and microphone', advice: 'Allow them with the camera or lock symbol beside the address, then turn them on here.' }];
  }
  return [camera, microphone].filter((problem) => problem !== null);
}

/** What a moderator did to one's own microphone or camera. */
export function mutedNote(/** @type {{audio: boolean, video: boolean}} */ muted, /** @type {string | null} */ by) {
  const what = muted.audio && muted.video ? 'microphone and camera' : muted.audio ? 'microphone' : 'camera';
  return `${by ?? 'A moderator'} turned your ${what} off. You can turn it on again.`;
}

export const KEYS = [
  { key: 'M', label: 'Microphone on or off' },
  { key: 'V', label: 'Camera on or off' },
  { key: 'S', label: 'Share the screen, or stop' },
  { key: 'H', label: 'Raise or lower your hand' },
  { key: 'P', label: 'Pin who speaks, or the tile in focus' },
  { key: 'F', label: 'Full screen' },
  { key: '← →', label: 'The other pages of people' },
  { key: '?', label: 'This list' },
];
