/**
 * Why one is not in the room, and the next step.
 * @module
 */
import { onBeforeUnmount, onMounted, ref } from 'vue';

export const MeetEnding = {
  props: {
    space: { type: String, required: true },
    ending: { type: Object, required: true },
    /** When the page tries by itself, in ms of `performance.now()`; null when it does not. */
    retryAt: { type: Number, default: null },
  },
  emits: ['again', 'lobby'],
  setup(props) {
    const title = ref(/** @type {HTMLElement | null} */ (null));
    const seconds = ref(0);
    const count = () => {
      seconds.value = props.retryAt === null ? 0 : Math.max(0, Math.ceil((props.retryAt - performance.now()) / 1000));
    };
    count();
    const timer = setInterval(count, 500);
    onMounted(() => title.value?.focus());
    onBeforeUnmount(() => clearInterval(timer));
    return { title, seconds };
  },
  template: `
    <main class="ending">
      <div class="ending-card">
        <h1 ref="title" tabindex="-1">{{ ending.title }}</h1>
        <p>{{ ending.text }}</p>
        <p v-if="seconds > 0" class="explain" role="status">Next try in {{ seconds }} s.</p>
        <div class="ending-actions">
          <button v-if="ending.button" type="button" class="primary" @click="$emit('again')">{{ ending.button }}</button>
          <button v-if="ending.next !== 'none'" type="button" class="secondary" @click="$emit('lobby')">Back to the lobby</button>
        </div>
        <p><a class="quiet-link" :href="'/' + encodeURIComponent(space)">To the event page</a></p>
      </div>
    </main>`,
};
