/**
 * The event page over the picture. What only HLS or films need is loaded with the first of them.
 * @module
 */
import { computed, defineAsyncComponent, nextTick, ref, watch } from 'vue';
import { useFullScreen } from '../composables/use-full-screen.js';
import { useKeys } from '../composables/use-keys.js';
import { usePlayback } from '../composables/use-playback.js';
import { useQuiet } from '../composables/use-quiet.js';
import { useRecordings } from '../composables/use-recordings.js';
import { useSmallWindow } from '../composables/use-small-window.js';
import { useTelevision } from '../composables/use-television.js';
import { useViewer } from '../composables/use-viewer.js';
import { read, write } from '../lib/keep.js';
import { behindText } from '../lib/moments.js';
import { CAMERAS_MAX } from '../lib/names.js';
import { CameraButtons } from './camera-buttons.js';
import { Icon } from './icon.js';
import { StageStatus } from './stage-status.js';

/** Whether the chat is open, for a reload. */
const CHAT_OPEN = 'proscenium.chat';

/** How far the arrow keys go, in seconds. */
const SKIP_S = 10;

const ChatPanel = defineAsyncComponent(() => import('./chat-panel.js').then((module) => module.ChatPanel));
const PlaybackTimeline = defineAsyncComponent(() => import('./playback-timeline.js').then((module) => module.PlaybackTimeline));
const PlaybackSettings = defineAsyncComponent(() => import('./playback-settings.js').then((module) => module.PlaybackSettings));
const RecordingShelf = defineAsyncComponent(() => import('./recording-shelf.js').then((module) => module.RecordingShelf));

/** What the keys do, for those who look. */
const KEYS = [
  { key: 'Space', label: 'Pause or play, also K' },
  { key: '← →', label: `${SKIP_S} s back or forward` },
  { key: 'L', label: 'Back to live' },
  { key: 'M', label: 'Sound on or off' },
  { key: 'F', label: 'Full screen' },
  { key: 'P', label: 'Picture in picture' },
  { key: 'T', label: 'Chat' },
  { key: 'C', label: 'Captions on or off' },
  { key: `1–${CAMERAS_MAX}`, label: 'Choose a camera' },
];

export const EventPage = {
  components: { CameraButtons, ChatPanel, Icon, PlaybackSettings, PlaybackTimeline, RecordingShelf, StageStatus },
  props: {
    space: { type: String, default: null },
    screen: { type: Object, required: true },
    stage: { type: Object, required: true },
    viewer: { type: Object, default: null },
  },
  setup(props) {
    const { snapshot, status, notice, choose, retry, toggleSound, togglePause, resume, skip, use, play, leaveFilm } = useViewer(props);
    const { timeline, tracks, readQualities, seek, goLive, chooseLevel, chooseCaption } = usePlayback(props.viewer);
    const recordings = useRecordings(props.space, props.viewer?.token ?? '', { status, snapshot });
    const fullScreen = useFullScreen(props.stage, () => props.screen.element);
    const smallWindow = useSmallWindow(props.stage, props.screen);
    const television = useTelevision(props.stage, props.screen);
    const panel = ref(/** @type {'' | 'settings' | 'recordings'} */ (''));
    const settingsButton = ref(/** @type {HTMLElement | null} */ (null));

    /** Whether the chat is seen, and whether it was: from then on it stays connected. */
    const chatOpen = ref(props.space !== null && read('sessionStorage', CHAT_OPEN) === 'yes');
    const chatUsed = ref(chatOpen.value);
    const unread = ref(0);
    const chatButton = ref(/** @type {HTMLElement | null} */ (null));

    const live = computed(() => status.value.kind === 'live');
    /** Whether there is something to control: what is interrupted keeps its controls. */
    const running = computed(() => live.value || (snapshot.value.hasPicture && !status.value.over));
    const dark = computed(() => ['waiting', 'ended', 'dark'].includes(status.value.kind));
    const quiet = useQuiet(props.stage, () => live.value && !snapshot.value.blocked && !snapshot.value.held && panel.value === '' && timeline.value?.ended !== true);
    const film = computed(() => recordings.all.value.find(({ id }) => id === snapshot.value.recording) ?? null);
    // While nothing is performed, who came early can meet.
    const meets = computed(() => props.space !== null && (status.value.kind === 'waiting' || status.value.kind === 'ended'));
    // Without a stream that anybody could choose between, buttons would only be in the way.
    const cameras = computed(() => (snapshot.value.streams.length > 1 ? snapshot.value.streams : []));
    /** Words for where the picture is; empty without delay. */
    const behind = computed(() => (snapshot.value.way === 'hls' && timeline.value && timeline.value.view !== 'recording' ? behindText(timeline.value.latency_s) : ''));
    const atLive = computed(() => snapshot.value.way === 'webrtc' || timeline.value?.live !== false);
    /** Whether what is seen by WebRTC is the slate. */
    const away = computed(() => snapshot.value.way === 'webrtc' && snapshot.value.streams.some(({ name, slate }) => slate && name === snapshot.value.stream));
    const stageIsLive = computed(() => snapshot.value.streams.some((stream) => stream.live));

    const open = (/** @type {typeof panel.value} */ name) => {
      panel.value = panel.value === name ? '' : name;
      if (panel.value === 'recordings') recordings.load();
      if (panel.value === 'settings') readQualities();
    };
    function playFilm(recording) {
      panel.value = '';
      play(recording);
    }
    function toggleCaptions() {
      const { captions, caption } = tracks.value;
      if (captions.length > 0) chooseCaption(caption < 0 ? captions[0].id : -1);
    }
    const switchWay = () => use((snapshot.value.switching ?? snapshot.value.way) === 'hls' ? 'webrtc' : 'hls');

    function toggleChat() {
      if (!props.space) return;
      chatOpen.value = !chatOpen.value;
      chatUsed.value ||= chatOpen.value;
      write('sessionStorage', CHAT_OPEN, chatOpen.value ? 'yes' : '');
      if (!chatOpen.value) nextTick(() => chatButton.value?.focus());
    }
    watch(chatOpen, (open) => props.stage.classList.toggle('with-chat', open), { immediate: true });

    useKeys({
      ' ': togglePause,
      k: togglePause,
      arrowleft: () => skip(-SKIP_S),
      arrowright: () => skip(SKIP_S),
      l: goLive,
      m: toggleSound,
      f: fullScreen.toggle,
      p: smallWindow.toggle,
      c: toggleCaptions,
      t: toggleChat,
      '?': () => running.value && open('settings'),
      ...Object.fromEntries(Array.from({ length: CAMERAS_MAX }, (_, place) => [String(place + 1), () => {
        const camera = cameras.value[place];
        if (camera) choose(camera.name);
      }])),
    });

    return {
      snapshot, status, notice, live, running, dark, meets, quiet, cameras, film, behind, atLive, away, stageIsLive, timeline, tracks, recordings, panel, settingsButton, chatOpen, chatUsed, chatButton, unread, toggleChat, fullScreen, smallWindow, television, KEYS,
      finished: recordings.finished, offer: recordings.offer, isRecording: recordings.isRecording, recordProblem: recordings.problem, televisionThere: television.available,
      choose, retry, toggleSound, togglePause, resume, use, switchWay, seek, goLive, chooseLevel, chooseCaption, toggleCaptions, open, playFilm, leaveFilm,
    };
  },
  template: `
    <header class="top" :class="{ quiet }">
      <h1 class="title">{{ space ?? 'Proscenium' }}</h1>
      <a v-if="meets" class="badge meet-link" :href="'/' + encodeURIComponent(space) + '/meet'">Meet the others</a>
      <button v-if="snapshot.recording" type="button" class="badge top-button" @click="leaveFilm"><span v-if="stageIsLive" class="lamp"></span>{{ stageIsLive ? 'To the live stage' : 'Close the recording' }}</button>
      <p v-else-if="live" class="badge live" :class="{ late: !atLive }"><template v-if="away">Back in a moment</template><template v-else-if="atLive"><span class="lamp"></span>Live</template><span v-if="behind" :class="{ soft: atLive }">{{ behind }}</span></p>
      <p v-if="snapshot.viewers > 0 && !snapshot.recording" class="badge audience" :aria-label="snapshot.viewers === 1 ? '1 person is watching' : snapshot.viewers + ' people are watching'">
        <Icon name="eye" />{{ snapshot.viewers.toLocaleString('en') }}
      </p>
      <button v-if="finished.length > 0 && !dark" type="button" class="badge top-button" :aria-expanded="panel === 'recordings'" @click="open('recordings')"><Icon name="film" /><span class="spoken">Recordings</span></button>
      <button v-if="recordings.mayRecord && running && snapshot.ways.hls && !snapshot.recording" type="button" class="badge top-button record" :aria-pressed="isRecording" :disabled="recordings.busy.value" @click="recordings.toggle">
        <Icon name="record" />{{ isRecording ? 'Recording' : 'Record' }}</button>
      <button v-if="space" ref="chatButton" type="button" class="badge top-button chat-button" :aria-expanded="chatOpen" title="Chat (t)" @click="toggleChat"><Icon name="chat" /><span class="spoken">Chat</span>
        <span v-if="unread > 0 && !chatOpen" class="unread"><span aria-hidden="true">{{ unread > 99 ? '99+' : unread }}</span><span class="hidden">, {{ unread }} new</span></span></button>
    </header>

    <StageStatus :status="status" @retry="retry">
      <button v-if="offer" type="button" class="primary" @click="playFilm(offer)"><Icon name="play" />Watch it again</button>
    </StageStatus>
    <p v-if="notice || recordProblem" class="note" role="status">{{ notice || recordProblem }}</p>
    <p v-else-if="live && !snapshot.canSeePicture" class="note">This browser has the sound, but not the video format of this performance.</p>
    <p v-else-if="live && snapshot.soundOnly" class="sound-only"><Icon name="sound" />Sound only</p>

    <button v-if="live && snapshot.blocked" type="button" class="primary invite" @click="resume"><Icon name="play" />Play</button>
    <button v-else-if="live && snapshot.muted && panel === ''" type="button" class="primary invite" @click="toggleSound"><Icon name="muted" />Turn on sound</button>

    <RecordingShelf v-if="(dark || panel === 'recordings') && finished.length > 0" :recordings="finished" :closable="!dark" :playing="snapshot.recording" @play="playFilm" @close="panel = ''" />

    <footer class="controls" :class="{ quiet }">
      <PlaybackTimeline v-if="running && timeline" :timeline="timeline" :stream="snapshot.stream" :recordings="recordings.all.value" :film="film"
        @seek="seek" @pause="togglePause" @resume="togglePause" @live="goLive" @look="recordings.load()" />
      <CameraButtons v-if="cameras.length > 0 && !snapshot.recording" :streams="cameras" :chosen="snapshot.stream" @choose="choose" />
      <div class="switches" v-show="running">
        <button v-if="snapshot.ways.webrtc && snapshot.ways.hls && !snapshot.recording" type="button" class="way" :aria-busy="snapshot.switching !== null" @click="switchWay"
          :title="snapshot.way === 'hls' ? 'Watch without delay, without rewind' : 'Watch some seconds behind, with pause and rewind'">
          <span v-if="snapshot.switching" class="spinner" aria-hidden="true"></span><Icon v-else :name="snapshot.way === 'hls' ? 'bolt' : 'rewind'" />{{ snapshot.way === 'hls' ? 'No delay' : 'With rewind' }}</button>
        <button v-if="tracks.captions.length > 0" type="button" class="round" :aria-pressed="tracks.caption >= 0" :aria-label="tracks.caption >= 0 ? 'Captions off' : 'Captions on'"
          title="Captions (c)" @click="toggleCaptions"><Icon name="captions" /></button>
        <button ref="settingsButton" type="button" class="round" aria-haspopup="dialog" aria-label="Quality and keys" title="Quality and keys (?)" @click="open('settings')"><Icon name="settings" /></button>
        <button v-if="televisionThere" type="button" class="round roomy" aria-label="Show on a television" title="Show on a television" @click="television.choose"><Icon :name="television.icon" /></button>
        <button v-if="smallWindow.possible" type="button" class="round roomy" :aria-pressed="smallWindow.on.value" aria-label="Picture in picture" title="Picture in picture (p)" @click="smallWindow.toggle"><Icon name="small-window" /></button>
        <button type="button" class="round" :aria-pressed="!snapshot.muted" :aria-label="snapshot.muted ? 'Turn on sound' : 'Turn off sound'"
          :title="snapshot.muted ? 'Sound on (m)' : 'Sound off (m)'" @click="toggleSound"><Icon :name="snapshot.muted ? 'muted' : 'sound'" /></button>
        <button v-if="fullScreen.possible" type="button" class="round" :aria-pressed="fullScreen.on.value"
          :aria-label="fullScreen.on.value ? 'Leave full screen' : 'Full screen'" :title="fullScreen.on.value ? 'Leave full screen (f)' : 'Full screen (f)'"
          @click="fullScreen.toggle"><Icon :name="fullScreen.on.value ? 'reduce' : 'enlarge'" /></button>
      </div>
    </footer>
    <ChatPanel v-if="chatUsed" :space="space" :viewer="viewer" :open="chatOpen" @close="toggleChat" @unread="(count) => { unread = count; }" />
    <PlaybackSettings v-if="panel === 'settings'" :anchor="settingsButton" :tracks="tracks" :keys="KEYS" :small-window="smallWindow" :television="television"
      @close="panel = ''" @level="chooseLevel" @caption="chooseCaption" />`,
};
