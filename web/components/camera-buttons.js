/**
 * One button for each stream of a space.
 * @module
 */
import { computed } from 'vue';
import { labelOfStream } from '../lib/names.js';

export const CameraButtons = {
  props: {
    streams: { type: Array, required: true },
    chosen: { type: String, required: true },
  },
  emits: ['choose'],
  setup(props) {
    const buttons = computed(() => {
      const names = props.streams.map(({ name }) => name);
      return props.streams.map(({ name, live }) => ({ name, live, label: labelOfStream(name, names) }));
    });
    return { buttons };
  },
  template: `
    <div class="cameras" role="group" aria-label="Cameras">
      <button v-for="button in buttons" :key="button.name" type="button" class="camera" :class="{ dark: !button.live }"
        :aria-pressed="button.name === chosen" @click="$emit('choose', button.name)">
        <span class="lamp" :class="{ off: !button.live }"></span>{{ button.label }}<span v-if="!button.live" class="hidden">, dark</span>
      </button>
    </div>`,
};
