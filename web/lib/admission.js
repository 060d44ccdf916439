/**
 * The way into a private space for what cannot send a header: players, pictures and links. Somebody with an invitation is given a cookie.
 * @module
 */
import { authorization, withTimeout } from './http.js';

/** How long the venue may take, in ms; a space that everybody may watch plays without its answer. */
const TIMEOUT_MS = 5000;

/** One request for each invitation. @type {Map<string, Promise<void>>} */
const asked = new Map();

/**
 * Resolves when media of the space can be asked for. Never fails: what the invitation is worth is told by the media's own answers.
 * @param {string} space
 * @param {string} token empty where there is none
 * @returns {Promise<void>}
 */
export function admit(space, token) {
  if (token === '') return Promise.resolve();
  const name = `${space} ${token}`;
  const known = asked.get(name);
  if (known) return known;
  const answer = fetch(`/api/spaces/${encodeURIComponent(space)}/playback`, { method: 'POST', headers: authorization(token), signal: withTimeout(undefined, TIMEOUT_MS) })
    .then(() => undefined, () => {
      asked.delete(name); // No answer: the next player asks again.
    });
  asked.set(name, answer);
  return answer;
}
