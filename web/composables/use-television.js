/** @module */
import { onBeforeUnmount, ref } from 'vue';

/**
 * Sending the picture to a television: AirPlay where Safari has it, the Remote Playback API (Chromecast) elsewhere.
 * @param {HTMLElement} stage
 * @param {import('../lib/screen.js').Screen} screen
 */
export function useTelevision(stage, screen) {
  const available = ref(false);
  const isAirPlay = 'WebKitPlaybackTargetAvailabilityEvent' in globalThis;
  const leave = new AbortController();
  const { signal } = leave;

  /** @type {{video: any, id: number} | null} */ let watched = null;
  const ignore = () => {
    watched?.video.remote.cancelWatchAvailability(watched.id).catch(() => {});
    watched = null;
  };
  const watch = async () => {
    ignore();
    const video = /** @type {any} */ (screen.element);
    try {
      const id = await video.remote.watchAvailability((/** @type {boolean} */ there) => {
        available.value = there;
      });
      watched = { video, id };
    } catch {
      available.value = false; // This browser, or this kind of source, cannot.
    }
  };

  if (isAirPlay) {
    for (const video of stage.querySelectorAll('video')) {
      video.addEventListener('webkitplaybacktargetavailabilitychanged', (event) => {
        available.value = /** @type {any} */ (event).availability === 'available';
      }, { signal });
    }
  } else if ('remote' in HTMLMediaElement.prototype) {
    screen.addEventListener('swap', watch, { signal });
    watch();
  }
  onBeforeUnmount(() => {
    leave.abort();
    ignore();
  });

  return {
    available,
    icon: isAirPlay ? 'airplay' : 'cast',
    choose() {
      const video = /** @type {any} */ (screen.element);
      if (isAirPlay) video.webkitShowPlaybackTargetPicker();
      else video.remote.prompt().catch(() => {}); // Nobody chose, or nothing was found.
    },
  };
}
