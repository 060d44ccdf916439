/**
 * What a browser keeps for a page. Storage that is switched off or full is no failure: then choices last as long as the page.
 * @module
 */

/** @typedef {'localStorage' | 'sessionStorage'} Where localStorage outlives the tab, sessionStorage ends with it. */

/** @param {Where} where @param {string} name @returns {string} empty when nothing is kept, or nothing can be */
export function read(where, name) {
  try {
    return globalThis[where].getItem(name) ?? '';
  } catch {
    return ''; // Storage that is switched off throws at the first touch.
  }
}

/** @param {Where} where @param {string} name @param {string} value empty to forget */
export function write(where, name, value) {
  try {
    if (value === '') globalThis[where].removeItem(name);
    else globalThis[where].setItem(name, value);
  } catch {
    // Full or switched off.
  }
}

/** An object that was kept as JSON; empty when it is not there or not readable. @param {string} name @returns {Record<string, any>} */
export function readObject(name) {
  try {
    return Object(JSON.parse(read('localStorage', name) || '{}'));
  } catch {
    return {};
  }
}
