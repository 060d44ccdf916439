/** @module */
import { onBeforeUnmount, shallowRef } from 'vue';

/** How long a note stays, in ms; with something to press, longer. */
const STAYS_MS = 6_000;
const STAYS_TO_PRESS_MS = 15_000;
/** The most notes that are seen at once; the oldest goes first. */
const NOTES_MAX = 3;

/** Short sentences about what just happened. */
export function useNotes() {
  const notes = shallowRef(/** @type {{id: number, text: string, button?: string, act?: () => void}[]} */ ([]));
  const timers = new Set();
  let last = 0;

  const drop = (/** @type {number} */ id) => {
    notes.value = notes.value.filter((note) => note.id !== id);
  };

  /** @param {string} text @param {{button: string, act: () => void}} [offer] something to press beside it */
  function say(text, offer) {
    const id = ++last;
    // The same sentence twice is one sentence.
    notes.value = [...notes.value.filter((note) => note.text !== text), { id, text, ...offer }].slice(-NOTES_MAX);
    const timer = setTimeout(() => {
      timers.delete(timer);
      drop(id);
    }, offer ? STAYS_TO_PRESS_MS : STAYS_MS);
    timers.add(timer);
  }

  onBeforeUnmount(() => timers.forEach(clearTimeout));
  return { notes, say, drop };
}
