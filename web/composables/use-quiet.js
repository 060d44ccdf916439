/** @module */
import { onBeforeUnmount, ref, watch } from 'vue';

/** How long nobody moves before the controls leave the picture alone, in ms. */
const QUIET_AFTER_MS = 3000;
/** The same for somebody who has not yet touched anything: time to see what there is. */
const QUIET_FIRST_MS = 8000;

/**
 * Whether the controls should be out of sight: the performance plays, nobody moves, and no control has the keyboard's focus.
 * @param {HTMLElement} stage
 * @param {() => boolean} allowed
 * @returns {import('vue').Ref<boolean>}
 */
export function useQuiet(stage, allowed) {
  const quiet = ref(false);
  let timer;
  let touched = false;
  const stir = () => {
    quiet.value = false;
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!allowed()) return;
      if (document.querySelector('.controls :focus-visible')) stir();
      else quiet.value = true;
    }, touched ? QUIET_AFTER_MS : QUIET_FIRST_MS);
  };
  const touch = () => {
    touched = true;
    stir();
  };
  const leave = new AbortController();
  for (const event of ['pointermove', 'pointerdown', 'focusin']) stage.addEventListener(event, touch, { passive: true, signal: leave.signal });
  addEventListener('keydown', touch, { signal: leave.signal });
  watch(allowed, stir, { immediate: true });
  watch(quiet, (now) => stage.classList.toggle('no-pointer', now));
  onBeforeUnmount(() => {
    leave.abort();
    clearTimeout(timer);
  });
  return quiet;
}
