/**
 * Everything a performer can choose. What would need a new connection is locked while live.
 * @module
 */
import { computed, ref, watch } from 'vue';
import { NONE } from '../composables/use-media.js';
import { PRESETS } from '../lib/media.js';
import { CAMERAS_MAX, labelOfStream, streamOfCamera } from '../lib/names.js';

export const PerformSettings = {
  props: {
    settings: { type: Object, required: true },
    devices: { type: Object, required: true },
    streams: { type: Array, required: true },
    on: { type: Boolean, required: true },
    open: { type: Boolean, required: true },
    asksForKey: { type: Boolean, required: true },
  },
  setup(props) {
    const keyField = ref(/** @type {HTMLInputElement | null} */ (null));
    const cameras = computed(() => {
      const names = Array.from({ length: CAMERAS_MAX }, (_, place) => streamOfCamera(place + 1));
      // A stream that the venue knows by another name, or that this performer used before, can be chosen too.
      const others = props.streams.map(({ name }) => name).concat(props.settings.stream).filter((name) => !names.includes(name));
      const live = new Set(props.streams.filter((stream) => stream.live).map(({ name }) => name));
      return [...names, ...new Set(others)].map((name) => ({ name, label: labelOfStream(name), taken: live.has(name) && !(props.on && name === props.settings.stream) }));
    });
    // After the page has changed: the field is locked while going live is tried.
    watch(() => props.asksForKey, (asks) => asks && keyField.value?.focus(), { flush: 'post' });
    return { keyField, cameras, NONE, PRESETS };
  },
  template: `
    <form class="settings" aria-label="Settings" @submit.prevent>
      <fieldset>
        <legend>Picture</legend>
        <div class="segments" role="radiogroup" aria-label="Source of the picture">
          <label><input type="radio" name="source" value="camera" v-model="settings.source"><span>Camera</span></label>
          <label><input type="radio" name="source" value="screen" v-model="settings.source"><span>Screen</span></label>
        </div>
        <label v-show="settings.source === 'camera'" class="field"><span>Camera</span>
          <select v-model="settings.camera">
            <option value="">The system’s choice</option>
            <option v-for="device in devices.cameras" :key="device.deviceId" :value="device.deviceId">{{ device.label || 'Camera' }}</option>
            <option :value="NONE">None, sound only</option>
          </select>
        </label>
        <label class="field"><span>Size and rate</span>
          <select v-model="settings.preset"><option v-for="preset in PRESETS" :key="preset.id" :value="preset.id">{{ preset.label }}</option></select>
        </label>
        <label class="check"><input type="checkbox" v-model="settings.simulcast" :disabled="on">
          <span>Three sizes at once<small>For audiences on poor networks. Needs a faster device.</small></span></label>
      </fieldset>

      <fieldset>
        <legend>Sound</legend>
        <div class="segments" role="radiogroup" aria-label="Kind of sound">
          <label><input type="radio" name="sound" :value="false" v-model="settings.music" :disabled="on"><span>Speech</span></label>
          <label><input type="radio" name="sound" :value="true" v-model="settings.music" :disabled="on"><span>Music</span></label>
        </div>
        <p class="explain">{{ settings.music ? 'Stereo, up to 256 kbit/s, exactly as it is played. Wear headphones: echo is not removed.' : 'Echo and noise are removed, and the level is kept even.' }}</p>
        <label class="field"><span>Microphone</span>
          <select v-model="settings.microphone">
            <option value="">The system’s choice</option>
            <option v-for="device in devices.microphones" :key="device.deviceId" :value="device.deviceId">{{ device.label || 'Microphone' }}</option>
            <option :value="NONE">{{ settings.source === 'screen' ? 'None, the screen’s own sound' : 'None' }}</option>
          </select>
        </label>
      </fieldset>

      <fieldset>
        <legend>Place on stage</legend>
        <label class="field"><span>Perform as</span>
          <select v-model="settings.stream" :disabled="on">
            <option v-for="camera in cameras" :key="camera.name" :value="camera.name">{{ camera.label }}{{ camera.taken ? ' (someone is live)' : '' }}</option>
          </select>
        </label>
        <label class="field"><span>Stream key</span>
          <input ref="keyField" type="password" v-model.trim="settings.key" :disabled="on" autocomplete="off" spellcheck="false" maxlength="1024"
            placeholder="only if the space has one" :aria-invalid="asksForKey">
        </label>
        <p v-if="on" class="explain">Stop to change what is greyed out.</p>
      </fieldset>
    </form>`,
};
