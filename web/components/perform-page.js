/**
 * The performer's page: see and hear oneself, choose, go live.
 * @module
 */
import { computed } from 'vue';
import { useMedia } from '../composables/use-media.js';
import { usePerformance } from '../composables/use-performance.js';
import { useSettings } from '../composables/use-settings.js';
import { useSpace } from '../composables/use-space.js';
import { useWakeLock } from '../composables/use-wake-lock.js';
import { labelOfStream } from '../lib/names.js';
import { advice, vitals } from '../lib/performance.js';
import { OwnPicture } from './own-picture.js';
import { PerformSettings } from './perform-settings.js';

const Room = {
  components: { OwnPicture, PerformSettings },
  props: { space: { type: String, required: true } },
  setup(props) {
    const settings = useSettings(props.space);
    const media = useMedia(settings);
    const { space: known, reachable } = useSpace(props.space);
    const streams = computed(() => known.value?.streams ?? []);
    const isBackup = new URLSearchParams(location.search).has('backup');
    const performance = usePerformance(props.space, settings, media, { isBackup, streams });
    useWakeLock(() => performance.on.value);

    const cameras = computed(() => known.value?.cameras ?? []);
    const viewers = computed(() => streams.value.find(({ name }) => name === settings.stream)?.viewers ?? 0);
    const figures = computed(() => vitals(performance.summary.value, viewers.value, performance.live_ms.value));
    /** What the venue finds wrong, of every camera: who looks after the show looks here. */
    const troubles = computed(() => streams.value.flatMap(({ name, trouble }) => trouble.map(({ code, text }) => ({ key: `${name} ${code}`, text: `${labelOfStream(name)}: ${text}` }))));
    const hint = computed(() => advice(performance.summary.value, performance.live_ms.value));
    const ready = computed(() => media.video.value !== null || media.audio.value !== null);
    const asksForKey = computed(() => performance.report.value.title.includes('key'));
    return { settings, ...media, ...performance, streams, cameras, reachable, figures, troubles, hint, ready, asksForKey, isBackup };
  },
  template: `
    <header class="masthead">
      <div>
        <p class="kicker">{{ isBackup ? 'Stand by in' : 'Perform in' }}</p>
        <h1 class="title">{{ space }}</h1>
      </div>
      <p class="doors">
        <a class="quiet-link" :href="'/' + encodeURIComponent(space) + '/meet'" target="_blank" rel="noopener">Meet in this space</a>
        <a class="quiet-link" :href="'/' + encodeURIComponent(space)" target="_blank" rel="noopener">Open the audience’s page</a>
      </p>
    </header>

    <main class="room" :data-state="state">
      <section class="front" aria-label="Your picture">
        <OwnPicture :video="video" :audio="audio" :problem="problem" :possible="possible" :opening="opening" :screen="settings.source === 'screen'" @start="start" />
        <div class="curtain" :class="report.kind">
          <div class="report" role="status" aria-live="polite">
            <p class="report-title"><span class="lamp" :class="{ off: report.kind === 'off' }"></span>{{ report.title }}</p>
            <p class="report-text">{{ !on && !reachable ? 'The venue cannot be reached at the moment.' : report.text }}</p>
          </div>
          <button v-if="on" type="button" class="stop" @click="stop()">Stop</button>
          <button v-else type="button" class="primary" :disabled="!ready" @click="goLive">{{ isBackup ? 'Stand by' : 'Go live' }}</button>
        </div>
        <dl class="vitals" :class="{ off: state !== 'live' }" aria-label="How the performance is doing">
          <div v-for="figure in figures" :key="figure.label" :class="{ bad: figure.bad }"><dt>{{ figure.label }}</dt><dd>{{ figure.value }}</dd></div>
        </dl>
        <p v-for="trouble in troubles" :key="trouble.key" class="advice" role="status" data-trouble>{{ trouble.text }}</p>
        <p class="advice" role="status">{{ hint }}</p>
        <p v-for="camera in cameras" :key="camera.stream" class="advice" role="status">The IP camera “{{ camera.stream }}” does not play: {{ camera.trouble }}.</p>
      </section>
      <PerformSettings :settings="settings" :devices="devices" :streams="streams" :on="on" :open="open" :asks-for-key="asksForKey" />
    </main>`,
};

export const PerformPage = {
  components: { Room },
  props: { space: { type: String, default: null } },
  template: `
    <Room v-if="space" :space="space" />
    <main v-else class="nowhere">
      <h1>There is no such space</h1>
      <p>A space is one word of letters, digits, hyphens, underscores and dots.</p>
      <p><a href="/">To the entrance</a></p>
    </main>`,
};
