/**
 * What the performer is about to send, or sends: the picture, and how loud it is.
 * @module
 */
import { computed, ref, toRef, watchEffect } from 'vue';
import { useLevel } from '../composables/use-level.js';
import { Icon } from './icon.js';

export const OwnPicture = {
  components: { Icon },
  props: {
    video: { type: Object, default: null },
    audio: { type: Object, default: null },
    problem: { type: Object, default: null },
    possible: { type: Boolean, required: true },
    opening: { type: Boolean, required: true },
    screen: { type: Boolean, required: true },
  },
  emits: ['start'],
  setup(props) {
    const element = ref(/** @type {HTMLVideoElement | null} */ (null));
    const { level, clipped } = useLevel(toRef(props, 'audio'));
    watchEffect(() => {
      if (element.value) element.value.srcObject = props.video ? new MediaStream([props.video]) : null;
    });
    const heard = computed(() => ({ transform: `scaleX(${level.value.toFixed(3)})` }));
    return { element, level, clipped, heard };
  },
  template: `
    <div class="own-picture">
      <video ref="element" muted autoplay playsinline aria-label="Your own picture"></video>
      <div v-if="!video" class="placeholder">
        <template v-if="problem">
          <p class="problem-title" role="alert">{{ problem.title }}</p>
          <p class="problem-advice">{{ problem.advice }}</p>
        </template>
        <p v-else-if="audio" class="sound-only"><Icon name="sound" />Sound only</p>
        <p v-else class="problem-advice">See and hear yourself before anybody else does.</p>
        <button v-if="possible && !(audio && !problem)" type="button" class="secondary" :disabled="opening" @click="$emit('start')">
          <Icon :name="screen ? 'screen' : 'camera'" />{{ opening ? 'Waiting for the browser' : problem ? 'Try again' : screen ? 'Choose a screen' : 'Turn on camera and microphone' }}
        </button>
      </div>
      <div v-else-if="problem" class="problem-bar" role="alert"><strong>{{ problem.title }}.</strong> {{ problem.advice }}</div>
      <div class="meter" role="meter" aria-label="Level of your sound" aria-valuemin="0" aria-valuemax="1" :aria-valuenow="level.toFixed(2)" :class="{ off: !audio, clipped }">
        <div class="meter-fill" :style="heard"></div>
        <span v-if="clipped" class="meter-word">Too loud</span>
      </div>
    </div>`,
};
