/**
 * Everything about the room and oneself that is not needed all the time.
 * @module
 */
import { computed, ref } from 'vue';
import { PERSON_NAME_LENGTH_MAX } from '../composables/use-meet-settings.js';
import { copyLink } from '../lib/meet-link.js';
import { KEYS } from '../lib/meet-words.js';
import { Icon } from './icon.js';
import { MeetDevices } from './meet-devices.js';
import { MeetDialog } from './meet-dialog.js';

export const MeetMore = {
  components: { Icon, MeetDevices, MeetDialog },
  props: {
    anchor: { type: Object, default: null },
    /** Where it opens: the list, or one of its pages. */
    at: { type: String, default: 'list' },
    permissions: { type: Object, required: true },
    room: { type: Object, required: true },
    settings: { type: Object, required: true },
    devices: { type: Object, required: true },
    name: { type: String, required: true },
    named: { type: Boolean, default: false },
    people: { type: Number, required: true },
    fullScreen: { type: Object, required: true },
  },
  emits: ['close', 'people', 'moderate', 'rename', 'said'],
  setup(props, { emit }) {
    const step = ref(props.at);
    const newName = ref(props.name);
    const title = computed(() => ({ list: 'The room', settings: 'Settings', keys: 'Keys' })[step.value] ?? '');

    async function copy() {
      emit('close');
      emit('said', await copyLink());
    }
    const moderate = (action, on) => {
      emit('moderate', action, { on });
      emit('close');
    };
    function rename() {
      const name = newName.value.trim();
      if (name !== '' && name !== props.name) emit('rename', name);
      emit('close');
    }
    function enlarge() {
      emit('close');
      props.fullScreen.toggle();
    }
    return { step, newName, title, copy, moderate, rename, enlarge, isFull: props.fullScreen.on, canFull: props.fullScreen.possible, KEYS, PERSON_NAME_LENGTH_MAX };
  },
  template: `
    <MeetDialog :title="title" :anchor="step === 'list' ? anchor : null" :wide="step === 'settings'" :key="step" @close="$emit('close')">
      <ul v-if="step === 'list'" class="actions">
        <li><button type="button" class="action" @click="$emit('people'), $emit('close')"><Icon name="people" />People<span class="number">{{ people }}</span></button></li>
        <li><button type="button" class="action" @click="copy"><Icon name="link" />Copy the link to this room</button></li>
        <li><button type="button" class="action" @click="step = 'settings'"><Icon name="settings" />Name, camera, microphone, speaker</button></li>
        <li v-if="canFull"><button type="button" class="action" @click="enlarge"><Icon :name="isFull ? 'reduce' : 'enlarge'" />{{ isFull ? 'Leave full screen' : 'Full screen' }}</button></li>
        <li class="keys-entry"><button type="button" class="action" @click="step = 'keys'"><Icon name="keyboard" />Keys</button></li>
        <template v-if="permissions.moderate">
          <li class="divide"><button type="button" class="action two" :aria-pressed="room.locked === true" @click="moderate('lock', !room.locked)"><Icon :name="room.locked ? 'unlock' : 'lock'" /><span>{{ room.locked ? 'Unlock the room' : 'Lock the room' }}<small>{{ room.locked ? 'Others can come in again' : 'Nobody else comes in' }}</small></span></button></li>
          <li><button type="button" class="action two" :aria-pressed="room.stage_only === true" @click="moderate('stage_only', !room.stage_only)"><Icon name="stage" /><span>{{ room.stage_only ? 'Open the stage to everybody' : 'Only who is called on stage' }}<small>{{ room.stage_only ? 'Everybody may turn on camera and microphone' : 'Everybody else becomes the audience' }}</small></span></button></li>
        </template>
      </ul>
      <form v-else-if="step === 'settings'" class="actions" @submit.prevent="rename">
        <label v-if="!named" class="field"><span>Your name</span><input type="text" v-model="newName" :maxlength="PERSON_NAME_LENGTH_MAX" autocomplete="name" spellcheck="false"></label>
        <MeetDevices :settings="settings" :devices="devices" :music="permissions.music" :publish="permissions.publish" />
        <div class="dialog-actions"><button type="submit" class="primary">Done</button></div>
      </form>
      <dl v-else class="keys"><div v-for="entry in KEYS" :key="entry.key"><dt><kbd>{{ entry.key }}</kbd></dt><dd>{{ entry.label }}</dd></div></dl>
    </MeetDialog>`,
};
