/** @module */
import { onBeforeUnmount, ref, watch } from 'vue';

/**
 * The size of an element in CSS pixels, as it changes, and how many device pixels each of them has.
 * @param {import('vue').Ref<HTMLElement | null>} element
 */
export function useSize(element) {
  const width = ref(0);
  const height = ref(0);
  const density = ref(globalThis.devicePixelRatio || 1);
  const observer = new ResizeObserver(([entry]) => {
    width.value = Math.floor(entry.contentRect.width);
    height.value = Math.floor(entry.contentRect.height);
    density.value = globalThis.devicePixelRatio || 1;
  });
  watch(element, (now) => {
    observer.disconnect();
    if (now) observer.observe(now);
  }, { immediate: true, flush: 'post' });
  onBeforeUnmount(() => observer.disconnect());
  return { width, height, density };
}
