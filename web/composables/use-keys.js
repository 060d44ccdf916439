/** @module */
import { onBeforeUnmount, onMounted } from 'vue';

/**
 * Single keys for single actions, where nobody is typing and nothing else is held.
 * @param {Record<string, () => void>} actions by key, lower case
 */
export function useKeys(actions) {
  const handle = (/** @type {KeyboardEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target instanceof Element && event.target.closest('input, select, textarea, [contenteditable]')) return;
    // The space bar presses the button that has the focus.
    if (event.key === ' ' && event.target instanceof Element && event.target.closest('button, a, summary')) return;
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  };
  onMounted(() => addEventListener('keydown', handle));
  onBeforeUnmount(() => removeEventListener('keydown', handle));
}
