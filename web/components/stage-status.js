/**
 * What stands on the stage while there is no picture, or over the last one. Screen readers hear it when it changes.
 * @module
 */
import { ref, watch } from 'vue';

/** Opening usually takes less than this, in ms: no word flashes up for so short a time. */
const SAY_AFTER_MS = 600;

export const StageStatus = {
  props: { status: { type: Object, required: true } },
  emits: ['retry'],
  setup(props) {
    const said = ref(props.status.kind !== 'connecting');
    let timer;
    watch(() => props.status.kind, (kind) => {
      clearTimeout(timer);
      if (kind === 'connecting' || kind === 'reconnecting') {
        said.value = false;
        timer = setTimeout(() => {
          said.value = true;
        }, SAY_AFTER_MS);
      } else {
        said.value = true;
      }
    }, { immediate: true });
    return { said };
  },
  template: `
    <div class="status" :class="[status.over ? 'card' : 'pill', { said }]" role="status" aria-live="polite">
      <template v-if="said && status.title">
        <p class="status-title"><span v-if="status.busy" class="spinner" aria-hidden="true"></span>{{ status.title }}</p>
        <p v-if="status.over" class="status-text">{{ status.text }}</p>
        <p v-if="status.leave" class="status-text"><a href="/">To the entrance</a></p>
        <button v-if="status.retry && status.over" type="button" class="secondary" @click="$emit('retry')">Try again</button>
        <p v-if="status.over" class="status-offer"><slot></slot></p>
      </template>
    </div>`,
};
