/** @module */
import { computed, onBeforeUnmount, ref, shallowRef, watch } from 'vue';
import { ChatLog, CHAT_TYPES, hereText, nameOf, refusalText } from '../lib/chat.js';
import { authorization, withTimeout } from '../lib/http.js';
import { read, write } from '../lib/keep.js';
import { hintOf } from '../lib/meet-token.js';
import { connectMessages, ownId } from '../lib/messages.js';

/** Hearts that fly at the same time. */
const HEARTS_MAX = 10;
/** How long one flies, in ms; as in chat.css. */
const HEART_MS = 2400;
/** How long a note about what did not work stays, in ms. */
const NOTE_MS = 8000;
/** How long the venue may take to delete a message, in ms. */
const DELETE_MAX_MS = 8000;
/** Where somebody's name is kept. */
const NAME = 'proscenium.name';

/**
 * The chat of a space, each message when the viewer sees its moment.
 * @param {{space: string, viewer: import('../lib/viewer.js').Viewer, open: () => boolean}} page
 */
export function useChat({ space, viewer, open }) {
  const { token } = viewer;
  const hint = hintOf(token);
  const self = ownId();
  const log = new ChatLog(self);
  const bus = connectMessages(space, { types: CHAT_TYPES, token, userId: self, name: nameOf(read('localStorage', NAME) || hint.name || '') });
  const timed = bus.timed(clock);

  /** @type {import('vue').ShallowRef<import('../lib/chat.js').Line[]>} */ const lines = shallowRef([]);
  const name = ref(bus.name);
  const state = ref(bus.state);
  const here = ref('');
  const note = ref('');
  /** What is given back to whoever typed it: it was not taken. */
  const returned = ref('');
  const hearts = shallowRef(/** @type {{id: number, lane: number}[]} */ ([]));
  const unread = ref(0);
  /** Own messages that the venue has not answered yet, by id. @type {Map<string, string>} */ const said = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let noteTimer;
  let flown = 0;

  /** The moment on the screen: nothing is held back while it is live. */
  function clock() {
    return viewer.snapshot().way === 'hls' && viewer.playback ? viewer.playback.moment ?? undefined : null;
  }
  let isStale = false;
  /** However many come at once, as after a seek, they are drawn once. */
  const refresh = () => {
    if (isStale) return;
    isStale = true;
    queueMicrotask(() => {
      isStale = false;
      lines.value = log.lines;
    });
  };
  function tell(/** @type {string} */ text) {
    note.value = text;
    clearTimeout(noteTimer);
    noteTimer = setTimeout(() => {
      note.value = '';
    }, NOTE_MS);
  }
  function fly() {
    flown += 1;
    const heart = { id: flown, lane: flown % 5 };
    hearts.value = [...hearts.value.slice(1 - HEARTS_MAX), heart];
    setTimeout(() => {
      hearts.value = hearts.value.filter(({ id }) => id !== heart.id);
    }, HEART_MS);
  }

  bus.on('message', ({ id, own }) => own && said.delete(id));
  timed.on('message', (message) => {
    const heard = log.hear(message);
    if (heard === 'heart') fly();
    else if (heard) refresh();
    if (heard === 'line' && !message.own && !open()) unread.value += 1;
  });
  timed.on('back', (messages) => {
    log.rebuild(messages.filter(({ type }) => type !== 'HEART'));
    refresh();
  });
  timed.on('deleted', (deleted) => log.remove(deleted) && refresh());
  timed.on('cleared', (cleared) => log.clear(cleared) && refresh());
  bus.on('presence', (people) => {
    here.value = hereText(people.size);
  });
  bus.on('error', (error) => {
    tell(refusalText(error));
    const text = said.get(error.id);
    said.delete(error.id);
    if (text !== undefined) returned.value = text;
  });
  bus.on('missed', recall);
  bus.on('state', (now) => {
    state.value = now;
    if (now === 'closed' && bus.reason) tell(bus.reason);
  });
  function recall() {
    timed.recall().catch(() => undefined); // Without history the chat begins with what comes.
  }
  recall();
  if (bus.name) bus.join();

  watch(open, (isOpen) => {
    if (isOpen) unread.value = 0;
  });
  const nudge = () => bus.nudge();
  addEventListener('online', nudge);
  onBeforeUnmount(() => {
    removeEventListener('online', nudge);
    clearTimeout(noteTimer);
    timed.close();
    bus.close();
  });

  /** @param {string} typed @returns {boolean} whether it was sent */
  function say(typed) {
    const text = typed.trim();
    if (text === '') return false;
    const id = bus.say('CHAT', text);
    if (id === '') {
      tell('There is no connection to the venue at the moment.');
      return false;
    }
    if (said.size > 50) said.clear();
    said.set(id, text);
    note.value = '';
    return true;
  }
  function rename(/** @type {string} */ typed) {
    name.value = nameOf(typed);
    write('localStorage', NAME, name.value);
    if (name.value) bus.join(name.value);
  }
  async function remove(/** @type {number} */ seq) {
    const address = `/api/spaces/${encodeURIComponent(space)}/messages/${seq}`;
    const answer = await fetch(address, { method: 'DELETE', headers: authorization(token), signal: withTimeout(undefined, DELETE_MAX_MS) }).catch(() => null);
    if (answer?.ok || answer?.status === 404) {
      if (log.remove({ seq, id: '' })) refresh();
    } else {
      tell(answer?.status === 401 || answer?.status === 403 ? 'Only moderators can delete messages.' : 'The message could not be deleted. Try again.');
    }
  }

  return {
    lines, name, state, here, note, hearts, unread, returned,
    connected: computed(() => state.value === 'open'),
    mayDelete: token !== '' && (hint.role ?? 'moderator') === 'moderator',
    say, rename, remove,
    like: (/** @type {string} */ id) => bus.say('LIKE', id),
    heart: () => bus.say('HEART'),
  };
}
