/**
 * The recordings of a space, side by side.
 * @module
 */
import { computed } from 'vue';
import { durationWords } from '../lib/moments.js';
import { labelOfStream } from '../lib/names.js';
import { bytesText, posterOf } from '../lib/recordings.js';
import { clockText } from '../lib/words.js';
import { Icon } from './icon.js';

const dates = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const times = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

export const RecordingShelf = {
  components: { Icon },
  props: {
    /** Finished ones, the newest first. */
    recordings: { type: Array, required: true },
    /** Whether it can be closed: it lies over a live stage. */
    closable: { type: Boolean, default: false },
    /** The id of what plays. */
    playing: { type: String, default: null },
  },
  emits: ['play', 'close'],
  setup(props) {
    const films = computed(() => {
      const streams = [...new Set(props.recordings.map(({ stream }) => stream))];
      return props.recordings.map((recording) => {
        const { id, started, duration_s, stream, mp4, bytes } = recording;
        const camera = streams.length > 1 ? labelOfStream(stream, streams) : '';
        const date = dates.format(started);
        return {
          id, recording, mp4, camera, date, time: times.format(started), length: clockText(duration_s * 1000), size: bytesText(bytes), poster: posterOf(recording),
          label: `Play the recording of ${date}, ${times.format(started)}${camera ? `, ${camera}` : ''}, ${durationWords(duration_s)}`,
        };
      });
    });
    return { films };
  },
  template: `
    <section class="shelf" :class="{ closable }" aria-label="Recordings">
      <header class="shelf-head">
        <h2>Recordings</h2>
        <button v-if="closable" type="button" class="bare" aria-label="Close the recordings" @click="$emit('close')"><Icon name="close" /></button>
      </header>
      <ul class="films">
        <li v-for="film in films" :key="film.id" class="film" :class="{ playing: film.id === playing }">
          <button type="button" class="film-play" :aria-label="film.label" :aria-current="film.id === playing ? 'true' : undefined" @click="$emit('play', film.recording)">
            <img v-if="film.poster" :src="film.poster" alt="" loading="lazy" width="320" height="180">
            <span v-else class="film-blank"></span>
            <span class="film-sign"><Icon name="play" /></span>
            <span class="film-length">{{ film.length }}</span>
          </button>
          <div class="film-foot">
            <p><span class="film-date">{{ film.date }}</span><span class="soft">{{ [film.time, film.camera].filter(Boolean).join(' · ') }}</span></p>
            <a v-if="film.mp4" class="film-file" :href="film.mp4" download :aria-label="'Download the recording of ' + film.date + ' as MP4' + (film.size ? ', ' + film.size : '')"
              :title="'Download MP4' + (film.size ? ', ' + film.size : '')"><Icon name="download" /></a>
          </div>
        </li>
      </ul>
    </section>`,
};
