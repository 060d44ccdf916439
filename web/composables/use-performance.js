/** @module */
import { computed, onBeforeUnmount, ref, shallowRef, watch } from 'vue';
import { presetOf } from '../lib/media.js';
import { endpoint, labelOfStream, streamOfSession } from '../lib/names.js';
import { reportOf } from '../lib/performance.js';
import { isTrying } from '../lib/states.js';
import { WhipClient } from '../lib/whip.js';

/**
 * A performance: from going live to stopping.
 * @param {string} space
 * @param {{stream: string, preset: string, music: boolean, simulcast: boolean, key: string}} settings reactive
 * @param {{video: import('vue').ShallowRef<MediaStreamTrack | null>, audio: import('vue').ShallowRef<MediaStreamTrack | null>}} media
 * @param {{isBackup: boolean, streams: import('vue').Ref<import('../lib/spaces.js').Stream[]>}} standby whether the page asks to stand in for another
 *   performer, and what the venue says of the cameras
 */
export function usePerformance(space, settings, { video, audio }, { isBackup, streams }) {
  /** @type {WhipClient | null} */ let client = null;
  const state = ref(/** @type {import('../lib/states.js').State} */ ('idle'));
  const refusal = shallowRef(/** @type {import('../lib/http.js').Refusal | null} */ (null));
  const summary = shallowRef(/** @type {import('../lib/stats.js').Summary | null} */ (null));
  /** When it went live, in ms of `performance.now()`. */
  let began = /** @type {number | null} */ (null);
  const live_ms = ref(/** @type {number | null} */ (null));
  const on = computed(() => isTrying(state.value));
  /** The camera that it performs in: another one where the venue says that the chosen one is its backup. */
  const published = ref(/** @type {string | null} */ (null));
  const camera = computed(() => published.value ?? settings.stream);
  const standsBy = computed(() => isBackup || camera.value !== settings.stream);
  const backup = computed(() => streams.value.find(({ name }) => name === camera.value)?.backup ?? null);
  const report = computed(() => reportOf(state.value, refusal.value, { hasKey: settings.key !== '', camera: labelOfStream(camera.value), isBackup: standsBy.value, backup: backup.value }));

  function goLive() {
    client?.stop();
    const mine = new WhipClient(`${endpoint('whip', space, settings.stream)}${isBackup ? '?backup' : ''}`, {
      key: settings.key || ownToken(space),
      preset: presetOf(settings.preset),
      music: settings.music,
      simulcast: settings.simulcast,
    });
    client = mine;
    published.value = null;
    summary.value = null;
    began = null;
    live_ms.value = null;
    mine.addEventListener('state', (event) => {
      if (client !== mine) return;
      ({ state: state.value, refusal: refusal.value } = /** @type {CustomEvent} */ (event).detail);
      if (state.value === 'live') published.value = streamOfSession(mine.session?.resource);
      else summary.value = null;
    });
    mine.addEventListener('stats', (event) => {
      if (client !== mine || state.value !== 'live') return;
      summary.value = /** @type {CustomEvent} */ (event).detail;
      began ??= performance.now();
      live_ms.value = performance.now() - began;
    });
    mine.setTracks({ video: video.value, audio: audio.value });
    mine.start();
  }

  function stop(options) {
    client?.stop(options);
    client = null;
    state.value = 'idle';
    refusal.value = null;
    summary.value = null;
    live_ms.value = null;
  }

  watch([video, audio], () => client?.setTracks({ video: video.value, audio: audio.value }).catch(() => client?.renew()));
  watch(() => settings.preset, (id) => client?.setPreset(presetOf(id)).catch(() => client?.renew()));
  // What was refused is forgotten when the person changes what it was refused for.
  watch(() => [settings.key, settings.stream], () => state.value === 'failed' && stop());

  const leave = new AbortController();
  addEventListener('pagehide', () => stop({ leaving: true }), { signal: leave.signal });
  addEventListener('online', () => client?.nudge(), { signal: leave.signal });
  addEventListener('beforeunload', (event) => {
    // One careless tap should not end a performance.
    if (on.value) event.preventDefault();
  }, { signal: leave.signal });
  onBeforeUnmount(() => {
    leave.abort();
    stop();
  });

  return { state, on, report, summary, live_ms, goLive, stop };
}

/**
 * Where a space has no key, a word of this page's own lets it take its own stream back after an interruption, and nobody else.
 * @param {string} space
 * @returns {string}
 */
function ownToken(space) {
  const name = `proscenium.own.${space}`;
  try {
    const known = sessionStorage.getItem(name);
    if (known) return known;
    const bytes = crypto.getRandomValues(new Uint8Array(24));
    const token = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    sessionStorage.setItem(name, token);
    return token;
  } catch {
    return ''; // Storage is switched off: then the stream must fall silent before it is taken again.
  }
}
