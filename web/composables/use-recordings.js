/** @module */
import { computed, onBeforeUnmount, onMounted, ref, shallowRef, watch } from 'vue';
import { admit } from '../lib/admission.js';
import { hintOf } from '../lib/meet-token.js';

/** A list younger than this, in ms, is not asked for again. */
const FRESH_MS = 15_000;
/** When the list is asked for after a performance ended, in ms: the venue needs a moment to finish the film. */
const AFTER_END_MS = [500, 4000, 12_000, 40_000];
/** How long a page says that recording did not work, in ms. */
const PROBLEM_MS = 8000;
/** How long after a performance the stage offers its film, in ms. */
const OFFER_MAX_MS = 12 * 3600 * 1000;

/**
 * The recordings of a space, and the switch of a moderator that makes one.
 * @param {string | null} space
 * @param {string} token an invitation; empty where there is none
 * @param {{status: import('vue').Ref<import('../lib/status.js').Status>, snapshot: import('vue').Ref<import('../lib/status.js').Snapshot>}} page
 */
export function useRecordings(space, token, { status, snapshot }) {
  /** @type {import('vue').ShallowRef<import('../lib/recordings.js').Recording[]>} */ const all = shallowRef([]);
  const problem = ref('');
  const busy = ref(false);
  /** @type {ReturnType<typeof setTimeout>[]} */ let timers = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let problemTimer;
  let asked = -Infinity;

  /** Asks the venue, unless it has just answered. */
  async function load({ fresh = false } = {}) {
    if (!space || (!fresh && performance.now() - asked < FRESH_MS)) return;
    asked = performance.now();
    const [{ fetchRecordings }] = await Promise.all([import('../lib/recordings.js'), admit(space, token)]);
    all.value = await fetchRecordings(space, token);
  }
  const finished = computed(() => all.value.filter((recording) => recording.finished));
  const told = computed(() => snapshot.value.streams.find(({ name }) => name === snapshot.value.stream)?.hls?.recording ?? false);
  /** What this page has just decided: the venue tells it to everybody only with the next thing that happens. @type {import('vue').Ref<boolean | null>} */
  const decided = ref(null);
  watch([told, () => snapshot.value.stream], () => {
    decided.value = null;
  });
  const isRecording = computed(() => decided.value ?? told.value);
  /** The film of what has just ended. */
  const offer = computed(() => {
    if (status.value.kind !== 'ended') return null;
    const newest = finished.value.find(({ stream }) => stream === snapshot.value.stream);
    return newest && Date.now() - newest.started.getTime() - newest.duration_s * 1000 < OFFER_MAX_MS ? newest : null;
  });

  /** Begins or ends a recording, for a moderator. */
  async function toggle() {
    if (!space || busy.value) return;
    busy.value = true;
    clearTimeout(problemTimer);
    const { setRecording } = await import('../lib/recordings.js');
    const wanted = !isRecording.value;
    problem.value = await setRecording(space, snapshot.value.stream, wanted, token);
    if (problem.value === '') decided.value = wanted;
    else problemTimer = setTimeout(forget, PROBLEM_MS);
    busy.value = false;
  }
  function forget() {
    problem.value = '';
  }

  watch(() => status.value.kind, (kind, before) => {
    timers.forEach(clearTimeout);
    timers = [];
    if (kind === 'ended') timers = AFTER_END_MS.map((ms) => setTimeout(() => load({ fresh: true }), ms));
    else if (kind === 'waiting') load();
    // What plays is not disturbed by a list.
    else if (kind === 'live' && before !== 'live') timers = [setTimeout(load, 3000)];
  }, { immediate: true });
  onMounted(() => token && load());
  onBeforeUnmount(() => [...timers, problemTimer].forEach(clearTimeout));

  return { all, finished, offer, load, isRecording, mayRecord: token !== '' && (hintOf(token).role ?? 'moderator') === 'moderator', toggle, problem, busy };
}
