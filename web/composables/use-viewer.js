/** @module */
import { computed, onBeforeUnmount, ref, shallowRef, watch, watchEffect } from 'vue';
import { statusOf } from '../lib/status.js';
import { noticeOf } from '../lib/ways.js';

/** How long a page says why it changed the way, in ms. */
const NOTICE_MS = 8000;

/** What a page without a space shows. */
const NOTHING = {
  state: 'idle', refusal: null, stream: '', streams: [], viewers: 0, reachable: true, known: false, wasLive: false, canSeePicture: true, hasPicture: false,
  soundOnly: false, muted: true, blocked: false, held: false, way: 'webrtc', switching: null, ways: { webrtc: false, hls: false }, reason: null, recording: null,
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
    return statusOf(snapshot.value, { online: online.value });
  });
  const notice = ref('');
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let noticeTimer;
  watch(() => snapshot.value.reason, (reason) => {
    clearTimeout(noticeTimer);
    notice.value = noticeOf(reason);
    if (reason) {
      noticeTimer = setTimeout(() => {
        notice.value = '';
      }, NOTICE_MS);
    }
    // What plays may have begun, and changed its way, before this code came.
  }, { immediate: true });

  const leave = new AbortController();
  viewer?.addEventListener('change', () => {
    snapshot.value = viewer.snapshot();
  }, { signal: leave.signal });
  for (const event of ['online', 'offline']) {
    addEventListener(event, () => {
      online.value = navigator.onLine;
    }, { signal: leave.signal });
  }
  onBeforeUnmount(() => {
    leave.abort();
    clearTimeout(noticeTimer);
  });

  watchEffect(() => {
    stage.dataset.state = status.value.kind;
    stage.dataset.picture = String(snapshot.value.hasPicture && !snapshot.value.soundOnly);
    stage.dataset.way = snapshot.value.way;
    stage.dataset.muted = String(snapshot.value.muted);
    document.title = [space ?? 'Proscenium', status.value.kind !== 'live' ? '' : snapshot.value.recording ? 'recording' : 'live'].filter(Boolean).join(' · ');
  });

  return {
    snapshot,
    status,
    notice,
    choose(/** @type {string} */ stream) {
      viewer?.choose(stream);
      // The address remembers the camera, for a reload and for whoever it is sent to.
      history.replaceState(null, '', `#${stream}`);
    },
    retry: () => viewer?.retry(),
    toggleSound: () => screen.setMuted(!screen.muted),
    togglePause: () => (screen.held || viewer?.playback?.state === 'ended' ? viewer?.resume() : viewer?.pause()),
    resume: () => screen.resume(),
    skip: (/** @type {number} */ seconds) => viewer?.skip(seconds),
    use: (/** @type {import('../lib/ways.js').Way} */ way) => viewer?.use(way),
    play: (/** @type {import('../lib/recordings.js').Recording} */ recording) => viewer?.playRecording(recording),
    leaveFilm: () => viewer?.leaveRecording(),
  };
}
