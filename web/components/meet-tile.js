/**
 * One picture of the room: somebody's camera or screen, with what there is to know about it.
 * @module
 */
import { computed, ref, watch } from 'vue';
import { fitOf, PICTURE_ASPECT } from '../lib/meet-grid.js';
import { feedOf } from '../lib/meet-people.js';
import { hueOf, initials, tileLabel } from '../lib/meet-words.js';
import { Icon } from './icon.js';

export const MeetTile = {
  components: { Icon },
  props: {
    tile: { type: Object, required: true },
    box: { type: Object, required: true },
    /** What is shown; null while nothing has come. */
    track: { type: Object, default: null },
    /** Whether the venue sends it now. */
    state: { type: String, default: 'live' },
    large: { type: Boolean, default: false },
    speaking: { type: Boolean, default: false },
    dominant: { type: Boolean, default: false },
    quality: { type: String, default: 'Good' },
    pinned: { type: Boolean, default: false },
    silenced: { type: Boolean, default: false },
    /** The only person in the room. */
    alone: { type: Boolean, default: false },
  },
  emits: ['menu', 'pin', 'invite'],
  setup(props) {
    const element = ref(/** @type {HTMLVideoElement | null} */ (null));
    const aspect = ref(PICTURE_ASPECT);
    const isPlaying = ref(false);
    const place = computed(() => ({ width: `${props.box.width}px`, height: `${props.box.height}px`, transform: `translate(${props.box.x}px, ${props.box.y}px)` }));
    const isScreen = computed(() => props.tile.source === 'screen');
    const fit = computed(() => fitOf(aspect.value, props.box.width / props.box.height, isScreen.value || props.large));
    const shows = computed(() => props.tile.hasPicture && props.track !== null && props.state !== 'unsupported');
    const isMirrored = computed(() => props.tile.isSelf && props.track?.getSettings?.().facingMode !== 'environment');
    const face = computed(() => ({ '--hue': String(hueOf(props.tile.person.name)), '--face': `${Math.round(Math.min(props.box.width, props.box.height) * 0.4)}px` }));
    const label = computed(() => tileLabel(props.tile, { quality: props.quality, isSpeaking: props.speaking, isPinned: props.pinned, isSilenced: props.silenced }));
    const onAir = computed(() => Boolean(feedOf(props.tile.person, props.tile.source)?.stream));
    const why = computed(() => {
      if (!props.tile.hasPicture || props.tile.isSelf) return '';
      if (props.state === 'unsupported') return props.box.width < 190 ? 'No picture' : 'Picture not supported here';
      if (props.state === 'paused') return props.box.width < 190 ? 'Paused' : 'Picture paused';
      return '';
    });

    watch([element, () => (shows.value ? props.track : null)], ([video, track]) => {
      if (!video) return;
      isPlaying.value = false;
      video.srcObject = track ? new MediaStream([track]) : null;
      if (track) video.play().catch(() => {}); // Silent pictures may play anywhere; a browser that saves power shows the first one.
    }, { flush: 'post' });
    const measure = () => {
      const video = element.value;
      if (video?.videoWidth) aspect.value = video.videoWidth / video.videoHeight;
    };
    const began = () => {
      isPlaying.value = true;
      measure();
    };
    return { element, isPlaying, place, isScreen, fit, shows, isMirrored, face, label, onAir, why, measure, began, initials };
  },
  template: `
    <li class="tile" :class="{ speaking, dominant, large, screen: isScreen, small: box.width < 190, tiny: box.height < 110 }" :style="place" :data-key="tile.key" :data-name="tile.person.name" @dblclick="$emit('pin')">
      <span class="hidden">{{ label }}</span>
      <div v-if="!isScreen" class="face" :style="face" aria-hidden="true"><span>{{ initials(tile.person.name) }}</span></div>
      <video ref="element" muted autoplay playsinline disablepictureinpicture :class="[fit, { mirrored: isMirrored, seen: shows && isPlaying, still: state === 'paused' }]" aria-hidden="true" @loadeddata="began" @playing="began" @resize="measure"></video>
      <div v-if="alone" class="tile-words"><p>Nobody else is here yet.</p><button type="button" class="secondary slim" @click.stop="$emit('invite')"><Icon name="link" />Copy the link</button></div>
      <div class="tile-top" aria-hidden="true">
        <span v-if="tile.person.hand && !isScreen" class="chip hand"><Icon name="hand" /></span>
        <span v-if="quality !== 'Good' && !isScreen" class="chip quality" :class="quality.toLowerCase()"><span v-if="quality === 'Reconnecting'" class="spinner" aria-hidden="true"></span>{{ quality }}</span>
        <span v-if="why" class="chip why">{{ why }}</span>
        <span v-if="onAir" class="chip on-air"><Icon name="eye" /><template v-if="box.width >= 190">On the event page</template></span>
        <span v-if="pinned" class="chip"><Icon name="pin" /></span>
      </div>
      <button type="button" class="tile-menu" :aria-label="'Actions for ' + (isScreen ? 'the screen of ' : '') + tile.person.name" aria-haspopup="dialog" @click.stop="$emit('menu', $event.currentTarget)"><Icon name="more" /></button>
      <p class="tile-name" aria-hidden="true">
        <Icon v-if="isScreen" name="screen" /><Icon v-else-if="tile.isMuted" name="mic-off" />
        <span class="tile-name-text">{{ tile.person.name }}</span><span v-if="tile.isSelf" class="you">(you)</span>
        <Icon v-if="silenced" name="muted" />
      </p>
    </li>`,
};
