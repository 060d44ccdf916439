/**
 * What others will see and hear of oneself, before they do.
 * @module
 */
import { computed, ref, watchEffect } from 'vue';
import { useLevel } from '../composables/use-level.js';
import { problemsOf } from '../lib/meet-words.js';
import { Icon } from './icon.js';

export const MeetPreview = {
  components: { Icon },
  props: {
    media: { type: Object, required: true },
    settings: { type: Object, required: true },
    /** Whether camera and microphone wait for a tap, because the browser will ask. */
    asks: { type: Boolean, required: true },
  },
  emits: ['start'],
  setup(props) {
    const element = ref(/** @type {HTMLVideoElement | null} */ (null));
    const { media } = props;
    const { level, clipped } = useLevel(computed(() => (media.hears.value ? media.audio.value : null)));
    const heard = computed(() => ({ transform: `scaleX(${level.value.toFixed(3)})` }));
    const video = media.video;
    watchEffect(() => {
      if (element.value) element.value.srcObject = video.value ? new MediaStream([video.value]) : null;
    }, { flush: 'post' });
    const isMirrored = computed(() => video.value?.getSettings().facingMode !== 'environment');
    const problems = computed(() => problemsOf(media.context, media.problems));
    const word = computed(() => {
      if (media.opening.value > 0) return 'Waiting for the browser. It may ask whether this page may use camera and microphone.';
      return media.hears.value ? 'Your camera is off. Others will hear you.' : 'Your camera and microphone are off. You can join like this.';
    });
    return { element, level, clipped, heard, video, isMirrored, problems, word, hears: media.hears, opening: media.opening, possible: media.possible, toggleCamera: media.toggleCamera, toggleMicrophone: media.toggleMicrophone };
  },
  template: `
    <section class="preview" aria-label="Your picture and sound">
      <div class="preview-picture">
        <video ref="element" muted autoplay playsinline :class="{ mirrored: isMirrored }" aria-label="Your own picture"></video>
        <div v-if="!video" class="preview-words">
          <template v-if="asks">
            <p>See and hear yourself before anybody else does.</p>
            <button type="button" class="secondary" :disabled="opening > 0" @click="$emit('start')"><Icon name="camera" />{{ opening > 0 ? 'Waiting for the browser' : 'Turn on camera and microphone' }}</button>
          </template>
          <p v-else>{{ word }}</p>
        </div>
        <div v-if="possible" class="preview-switches">
          <button type="button" class="round" :class="{ off: !hears }" :aria-pressed="hears" :aria-label="hears ? 'Turn the microphone off' : 'Turn the microphone on'" :title="hears ? 'Microphone off (m)' : 'Microphone on (m)'" @click="toggleMicrophone"><Icon :name="hears ? 'mic' : 'mic-off'" /></button>
          <button type="button" class="round" :class="{ off: !video }" :aria-pressed="video !== null" :aria-label="video ? 'Turn the camera off' : 'Turn the camera on'" :title="video ? 'Camera off (v)' : 'Camera on (v)'" @click="toggleCamera"><Icon :name="video ? 'camera' : 'camera-off'" /></button>
        </div>
        <div class="meter" role="meter" aria-label="Level of your sound" aria-valuemin="0" aria-valuemax="1" :aria-valuenow="level.toFixed(2)" :class="{ clipped }"><div class="meter-fill" :style="heard"></div></div>
      </div>
      <div v-for="problem in problems" :key="problem.title" class="notice" role="alert"><strong>{{ problem.title }}</strong><p>{{ problem.advice }} You can also join without.</p></div>
    </section>`,
};
