/**
 * Words for people.
 * @module
 */

/**
 * A server's explanation as a sentence: a capital letter in front, a full stop at the end.
 * @param {string} text
 * @returns {string}
 */
export function sentence(text) {
  const trimmed = text.trim();
  if (trimmed === '') return '';
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? '' : '.');
}

/**
 * A span of time as a clock shows it: `4:05`, `1:02:03`.
 * @param {number | null} ms
 * @returns {string}
 */
export function clockText(ms) {
  if (ms === null) return '–';
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
