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
