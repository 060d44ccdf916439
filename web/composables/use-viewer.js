/** @module */
import { computed, onBeforeUnmount, ref, shallowRef, watchEffect } from 'vue';
import { NO_WEBRTC, statusOf } from '../lib/status.js';

/** What a page without a player shows. */
const NOTHING = {
  state: 'idle', refusal: null, stream: '', streams: [], viewers: 0, reachable: true, known: false, wasLive: false, canSeePicture: true, hasPicture: false,
  soundOnly: false, muted: true, blocked: false,
};

/** The address names no space, or one that the venue keeps for itself. */
const NO_SPACE = { kind: 'refused', title: 'There is no such space', text: 'A space is one word of letters, digits, hyphens, underscores and dots.', busy: false, over: true, retry: false, leave: true };

/**
 * What plays, as Vue can watch it, and what a person can do with it.
 * @param {{space: string | null, viewer: import('../lib/viewer.js').Viewer | null, screen: import('../lib/screen.js').Screen, stage: HTMLElement}} page
 */
export function useViewer({ space, viewer, screen, stage }) {
  const snapshot = shallowRef(viewer?.snapshot() ?? NOTHING);
  const online = ref(navigator.onLine);
  const status = computed(() => {
    if (!space) return NO_SPACE;
    return viewer ? statusOf(snapshot.value, { online: online.value }) : NO_WEBRTC;
  });

  const leave = new AbortController();
  viewer?.addEventListener('change', () => {
    snapshot.value = viewer.snapshot();
  }, { signal: leave.signal });
  for (const event of ['online', 'offline']) {
    addEventListener(event, () => {
      online.value = navigator.onLine;
    }, { signal: leave.signal });
  }
  onBeforeUnmount(() => leave.abort());

  watchEffect(() => {
    stage.dataset.state = status.value.kind;
    stage.dataset.picture = String(snapshot.value.hasPicture && !snapshot.value.soundOnly);
    stage.dataset.muted = String(snapshot.value.muted);
    document.title = [space ?? 'Proscenium', status.value.kind === 'live' ? 'live' : ''].filter(Boolean).join(' · ');
  });

  return {
    snapshot,
    status,
    choose(/** @type {string} */ stream) {
      viewer?.choose(stream);
      // The address remembers the camera, for a reload and for whoever it is sent to.
      history.replaceState(null, '', `#${stream}`);
    },
    retry: () => viewer?.retry(),
    toggleSound: () => screen.setMuted(!screen.muted),
    resume: () => screen.resume(),
  };
}
