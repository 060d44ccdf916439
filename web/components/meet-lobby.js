/**
 * Before the room: a name, a look at oneself, and in.
 * @module
 */
import { computed, onMounted, ref, watch } from 'vue';
import { useKeys } from '../composables/use-keys.js';
import { PERSON_NAME_LENGTH_MAX } from '../composables/use-meet-settings.js';
import { MeetDevices } from './meet-devices.js';
import { MeetPreview } from './meet-preview.js';

export const MeetLobby = {
  components: { MeetDevices, MeetPreview },
  props: {
    space: { type: String, required: true },
    settings: { type: Object, required: true },
    media: { type: Object, required: true },
    /** What the invitation says about its bearer. */
    hint: { type: Object, required: true },
    joining: { type: Boolean, required: true },
    ending: { type: Object, default: null },
  },
  emits: ['join'],
  setup(props, { emit }) {
    const asks = ref(true);
    const problem = ref('');
    const key = ref('');
    const field = ref(/** @type {HTMLInputElement | null} */ (null));
    const isAudience = computed(() => props.hint.role === 'viewer');
    const asksForKey = computed(() => props.ending?.next === 'key');
    // An invitation with a name is for nobody else.
    const name = ref(props.hint.name ?? props.settings.name);
    watch(() => props.hint.name, (now) => { if (now) name.value = now; });

    async function start() {
      await props.media.start();
      asks.value = false;
    }
    onMounted(async () => {
      if (isAudience.value || !props.media.possible) asks.value = false;
      else if (!props.settings.cameraOn && !props.settings.microphoneOn) asks.value = false;
      // Who has allowed it before is not asked again, and sees the picture at once.
      else if (await props.media.isAllowed()) await start();
    });

    function join() {
      const mine = name.value.trim();
      problem.value = mine === '' ? 'Enter a name: the others see it.' : '';
      if (problem.value) return field.value?.focus();
      if (!props.hint.name) props.settings.name = mine;
      emit('join', { name: mine, key: key.value.trim() });
    }
    if (!isAudience.value) useKeys({ m: props.media.toggleMicrophone, v: props.media.toggleCamera });
    return { asks, name, problem, key, field, isAudience, asksForKey, start, join, devices: props.media.devices, PERSON_NAME_LENGTH_MAX };
  },
  template: `
    <main class="lobby" :class="{ narrow: isAudience }">
      <header class="lobby-head">
        <p class="kicker">Meet in</p>
        <h1 class="title">{{ space }}</h1>
      </header>
      <MeetPreview v-if="!isAudience" :media="media" :settings="settings" :asks="asks" @start="start" />
      <form class="lobby-form" novalidate @submit.prevent="join">
        <div v-if="ending" class="notice" role="alert"><strong>{{ ending.title }}</strong><p>{{ ending.text }}</p></div>
        <p v-if="isAudience" class="explain">You come as audience: you see and hear the others, and can raise your hand. Nobody sees or hears you.</p>
        <label class="field"><span>Your name</span>
          <input ref="field" type="text" v-model="name" autocomplete="name" :readonly="Boolean(hint.name)" :maxlength="PERSON_NAME_LENGTH_MAX" enterkeyhint="go" spellcheck="false" aria-describedby="name-problem" :aria-invalid="problem !== ''" @input="problem = ''">
        </label>
        <p id="name-problem" class="field-problem" role="alert">{{ problem }}</p>
        <label v-if="asksForKey" class="field"><span>Key of the space</span>
          <input type="password" v-model="key" autocomplete="off" spellcheck="false" maxlength="4096">
        </label>
        <button type="submit" class="primary join" :disabled="joining"><span v-if="joining" class="spinner" aria-hidden="true"></span>{{ joining ? 'Joining' : 'Join' }}</button>
        <MeetDevices :settings="settings" :devices="devices" :publish="!isAudience" />
      </form>
    </main>`,
};
