/**
 * What can be done about one person: pinned, muted, called on stage, given a role, shown on the event page, removed.
 * @module
 */
import { computed, ref } from 'vue';
import { actionsFor } from '../lib/meet-people.js';
import { ROLES } from '../lib/meet-words.js';
import { CAMERAS_MAX, labelOfStream, streamOfCamera } from '../lib/names.js';
import { Icon } from './icon.js';
import { MeetDialog } from './meet-dialog.js';

export const MeetPersonMenu = {
  components: { Icon, MeetDialog },
  props: {
    /** A tile, or a person without one (`key` is null then). */
    tile: { type: Object, required: true },
    anchor: { type: Object, default: null },
    permissions: { type: Object, required: true },
    room: { type: Object, required: true },
    pinned: { type: Boolean, required: true },
    silenced: { type: Boolean, required: true },
  },
  emits: ['close', 'pin', 'silence', 'moderate'],
  setup(props, { emit }) {
    const step = ref(/** @type {'list' | 'role' | 'stream' | 'remove'} */ ('list'));
    const reason = ref('');
    const name = computed(() => props.tile.person.name);
    const actions = computed(() => actionsFor({ tile: props.tile, permissions: props.permissions, room: props.room, isPinned: props.pinned, isSilenced: props.silenced }));
    const streams = Array.from({ length: CAMERAS_MAX }, (_, place) => streamOfCamera(place + 1)).map((stream) => ({ stream, label: labelOfStream(stream) }));
    const title = computed(() => ({
      list: props.tile.source === 'screen' ? `The screen of ${name.value}` : name.value, role: `${name.value} is`, stream: 'On the event page as', remove: `Remove ${name.value}?`,
    })[step.value]);

    const moderate = (/** @type {Record<string, any>} */ { action, ...fields }) => {
      emit('moderate', action, fields);
      emit('close');
    };
    const about = (fields) => ({ id: props.tile.person.id, ...fields });
    function choose(entry) {
      if (entry.action === 'pin' || entry.action === 'silence') {
        emit(entry.action);
        emit('close');
      } else if (entry.action === 'moderate') moderate(entry.fields);
      else if (entry.action === 'unstream') moderate(about({ action: 'stream', source: props.tile.source, stream: null }));
      else step.value = entry.action;
    }
    return {
      step, reason, actions, streams, title, ROLES, choose,
      giveRole: (role) => moderate(about({ action: 'role', role })),
      makeStream: (stream) => moderate(about({ action: 'stream', source: props.tile.source, stream })),
      remove: () => moderate(about({ action: 'remove', ...(reason.value.trim() ? { reason: reason.value.trim() } : {}) })),
    };
  },
  template: `
    <MeetDialog :title="title" :anchor="anchor" @close="$emit('close')">
      <ul v-if="step === 'list'" class="actions">
        <li v-for="entry in actions" :key="entry.label"><button type="button" class="action" :class="{ danger: entry.danger }" @click="choose(entry)"><Icon :name="entry.icon" />{{ entry.label }}</button></li>
        <li v-if="actions.length === 0" class="explain">There is nothing to do here.</li>
      </ul>
      <ul v-else-if="step === 'role'" class="actions">
        <li v-for="entry in ROLES" :key="entry.role"><button type="button" class="action two" :aria-pressed="entry.role === tile.person.role" @click="giveRole(entry.role)"><span>{{ entry.label }}<small>{{ entry.explain }}</small></span></button></li>
      </ul>
      <ul v-else-if="step === 'stream'" class="actions">
        <li v-for="entry in streams" :key="entry.stream"><button type="button" class="action" @click="makeStream(entry.stream)"><Icon name="camera" />{{ entry.label }}</button></li>
        <li class="explain">The audience of the event page then sees and hears it.</li>
      </ul>
      <form v-else class="actions" @submit.prevent="remove">
        <label class="field"><span>Reason, if you like: they read it</span><input type="text" v-model="reason" maxlength="200"></label>
        <div class="dialog-actions"><button type="submit" class="stop">Remove</button><button type="button" class="secondary" @click="$emit('close')">Cancel</button></div>
      </form>
    </MeetDialog>`,
};
