/** @module */
import { onBeforeUnmount, watch } from 'vue';

/**
 * Keeps the screen awake while `wanted`, on devices that can. The browser gives the lock up with a hidden page, so a visible one asks again.
 * @param {() => boolean} wanted
 */
export function useWakeLock(wanted) {
  /** @type {WakeLockSentinel | null} */ let lock = null;
  const update = async () => {
    if (!wanted()) {
      lock?.release().catch(() => {});
      lock = null;
    } else if (!document.hidden && (lock === null || lock.released)) {
      lock = await navigator.wakeLock?.request('screen').catch(() => null) ?? null;
    }
  };
  watch(wanted, update, { immediate: true });
  document.addEventListener('visibilitychange', update);
  onBeforeUnmount(() => {
    document.removeEventListener('visibilitychange', update);
    lock?.release().catch(() => {});
  });
}
