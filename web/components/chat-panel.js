/**
 * What the audience says, beside the picture or below it, each message when the picture is at its moment. Loaded when somebody opens it.
 * @module
 */
import { nextTick, onMounted, ref, watch } from 'vue';
import { useChat } from '../composables/use-chat.js';
import { NAME_MAX, TYPED_MAX } from '../lib/chat.js';
import { Icon } from './icon.js';

/** Who is this near to the end of the chat, in CSS pixels, reads along. */
const NEAR_PX = 60;

const times = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

export const ChatPanel = {
  components: { Icon },
  props: {
    space: { type: String, required: true },
    viewer: { type: Object, required: true },
    /** It stays connected while it is closed, and counts. */
    open: { type: Boolean, required: true },
  },
  emits: ['close', 'unread'],
  setup(props, { emit }) {
    const chat = useChat({ space: props.space, viewer: /** @type {import('../lib/viewer.js').Viewer} */ (props.viewer), open: () => props.open });
    const list = ref(/** @type {HTMLElement | null} */ (null));
    const field = ref(/** @type {HTMLInputElement | null} */ (null));
    const nameField = ref(/** @type {HTMLInputElement | null} */ (null));
    const typed = ref('');
    const typedName = ref(chat.name.value);
    const naming = ref(chat.name.value === '');
    /** Whether newer messages are below what is seen. */
    const below = ref(false);
    let near = true;

    function toEnd() {
      const element = list.value;
      if (element) element.scrollTop = element.scrollHeight;
      below.value = false;
    }
    function scroll() {
      const element = /** @type {HTMLElement} */ (list.value);
      near = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
      if (near) below.value = false;
    }
    watch(chat.lines, (now, before) => nextTick(() => {
      if (near || now.at(-1)?.own && now.at(-1)?.seq !== before.at(-1)?.seq) toEnd();
      else below.value = now.at(-1)?.seq !== before.at(-1)?.seq || below.value;
    }));
    watch([chat.note, chat.connected, naming], () => near && nextTick(toEnd));
    watch(() => props.open, (open) => open && nextTick(begin));
    watch(chat.unread, (count) => emit('unread', count));
    watch(chat.returned, (text) => {
      if (text === '') return;
      if (typed.value === '') typed.value = text;
      chat.returned.value = '';
    });
    function begin() {
      toEnd();
      // On a phone the keyboard would cover the performance that somebody came for.
      if (matchMedia('(hover: hover)').matches) (naming.value ? nameField : field).value?.focus();
    }
    onMounted(begin);

    function keepName() {
      if (typedName.value.trim() === '') return nameField.value?.focus();
      chat.rename(typedName.value);
      typedName.value = chat.name.value;
      naming.value = chat.name.value === '';
      return nextTick(() => field.value?.focus());
    }
    function send() {
      if (naming.value) return keepName();
      if (chat.say(typed.value)) typed.value = '';
      return field.value?.focus();
    }
    async function rename() {
      naming.value = true;
      await nextTick();
      nameField.value?.select();
    }
    return { ...chat, list, field, nameField, typed, typedName, naming, below, toEnd, scroll, send, keepName, editName: rename, timeOf: (/** @type {number} */ at) => times.format(at), NAME_MAX, TYPED_MAX };
  },
  template: `
    <aside class="chat" v-show="open" aria-labelledby="chat-title" @keydown.esc.stop="$emit('close')">
      <header class="chat-head">
        <h2 id="chat-title">Chat</h2>
        <p class="chat-here soft">{{ here }}</p>
        <button type="button" class="bare" aria-label="Close the chat" @click="$emit('close')"><Icon name="close" /></button>
      </header>
      <div ref="list" class="chat-list" tabindex="0" role="log" aria-label="Messages" aria-live="polite" aria-relevant="additions" @scroll.passive="scroll">
        <p v-if="lines.length === 0" class="chat-empty">{{ connected ? 'Nothing has been said yet.' : 'Connecting to the chat' }}</p>
        <ol class="chat-lines">
          <li v-for="line in lines" :key="line.seq" class="chat-line" :class="{ own: line.own }">
            <p class="chat-who"><span class="chat-name" dir="auto">{{ line.name }}</span><span v-if="line.own" class="hidden"> (you)</span><time class="chat-time">{{ timeOf(line.at) }}</time></p>
            <p class="chat-text" dir="auto">{{ line.text }}</p>
            <div class="chat-acts">
              <button type="button" class="chat-like" :class="{ some: line.likes > 0 }" :aria-pressed="line.liked" :aria-label="'Like what ' + line.name + ' said' + (line.likes > 0 ? ', liked by ' + line.likes : '')"
                :disabled="line.liked || !connected" @click="like(line.id)"><Icon name="heart" /><span v-if="line.likes > 0" aria-hidden="true">{{ line.likes }}</span></button>
              <button v-if="mayDelete" type="button" class="chat-delete" :aria-label="'Delete what ' + line.name + ' said: ' + line.text.slice(0, 60)" title="Delete for everybody" @click="remove(line.seq)"><Icon name="bin" /></button>
            </div>
          </li>
        </ol>
      </div>
      <button v-if="below" type="button" class="chat-below" @click="toEnd">New messages<Icon name="below" /></button>
      <div class="chat-hearts" aria-hidden="true"><span v-for="one in hearts" :key="one.id" class="chat-heart" :class="'lane-' + one.lane"><Icon name="heart" /></span></div>
      <p class="chat-note" role="status">{{ note || (connected || lines.length === 0 ? '' : 'Connecting again') }}</p>
      <form v-if="naming" class="chat-form" @submit.prevent="keepName">
        <label class="chat-label"><span>Your name in the chat</span>
          <input ref="nameField" v-model="typedName" class="chat-field" type="text" name="name" autocomplete="nickname" :maxlength="NAME_MAX" required enterkeyhint="next"></label>
        <button type="submit" class="primary chat-join">Join</button>
      </form>
      <form v-else class="chat-form" @submit.prevent="send">
        <p class="chat-me"><span class="chat-as">As <span dir="auto">{{ name }}</span></span><button type="button" class="chat-rename" @click="editName">Change name</button></p>
        <input ref="field" v-model="typed" class="chat-field" type="text" name="message" autocomplete="off" :maxlength="TYPED_MAX" placeholder="Say something" aria-label="Message" enterkeyhint="send">
        <button type="submit" class="round chat-send" aria-label="Send" title="Send" :disabled="typed.trim() === ''"><Icon name="send" /></button>
        <button type="button" class="round chat-give" aria-label="Send a heart" title="Send a heart" :disabled="!connected" @click="heart"><Icon name="heart" /></button>
      </form>
    </aside>`,
};
