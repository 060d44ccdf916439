/**
 * Meeting in a space: the lobby, the room, and what comes after.
 * @module
 */
import { computed, onBeforeUnmount, onMounted, ref, watch, watchEffect } from 'vue';
import { useConference } from '../composables/use-conference.js';
import { useMeetSettings } from '../composables/use-meet-settings.js';
import { useOwnMedia } from '../composables/use-own-media.js';
import { read, write } from '../lib/keep.js';
import { endingOf } from '../lib/meet-words.js';
import { hintOf, keepToken, takeToken } from '../lib/meet-token.js';
import { MeetEnding } from './meet-ending.js';
import { MeetLobby } from './meet-lobby.js';
import { MeetRoom } from './meet-room.js';

const OVER = new Set(['left', 'removed', 'replaced', 'refused']);

const Meeting = {
  components: { MeetEnding, MeetLobby, MeetRoom },
  props: { space: { type: String, required: true } },
  setup(props) {
    const settings = useMeetSettings();
    const media = useOwnMedia(settings);
    const conference = useConference(props.space);
    const token = ref(takeToken(props.space));
    const hint = computed(() => hintOf(token.value));
    /** Whether a person went back from an ending to the lobby. */
    const isBack = ref(false);

    const ending = computed(() => {
      const { state, error } = conference;
      if (OVER.has(state.value)) return endingOf(state.value, error.value, { hasToken: token.value !== '' });
      // A full room is waited for; so is a venue that restarts, or is not reached.
      if (state.value === 'joining' && conference.retryAt.value !== null) return endingOf('refused', error.value ?? { code: 'unreachable' });
      return null;
    });
    const place = computed(() => {
      if (conference.inside.value) return 'room';
      if (!ending.value || isBack.value || ending.value.next === 'key') return 'lobby';
      return 'ending';
    });

    let last = { name: '', key: '' };
    async function join(as = last) {
      last = as;
      isBack.value = false;
      if (as.key) {
        token.value = as.key;
        keepToken(props.space, as.key);
      }
      await conference.join({
        name: as.name || hint.value.name || settings.name.trim(), token: token.value, speaker: settings.speaker, music: settings.music,
        audio: media.audio.value, video: media.video.value, muted: { audio: !media.hears.value, video: media.video.value === null },
      });
    }
    async function again() {
      if (hint.value.role !== 'viewer') await media.start();
      await join();
    }
    function back() {
      isBack.value = true;
      if (conference.state.value === 'joining') conference.leave();
    }
    function leave() {
      conference.leave();
      media.close();
    }
    watchEffect(() => {
      // Whoever is out is not recorded any longer; who only waits keeps the picture.
      if (OVER.has(conference.state.value) && ending.value?.next !== 'key') media.close();
    });
    watchEffect(() => {
      document.title = `${place.value === 'room' ? `${conference.people.value.length} in ` : 'Meet in '}${props.space}`;
    });
    // A page that is loaded anew goes straight back to where it was.
    const inRoom = `proscenium.meet.${props.space}`;
    const wasInside = read('sessionStorage', inRoom) !== '' && performance.getEntriesByType('navigation')[0]?.type === 'reload' && (hint.value.name ?? settings.name.trim()) !== '';
    let isUnloading = false;
    watch(place, (now) => isUnloading || write('sessionStorage', inRoom, now === 'room' ? '1' : ''));
    const isReturning = ref(wasInside);
    onMounted(async () => {
      if (wasInside && (hint.value.role === 'viewer' || await media.isAllowed())) await again();
      isReturning.value = false;
    });

    const gone = new AbortController();
    addEventListener('pagehide', () => {
      isUnloading = true;
      conference.leave();
    }, { signal: gone.signal });
    onBeforeUnmount(() => gone.abort());

    return { settings, media, conference, hint, ending, place, isBack, isReturning, join, again, back, leave, joining: computed(() => conference.state.value === 'joining'), retryAt: conference.retryAt };
  },
  template: `
    <MeetRoom v-if="place === 'room'" :space="space" :conference="conference" :media="media" :settings="settings" :named="Boolean(hint.name)" @leave="leave" />
    <MeetEnding v-else-if="place === 'ending'" :key="ending.title" :space="space" :ending="ending" :retry-at="retryAt" @again="again" @lobby="back" />
    <main v-else-if="isReturning" class="ending"><p class="explain" role="status"><span class="spinner" aria-hidden="true"></span> Going back in</p></main>
    <MeetLobby v-else :space="space" :settings="settings" :media="media" :hint="hint" :joining="joining" :ending="isBack ? null : ending" @join="join" />`,
};

export const MeetPage = {
  components: { Meeting },
  props: { space: { type: String, default: null } },
  template: `
    <Meeting v-if="space" :space="space" />
    <main v-else class="ending"><div class="ending-card">
      <h1>There is no such space</h1>
      <p>A space is one word of letters, digits, hyphens, underscores and dots.</p>
      <p><a class="quiet-link" href="/">To the entrance</a></p>
    </div></main>`,
};
