/**
 * The pictures of everybody who is on the screen, and the way to the others.
 * @module
 */
import { computed, ref } from 'vue';
import { moreWord, qualityWord } from '../lib/meet-words.js';
import { Icon } from './icon.js';
import { MeetTile } from './meet-tile.js';

/** How far a finger moves before it turns the page, in CSS pixels. */
const SWIPE_MIN = 60;

export const MeetStage = {
  components: { Icon, MeetTile },
  props: {
    conference: { type: Object, required: true },
    tiles: { type: Object, required: true },
    ownVideo: { type: Object, default: null },
    silenced: { type: Object, required: true },
  },
  emits: ['menu', 'focus', 'invite'],
  setup(props) {
    const { conference, tiles } = props;
    const seen = computed(() => tiles.shown.value.map((tile) => {
      const slot = tile.isSelf ? null : conference.trackOf(tile.id, tile.source, 'video');
      return {
        tile, box: tiles.arrangement.value.boxes.get(tile.key),
        track: tile.isSelf ? props.ownVideo : slot?.track ?? null, state: slot?.state ?? 'live',
        large: tile.key === tiles.large.value, pinned: tile.key === tiles.pinned.value,
        speaking: tile.source === 'camera' && tiles.speaking.value.has(tile.id), dominant: tile.source === 'camera' && tile.id === tiles.dominant.value,
        quality: qualityWord(conference.quality.value.get(tile.id), tile.person.reachable !== false), silenced: props.silenced.has(tile.id),
      };
    }));
    const pager = computed(() => {
      const { pager: box, page, pages } = tiles.arrangement.value;
      return box && { page, pages, isSlim: box.width < 200, style: { left: `${box.x}px`, top: `${box.y}px`, width: `${box.width}px`, height: `${box.height}px` }, more: moreWord(tiles.hiddenCount.value) };
    });
    const alone = computed(() => conference.people.value.length === 1);

    const start = ref(/** @type {{x: number, y: number} | null} */ (null));
    const press = (/** @type {PointerEvent} */ event) => {
      start.value = event.pointerType === 'touch' ? { x: event.clientX, y: event.clientY } : null;
    };
    const release = (/** @type {PointerEvent} */ event) => {
      if (!start.value) return;
      const x = event.clientX - start.value.x;
      if (Math.abs(x) > SWIPE_MIN && Math.abs(event.clientY - start.value.y) < Math.abs(x) / 2) tiles.turn(x < 0 ? 1 : -1);
      start.value = null;
    };
    return { seen, pager, alone, press, release, turn: tiles.turn, togglePin: tiles.togglePin };
  },
  template: `
    <div class="stage" @pointerdown="press" @pointerup="release">
      <ul class="tiles" aria-label="People on stage">
        <MeetTile v-for="entry in seen" :key="entry.tile.key" v-bind="entry" :alone="alone" @menu="$emit('menu', entry.tile, $event)" @pin="togglePin(entry.tile.key)" @invite="$emit('invite')"
          @pointerenter="$emit('focus', entry.tile.key)" @pointerleave="$emit('focus', null)" />
      </ul>
      <nav v-if="pager" class="pager" :class="{ slim: pager.isSlim }" :style="pager.style" aria-label="Pages of people">
        <button type="button" class="round" :disabled="pager.page === 0" aria-label="The people before" @click="turn(-1)"><Icon name="before" /></button>
        <p role="status"><span :class="pager.isSlim ? 'hidden' : 'pager-more'">{{ pager.more }}</span><span class="pager-place">{{ pager.page + 1 }}{{ pager.isSlim ? '/' : ' of ' }}{{ pager.pages }}</span></p>
        <button type="button" class="round" :disabled="pager.page === pager.pages - 1" aria-label="The next people" @click="turn(1)"><Icon name="after" /></button>
      </nav>
    </div>`,
};
