/**
 * What somebody may want to change about the picture, and the keys of the page.
 * @module
 */
import { computed } from 'vue';
import { bitrateText } from '../lib/performance.js';
import { Icon } from './icon.js';
import { MeetDialog } from './meet-dialog.js';

export const PlaybackSettings = {
  components: { Icon, MeetDialog },
  props: {
    anchor: { type: Object, default: null },
    /** Of use-playback.js. */
    tracks: { type: Object, required: true },
    keys: { type: Array, required: true },
    smallWindow: { type: Object, required: true },
    television: { type: Object, required: true },
  },
  emits: ['close', 'level', 'caption'],
  setup(props) {
    const qualities = computed(() => (props.tracks.levels.length > 1
      ? [{ id: -1, label: props.tracks.playing && props.tracks.level < 0 ? `Automatic (${props.tracks.playing})` : 'Automatic', detail: '' },
        ...props.tracks.levels.map(({ id, label, bitrate_bps }) => ({ id, label, detail: bitrateText(bitrate_bps) }))]
      : []));
    const isChosen = (/** @type {number} */ id) => (id < 0 ? props.tracks.level < 0 : props.tracks.levels.find(({ label }) => label === labelOf(props.tracks.level))?.id === id);
    const labelOf = (/** @type {number} */ id) => props.tracks.levels.find((level) => level.id === id)?.label;
    const captions = computed(() => (props.tracks.captions.length > 0 ? [{ id: -1, label: 'Off' }, ...props.tracks.captions] : []));
    return { qualities, captions, isChosen, windowOn: props.smallWindow.on, television: props.television, televisionThere: props.television.available };
  },
  template: `
    <MeetDialog title="Picture" :anchor="anchor" @close="$emit('close')">
      <fieldset v-if="qualities.length > 0" class="choices">
        <legend>Quality</legend>
        <label v-for="one in qualities" :key="one.id" class="choice">
          <input type="radio" name="quality" :checked="isChosen(one.id)" @change="$emit('level', one.id)"><span>{{ one.label }}</span><span class="soft">{{ one.detail }}</span>
        </label>
      </fieldset>
      <fieldset v-if="captions.length > 0" class="choices">
        <legend>Captions</legend>
        <label v-for="one in captions" :key="one.id" class="choice">
          <input type="radio" name="captions" :checked="tracks.caption === one.id" @change="$emit('caption', one.id)"><span>{{ one.label }}</span>
        </label>
      </fieldset>
      <ul v-if="smallWindow.possible || televisionThere" class="actions compact">
        <li v-if="smallWindow.possible"><button type="button" class="action" :aria-pressed="windowOn" @click="smallWindow.toggle(), $emit('close')"><Icon name="small-window" />{{ windowOn ? 'Back into the page' : 'Picture in picture' }}</button></li>
        <li v-if="televisionThere"><button type="button" class="action" @click="television.choose(), $emit('close')"><Icon :name="television.icon" />Show on a television</button></li>
      </ul>
      <section class="keys-entry">
        <h3 class="keys-title">Keys</h3>
        <dl class="keys"><div v-for="one in keys" :key="one.key"><dt><kbd>{{ one.key }}</kbd></dt><dd>{{ one.label }}</dd></div></dl>
      </section>
    </MeetDialog>`,
};
