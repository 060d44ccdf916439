/**
 * An invitation in a page's address: `/{space}/meet#token=…`. A fragment never reaches a server's log; once read, it leaves the address too.
 * @module
 */
import { read, write } from './keep.js';

/** The longest invitation that is taken from an address, in characters. */
const TOKEN_LENGTH_MAX = 4096;

const nameOf = (/** @type {string} */ space) => `proscenium.token.${space}`;

/** The token in a fragment; null when there is none. @param {string} hash */
export function tokenOfHash(hash) {
  const token = new URLSearchParams(hash.replace(/^#/, '')).get('token');
  return token && token.length <= TOKEN_LENGTH_MAX ? token : null;
}

/** A fragment without its token: empty, or with its `#`. @param {string} hash */
export function withoutToken(hash) {
  const rest = hash.replace(/^#/, '').split('&').filter((part) => part !== '' && !part.startsWith('token='));
  return rest.length > 0 ? `#${rest.join('&')}` : '';
}

/**
 * The invitation to a space: from the address, which then loses it, else as this tab remembers it.
 * @param {string} space
 * @returns {string} empty when there is none
 */
export function takeToken(space) {
  const token = tokenOfHash(location.hash);
  if (token) {
    keepToken(space, token);
    history.replaceState(history.state, '', location.pathname + location.search + withoutToken(location.hash));
  }
  return token ?? read('sessionStorage', nameOf(space));
}

/** Remembers an invitation or a key as long as the tab lives. @param {string} space @param {string} token empty to forget */
export function keepToken(space, token) {
  write('sessionStorage', nameOf(space), token);
}

/**
 * What an invitation says about its bearer, for a hint before joining. Only the venue can tell whether it is true.
 * @param {string} token
 * @returns {{name?: string, role?: string}} empty for a key
 */
export function hintOf(token) {
  try {
    const body = token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
    const { name, role } = JSON.parse(new TextDecoder().decode(bytes));
    return { ...(typeof name === 'string' ? { name: name.slice(0, 64) } : {}), ...(typeof role === 'string' ? { role } : {}) };
  } catch {
    return {};
  }
}
