/**
 * Who a tab is, to the server: a random name that survives a reload, so that the person comes back as the same participant.
 * @module
 */

/** How long a reloaded page waits, in ms, for its former self to let go of its identity. */
const HANDOVER_MAX_MS = 400;
/** How long other tabs have, in ms, to say that an identity is theirs, where locks are missing. */
const ASK_MS = 150;

/** Identities in use on this page. @type {Set<string>} */
const held = new Set();

/**
 * @typedef {object} Identity
 * @property {string} value 32 hexadecimal digits
 * @property {() => void} release lets another page have it
 */

/**
 * @typedef {object} Surroundings what a browser offers for it; missing or broken parts are done without
 * @property {Pick<Storage, 'getItem' | 'setItem'> | null} storage
 * @property {Pick<LockManager, 'request'> | null} locks
 * @property {typeof BroadcastChannel | null} Channel
 * @property {() => string} random
 */

/**
 * The identity of this tab in `space`. A duplicated tab copies its origin's memory, yet is another person: who finds the identity in use takes a
 * new one. So does a second conference on the same page.
 * @param {string} space
 * @param {Partial<Surroundings>} [surroundings]
 * @returns {Promise<Identity>}
 */
export async function identityFor(space, surroundings = {}) {
  const { storage, locks, Channel, random } = { ...browser(), ...surroundings };
  const key = `proscenium.identity.${space}`;
  const known = read(storage, key);
  if (known !== null && !held.has(known)) {
    const release = await claim(known, locks, Channel);
    if (release) return hold(known, release);
  }
  const value = random();
  // What the other conference of this page remembers stays its own.
  if (known === null || !held.has(known)) write(storage, key, value);
  return hold(value, (await claim(value, locks, Channel)) ?? (() => {}));
}

/** @returns {string} 32 hexadecimal digits */
export function randomIdentity() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function browser() {
  let storage = null;
  try {
    storage = globalThis.sessionStorage ?? null;
  } catch {
    // A page without permission to store anything is a new person after each reload.
  }
  return { storage, locks: globalThis.navigator?.locks ?? null, Channel: globalThis.BroadcastChannel ?? null, random: randomIdentity };
}

function hold(value, release) {
  held.add(value);
  return {
    value,
    release() {
      held.delete(value);
      release();
    },
  };
}

/** Takes an identity for this page. @returns {Promise<(() => void) | null>} what lets it go; null when another page has it */
async function claim(value, locks, Channel) {
  const name = `proscenium-identity-${value}`;
  if (locks) {
    const release = await lock(name, locks);
    if (release !== undefined) return release;
  }
  return Channel ? ask(name, Channel) : () => {};
}

/** @returns {Promise<(() => void) | null | undefined>} null when it is taken, undefined when locks do not work here */
function lock(name, locks) {
  return new Promise((resolve) => {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), HANDOVER_MAX_MS);
    locks.request(name, { signal: patience.signal }, () => {
      clearTimeout(timer);
      return new Promise((release) => resolve(() => release(undefined)));
    }).catch((error) => {
      clearTimeout(timer);
      resolve(error?.name === 'AbortError' ? null : undefined);
    });
  });
}

/** Asks the other tabs, and answers them from then on. */
async function ask(name, Channel) {
  const channel = new Channel(name);
  let isTaken = false;
  channel.onmessage = ({ data }) => { isTaken ||= data === 'mine'; };
  channel.postMessage('whose');
  await new Promise((resolve) => { setTimeout(resolve, ASK_MS); });
  if (isTaken) {
    channel.close();
    return null;
  }
  channel.onmessage = ({ data }) => { if (data === 'whose') channel.postMessage('mine'); };
  return () => channel.close();
}

function read(storage, key) {
  try {
    const value = storage?.getItem(key) ?? null;
    return value !== null && /^[A-Za-z0-9_-]{16,64}$/.test(value) ? value : null;
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    storage?.setItem(key, value);
  } catch {
    // Full or forbidden: the same as no storage.
  }
}
