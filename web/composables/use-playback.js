/** @module */
import { onBeforeUnmount, shallowRef } from 'vue';

/** How often the page follows the picture, in ms: the read-out moves, nothing flickers. */
const FOLLOW_EVERY_MS = 200;

const NO_TRACKS = { levels: [], level: -1, playing: '', captions: [], caption: -1 };

/**
 * What plays by HLS, as Vue can watch it.
 * @param {import('../lib/viewer.js').Viewer | null} viewer
 */
export function usePlayback(viewer) {
  /** @type {import('vue').ShallowRef<import('../lib/playback.js').Timeline | null>} */ const timeline = shallowRef(null);
  const tracks = shallowRef(NO_TRACKS);
  let listening = new AbortController();
  let told = -Infinity;

  const follow = () => {
    told = performance.now();
    timeline.value = viewer?.playback?.timeline ?? null;
  };
  const readTracks = () => {
    const player = viewer?.playback?.player;
    tracks.value = player ? { levels: player.levels, level: player.level, playing: player.playingLevel, captions: player.captions, caption: player.caption }
      : { ...NO_TRACKS, levels: viewer?.qualities.levels ?? [], level: viewer?.qualities.level ?? -1 };
  };
  const adopt = () => {
    listening.abort();
    listening = new AbortController();
    const { signal } = listening;
    const playback = viewer?.playback;
    playback?.addEventListener('time', () => performance.now() - told >= FOLLOW_EVERY_MS && follow(), { signal });
    playback?.addEventListener('tracks', readTracks, { signal });
    playback?.addEventListener('state', follow, { signal });
    follow();
    readTracks();
  };
  viewer?.addEventListener('playback', adopt);
  viewer?.qualities.addEventListener('change', readTracks);
  adopt();
  onBeforeUnmount(() => {
    listening.abort();
    viewer?.removeEventListener('playback', adopt);
    viewer?.qualities.removeEventListener('change', readTracks);
  });

  return {
    timeline,
    tracks,
    /** What can be chosen may have changed since it was last looked at. */
    readQualities: () => viewer?.readQualities(),
    seek: (/** @type {number} */ moment) => viewer?.playback?.seek(moment),
    goLive: () => viewer?.playback?.goLive(),
    chooseLevel(/** @type {number} */ id) {
      const player = viewer?.playback?.player;
      if (player) player.level = id;
      else viewer?.chooseQuality(id);
    },
    chooseCaption(/** @type {number} */ id) {
      const player = viewer?.playback?.player;
      if (player) player.caption = id;
    },
  };
}
