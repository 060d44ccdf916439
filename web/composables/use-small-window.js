/** @module */
import { onBeforeUnmount, ref } from 'vue';

/**
 * Picture in picture.
 * @param {HTMLElement} stage
 * @param {import('../lib/screen.js').Screen} screen
 */
export function useSmallWindow(stage, screen) {
  const on = ref(false);
  const possible = document.pictureInPictureEnabled === true && 'requestPictureInPicture' in HTMLVideoElement.prototype;
  const update = () => {
    on.value = document.pictureInPictureElement !== null;
  };
  const leave = new AbortController();
  for (const event of ['enterpictureinpicture', 'leavepictureinpicture']) stage.addEventListener(event, update, { capture: true, signal: leave.signal });
  onBeforeUnmount(() => leave.abort());
  return {
    on,
    possible,
    async toggle() {
      if (!possible) return;
      try {
        if (document.pictureInPictureElement) await document.exitPictureInPicture();
        else await screen.element.requestPictureInPicture();
      } catch {
        // Without a picture, or where an embedding page forbids it: the picture stays where it is.
      }
    },
  };
}
