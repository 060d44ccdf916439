/**
 * Spaces, streams and cameras: what the words in a page's address mean.
 * @module
 */

/** Longest name of a space or a stream, in characters. */
export const NAME_LENGTH_MAX = 64;

/** The stream that a space has when nobody names one. */
export const DEFAULT_STREAM = 'main';

/** How many cameras share a stage. */
export const CAMERAS_MAX = 4;

const NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** First words of a path that the server keeps for itself, in whatever case: they cannot be spaces. The server's own list is in `signaling/venue`. */
export const RESERVED = new Set([
  '.well-known', 'api', 'apple-touch-icon-precomposed.png', 'apple-touch-icon.png', 'area51', 'assets', 'docs', 'favicon.ico', 'favicon.svg', 'healthz',
  'hls', 'index.html', 'live', 'manifest.json', 'messages', 'metrics', 'readyz', 'robots.txt', 'rtc', 'service-worker.js', 'sitemap.xml', 'web', 'webhooks',
  'whep', 'whip', 'ws',
]);

/**
 * Whether `name` can name a stream: 1 to 64 of letters, digits, `-`, `_`, `.`, but neither `.` nor `..`.
 * @param {string} name
 * @returns {boolean}
 */
export function isName(name) {
  return NAME.test(name) && name !== '.' && name !== '..';
}

/**
 * Whether `name` can name a space: a name that the server does not use itself.
 * @param {string} name
 * @returns {boolean}
 */
export function isSpaceName(name) {
  return isName(name) && !RESERVED.has(name.toLowerCase());
}

/**
 * The space that a page's path names.
 * @param {string} pathname for example `/residence` or `/residence/perform`
 * @returns {string | null} null when the path names no space
 */
export function spaceOfPath(pathname) {
  let first;
  try {
    first = decodeURIComponent(pathname.split('/')[1] ?? '');
  } catch {
    return null;
  }
  return isSpaceName(first) ? first : null;
}

/**
 * What somebody typed or pasted to say where they want to go, as the name of a space. Takes whole addresses too, because people paste them,
 * and joins words with hyphens.
 * @param {string} typed
 * @returns {{space: string} | {problem: string}}
 */
export function spaceOfTyped(typed) {
  let word = typed.trim();
  if (/^[a-z]+:\/\//i.test(word)) {
    try {
      word = new URL(word).pathname.split('/')[1] ?? '';
    } catch {
      return { problem: 'That address cannot be read. Enter only the word of the space.' };
    }
  }
  word = word.replace(/^\/+/, '').split('/')[0].replace(/\s+/g, '-');
  if (word === '') return { problem: 'Enter the word of a space.' };
  if (word.length > NAME_LENGTH_MAX) return { problem: `A space has at most ${NAME_LENGTH_MAX} characters; this has ${word.length}.` };
  if (!isName(word)) return { problem: 'A space is made of letters a to z, digits, hyphens, underscores and dots.' };
  if (!isSpaceName(word)) return { problem: `“${word}” is a word that the venue needs for itself. Try another.` };
  return { space: word };
}

/**
 * The stream of camera `number`. Camera 1 is the stream that a space has anyway.
 * @param {number} number 1 to `CAMERAS_MAX`
 * @returns {string}
 */
export function streamOfCamera(number) {
  return number === 1 ? DEFAULT_STREAM : `camera-${number}`;
}

/**
 * The words on a stream's button.
 * @param {string} stream
 * @param {string[]} [all] every stream of the space: `main` is only called Camera 1 while no other stream claims to be
 * @returns {string}
 */
export function labelOfStream(stream, all = []) {
  const camera = /^(?:camera|cam)[-_.]?0*([0-9]{1,3})$/i.exec(stream);
  if (camera) return `Camera ${camera[1]}`;
  if (stream === DEFAULT_STREAM) {
    return all.some((other) => labelOfStream(other) === 'Camera 1' && other !== stream) ? 'Main' : 'Camera 1';
  }
  const words = stream.replace(/[-_]+/g, ' ').trim() || stream;
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

/**
 * Orders streams as cameras stand in a row: `main` first, the others by name with numbers in their natural order.
 * @param {string} left
 * @param {string} right
 * @returns {number}
 */
export function compareStreams(left, right) {
  if (left === right) return 0;
  if (left === DEFAULT_STREAM) return -1;
  if (right === DEFAULT_STREAM) return 1;
  return collator.compare(left, right);
}

/**
 * The stream that an address's fragment asks for: `/residence#camera-2`.
 * @param {string} hash with or without its `#`
 * @returns {string | null}
 */
export function streamOfHash(hash) {
  const name = hash.replace(/^#/, '');
  return isName(name) ? name : null;
}

/**
 * The stream that a session belongs to, as its address says: `/whip/residence/main/0b2f...`.
 * @param {string | null | undefined} resource absolute address; empty where the server told none
 * @returns {string | null}
 */
export function streamOfSession(resource) {
  if (!resource) return null;
  try {
    const name = decodeURIComponent(new URL(resource).pathname.split('/')[3] ?? '');
    return isName(name) ? name : null;
  } catch {
    return null;
  }
}

/**
 * The address to publish to or to watch from, relative to the page's origin.
 * @param {'whip' | 'whep'} protocol
 * @param {string} space
 * @param {string} stream
 * @returns {string}
 */
export function endpoint(protocol, space, stream) {
  const base = `/${protocol}/${encodeURIComponent(space)}`;
  return stream === DEFAULT_STREAM ? base : `${base}/${encodeURIComponent(stream)}`;
}
