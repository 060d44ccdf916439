/**
 * Where in the performance the picture is: play and pause, a line to rewind on, and the way back to live.
 * @module
 */
import { computed, ref } from 'vue';
import { durationWords } from '../lib/moments.js';
import { thumbnailAt } from '../lib/recordings.js';
import { clockText } from '../lib/words.js';
import { Icon } from './icon.js';

/** How far a key goes on the line, in seconds. */
const PAGE_S = 60;

const timeOfDay = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

export const PlaybackTimeline = {
  components: { Icon },
  props: {
    /** A `Timeline` of playback.js. */
    timeline: { type: Object, required: true },
    stream: { type: String, required: true },
    /** For pictures under the pointer. */
    recordings: { type: Array, required: true },
    /** The film that is shown; null on a live stage. */
    film: { type: Object, default: null },
  },
  emits: ['seek', 'pause', 'resume', 'live', 'look'],
  setup(props, { emit }) {
    const line = ref(/** @type {HTMLElement | null} */ (null));
    /** What the pointer points at, as a share of the line; null when it is elsewhere. */
    const pointed = ref(/** @type {number | null} */ (null));
    const dragging = ref(false);

    const length_ms = computed(() => Math.max(1, props.timeline.end - props.timeline.start));
    const isFilm = computed(() => props.timeline.view === 'recording');
    const share = computed(() => {
      if (dragging.value && pointed.value !== null) return pointed.value;
      return props.timeline.live ? 1 : Math.min(1, Math.max(0, (props.timeline.now - props.timeline.start) / length_ms.value));
    });
    const position_s = computed(() => (props.timeline.now - props.timeline.start) / 1000);
    const behind_s = computed(() => (props.timeline.end - props.timeline.now) / 1000);
    const words = computed(() => {
      if (isFilm.value) return `${durationWords(position_s.value)} of ${durationWords(length_ms.value / 1000)}`;
      return props.timeline.live ? 'Live' : `${durationWords(props.timeline.latency_s ?? behind_s.value)} behind`;
    });
    const hint = computed(() => {
      if (pointed.value === null) return null;
      const moment = props.timeline.start + pointed.value * length_ms.value;
      const back_s = (props.timeline.end - moment) / 1000;
      return {
        picture: thumbnailAt(props.film ? [props.film] : props.recordings, props.film?.stream ?? props.stream, moment),
        text: isFilm.value ? clockText(moment - props.timeline.start) : back_s < 4 ? 'Live' : `−${clockText(back_s * 1000)}`,
        clock: isFilm.value ? '' : timeOfDay.format(moment),
        // A share of the line that keeps the picture inside the page.
        at: `clamp(84px, ${pointed.value * 100}%, 100% - 84px)`,
      };
    });

    function point(/** @type {PointerEvent} */ event) {
      const { left, width } = /** @type {HTMLElement} */ (line.value).getBoundingClientRect();
      pointed.value = Math.min(1, Math.max(0, (event.clientX - left) / Math.max(1, width)));
      emit('look');
    }
    function press(/** @type {PointerEvent} */ event) {
      if (event.button !== 0) return;
      /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
      dragging.value = true;
      point(event);
    }
    function release(/** @type {PointerEvent} */ event) {
      if (!dragging.value) return;
      point(event);
      dragging.value = false;
      emit('seek', props.timeline.start + (pointed.value ?? 1) * length_ms.value);
      if (event.pointerType !== 'mouse') pointed.value = null;
    }
    function leave() {
      if (!dragging.value) pointed.value = null;
    }
    function cancel() {
      dragging.value = false;
      pointed.value = null;
    }
    function key(/** @type {KeyboardEvent} */ event) {
      const { start, end, now } = props.timeline;
      const target = { Home: start, End: end, PageUp: now + PAGE_S * 1000, PageDown: now - PAGE_S * 1000 }[event.key];
      if (target === undefined) return;
      event.preventDefault();
      emit('seek', target);
    }
    return { line, pointed, dragging, share, words, hint, isFilm, length_ms, position_s, press, point, release, leave, cancel, key, clockText };
  },
  template: `
    <div class="timeline" :class="{ dragging }">
      <button v-if="timeline.ended" type="button" class="round" aria-label="Play again" title="Play again (k)" @click="$emit('resume')"><Icon name="again" /></button>
      <button v-else type="button" class="round" :aria-label="timeline.paused ? 'Play' : 'Pause'" :title="timeline.paused ? 'Play (k)' : 'Pause (k)'"
        @click="$emit(timeline.paused ? 'resume' : 'pause')"><Icon :name="timeline.paused ? 'play' : 'pause'" /></button>
      <div ref="line" class="line" role="slider" tabindex="0" :aria-label="isFilm ? 'Position' : 'Rewind'" aria-valuemin="0" :aria-valuemax="Math.round(length_ms / 1000)"
        :aria-valuenow="Math.round(share * length_ms / 1000)" :aria-valuetext="words" @pointerdown="press" @pointermove="point" @pointerup="release"
        @pointerleave="leave" @pointercancel="cancel" @keydown="key">
        <span class="rail"><span class="filled" :style="{ transform: 'scaleX(' + share + ')' }"></span></span>
        <span class="knob" :class="{ busy: timeline.busy }" :style="{ left: share * 100 + '%' }"></span>
        <span v-if="hint" class="hint" :style="{ left: hint.at }">
          <img v-if="hint.picture" class="hint-picture" :src="hint.picture" alt="" width="160" height="90">
          <span class="hint-text">{{ hint.text }}<span v-if="hint.clock" class="soft">{{ hint.clock }}</span></span>
        </span>
      </div>
      <p v-if="isFilm" class="film-clock">{{ clockText(position_s * 1000) }}<span class="soft"> / {{ clockText(length_ms) }}</span></p>
      <button v-else type="button" class="go-live" :aria-pressed="timeline.live" :title="timeline.live ? 'You are live' : 'Back to live (l)'"
        :aria-label="timeline.live ? 'Live' : 'Back to live'" @click="$emit('live')"><span class="lamp" :class="{ off: !timeline.live }"></span>Live</button>
    </div>`,
};
