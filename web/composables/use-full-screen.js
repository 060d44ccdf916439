/** @module */
import { onBeforeUnmount, ref } from 'vue';

/**
 * Full screen for the stage; on a phone that has it only for videos, for the video.
 * @param {HTMLElement} stage
 * @param {() => HTMLVideoElement} video
 */
export function useFullScreen(stage, video) {
  const on = ref(false);
  const whole = typeof stage.requestFullscreen === 'function' && document.fullscreenEnabled !== false;
  const alone = 'webkitEnterFullscreen' in HTMLVideoElement.prototype;
  const update = () => {
    on.value = document.fullscreenElement !== null;
  };
  document.addEventListener('fullscreenchange', update);
  onBeforeUnmount(() => document.removeEventListener('fullscreenchange', update));
  return {
    on,
    possible: whole || alone,
    async toggle() {
      try {
        if (document.fullscreenElement) await document.exitFullscreen();
        else if (whole) await stage.requestFullscreen({ navigationUI: 'hide' });
        else if (alone) /** @type {any} */ (video()).webkitEnterFullscreen();
      } catch {
        // The browser says no (an embedding page did not allow it): the picture stays as it is.
      }
    },
  };
}
