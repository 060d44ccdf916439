/** @module */
import { onBeforeUnmount, ref, shallowRef } from 'vue';
import { SpaceWatcher } from '../lib/spaces.js';

/**
 * What happens in a space, as it happens.
 * @param {string} name
 */
export function useSpace(name) {
  const watcher = new SpaceWatcher(name);
  const space = shallowRef(/** @type {import('../lib/spaces.js').Space | null} */ (null));
  const reachable = ref(true);
  watcher.addEventListener('space', () => {
    space.value = watcher.space;
  });
  watcher.addEventListener('reachable', () => {
    reachable.value = watcher.reachable;
  });
  watcher.start();
  onBeforeUnmount(() => watcher.stop());
  return { space, reachable };
}
