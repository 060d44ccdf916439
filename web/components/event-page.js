/**
 * The event page over the picture.
 * @module
 */
import { computed } from 'vue';
import { useFullScreen } from '../composables/use-full-screen.js';
import { useKeys } from '../composables/use-keys.js';
import { useQuiet } from '../composables/use-quiet.js';
import { useViewer } from '../composables/use-viewer.js';
import { CAMERAS_MAX } from '../lib/names.js';
import { CameraButtons } from './camera-buttons.js';
import { Icon } from './icon.js';
import { StageStatus } from './stage-status.js';

export const EventPage = {
  components: { CameraButtons, Icon, StageStatus },
  props: {
    space: { type: String, default: null },
    screen: { type: Object, required: true },
    stage: { type: Object, required: true },
    viewer: { type: Object, default: null },
  },
  setup(props) {
    const { snapshot, status, choose, retry, toggleSound, resume } = useViewer(props);
    const fullScreen = useFullScreen(props.stage, () => props.screen.element);
    const live = computed(() => status.value.kind === 'live');
    const quiet = useQuiet(props.stage, () => live.value && !snapshot.value.blocked);
    // While nothing is performed, who came early can meet.
    const meets = computed(() => props.space !== null && (status.value.kind === 'waiting' || status.value.kind === 'ended'));
    // Without a stream that anybody could choose between, buttons would only be in the way.
    const cameras = computed(() => (snapshot.value.streams.length > 1 ? snapshot.value.streams : []));

    useKeys({
      m: toggleSound,
      f: fullScreen.toggle,
      ...Object.fromEntries(Array.from({ length: CAMERAS_MAX }, (_, place) => [String(place + 1), () => {
        const camera = cameras.value[place];
        if (camera) choose(camera.name);
      }])),
    });

    return { snapshot, status, live, meets, quiet, cameras, choose, retry, toggleSound, resume, fullScreen };
  },
  template: `
    <header class="top" :class="{ quiet }">
      <h1 class="title">{{ space ?? 'Proscenium' }}</h1>
      <a v-if="meets" class="badge meet-link" :href="'/' + encodeURIComponent(space) + '/meet'">Meet the others</a>
      <p v-if="live" class="badge live"><span class="lamp"></span>Live</p>
      <p v-if="snapshot.viewers > 0" class="badge audience" :aria-label="snapshot.viewers === 1 ? '1 person is watching' : snapshot.viewers + ' people are watching'">
        <Icon name="eye" />{{ snapshot.viewers.toLocaleString('en') }}
      </p>
    </header>

    <StageStatus :status="status" @retry="retry" />
    <p v-if="live && !snapshot.canSeePicture" class="note">This browser has the sound, but not the video format of this performance.</p>
    <p v-else-if="live && snapshot.soundOnly" class="sound-only"><Icon name="sound" />Sound only</p>

    <button v-if="live && snapshot.blocked" type="button" class="primary invite" @click="resume"><Icon name="play" />Play</button>
    <button v-else-if="live && snapshot.muted" type="button" class="primary invite" @click="toggleSound"><Icon name="muted" />Turn on sound</button>

    <footer class="controls" :class="{ quiet }">
      <CameraButtons v-if="cameras.length > 0" :streams="cameras" :chosen="snapshot.stream" @choose="choose" />
      <div class="switches" v-show="live">
        <button type="button" class="round" :aria-pressed="!snapshot.muted" :aria-label="snapshot.muted ? 'Turn on sound' : 'Turn off sound'"
          :title="snapshot.muted ? 'Sound on (m)' : 'Sound off (m)'" @click="toggleSound"><Icon :name="snapshot.muted ? 'muted' : 'sound'" /></button>
        <button v-if="fullScreen.possible" type="button" class="round" :aria-pressed="fullScreen.on.value"
          :aria-label="fullScreen.on.value ? 'Leave full screen' : 'Full screen'" :title="fullScreen.on.value ? 'Leave full screen (f)' : 'Full screen (f)'"
          @click="fullScreen.toggle"><Icon :name="fullScreen.on.value ? 'reduce' : 'enlarge'" /></button>
      </div>
    </footer>`,
};
