/** @module */
import { onBeforeUnmount, ref, watch } from 'vue';

/** How long nobody moves before the controls leave the picture alone, in ms. */
const QUIET_AFTER_MS = 3000;

/**
 * Whether the controls should be out of sight: the performance plays, nobody moves, and no control has the keyboard's focus.
 * @param {HTMLElement} stage
 * @param {() => boolean} allowed
 * @returns {import('vue').Ref<boolean>}
 */
export function useQuiet(stage, allowed) {
  const quiet = ref(false);
  let timer;
  const stir = () => {
    quiet.value = false;
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!allowed()) return;
      if (document.querySelector('.controls :focus-visible')) stir();
      else quiet.value = true;
    }, QUIET_AFTER_MS);
  };
  const leave = new AbortController();
  for (const event of ['pointermove', 'pointerdown', 'focusin']) stage.addEventListener(event, stir, { passive: true, signal: leave.signal });
  addEventListener('keydown', stir, { signal: leave.signal });
  watch(allowed, stir, { immediate: true });
  watch(quiet, (now) => stage.classList.toggle('no-pointer', now));
  onBeforeUnmount(() => {
    leave.abort();
    clearTimeout(timer);
  });
  return quiet;
}
