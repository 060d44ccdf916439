/** @module */
import { computed, onBeforeUnmount, ref, watch } from 'vue';
import { arrange } from '../lib/meet-grid.js';
import { TileOrder } from '../lib/meet-order.js';
import { keyOf, tilesOf, wanted } from '../lib/meet-people.js';

/** How often it is looked who still speaks, in ms. */
const LISTEN_MS = 400;
/** How long a page is out of sight before its pictures are no longer asked for, in ms. */
const UNSEEN_MS = 8_000;
/** Between two tiles, in CSS pixels: on a phone, elsewhere. */
const GAPS = [6, 10];

/**
 * Which tiles are on the screen, where, and in which order; and what is therefore asked of the venue.
 * @param {ReturnType<typeof import('./use-conference.js').useConference>} conference
 * @param {{width: import('vue').Ref<number>, height: import('vue').Ref<number>, density: import('vue').Ref<number>}} stage
 */
export function useTiles(conference, { width, height, density }) {
  const order = new TileOrder();
  const ordered = ref(/** @type {string[]} */ ([]));
  const page = ref(0);
  /** The tile that a person chose to see large. */
  const pinned = ref(/** @type {string | null} */ (null));
  /** The screen that a person no longer wants to see large. */
  const declined = ref(/** @type {string | null} */ (null));

  const groups = computed(() => tilesOf(conference.people.value, conference.selfId.value, conference.room.value.stage_only === true));
  const tiles = computed(() => [...groups.value.screens, ...groups.value.cameras]);
  const byKey = computed(() => new Map(tiles.value.map((tile) => [tile.key, tile])));
  const isPinned = computed(() => pinned.value !== null && byKey.value.has(pinned.value));
  const large = computed(() => {
    if (isPinned.value) return pinned.value;
    const newest = groups.value.screens.at(-1)?.key ?? null;
    return newest === declined.value ? null : newest;
  });
  const gap = computed(() => GAPS[width.value < 620 || height.value < 420 ? 0 : 1]);

  const dominant = computed(() => conference.speakers.value.dominant);
  const speaking = computed(() => new Set(conference.speakers.value.active.map(({ id }) => id)));

  const arrangement = computed(() => arrange({
    width: width.value, height: height.value, gap: gap.value, large: large.value, page: page.value,
    most: conference.limits.value.video_slots ?? 49,
    keys: ordered.value.filter((key) => key !== large.value && byKey.value.has(key)),
  }));
  const shown = computed(() => tiles.value.filter(({ key }) => arrangement.value.boxes.has(key)));
  const hiddenCount = computed(() => tiles.value.length - shown.value.length);

  function reorder() {
    const self = conference.selfId.value;
    // A large tile keeps its place in the order, so that unpinning moves nobody; the row beside it is one tile shorter for that.
    const seen = Math.max(1, arrangement.value.perPage || Infinity);
    const hands = groups.value.cameras.filter(({ person }) => person.hand).slice(0, 3);
    const next = order.update(performance.now(), tiles.value.map(({ key }) => key), {
      seen,
      kept: new Set([self && keyOf(self, 'camera'), large.value, ...groups.value.screens.map(({ key }) => key)].filter(Boolean)),
      called: new Set(hands.map(({ key }) => key)),
    });
    if (next.length !== ordered.value.length || next.some((key, place) => key !== ordered.value[place])) ordered.value = next;
  }

  function listen() {
    if (conference.speakers.value.active.length === 0) return;
    order.heard(performance.now(), [...speaking.value].map((id) => keyOf(id, 'camera')));
    if (arrangement.value.pages > 1) reorder();
  }

  watch([tiles, large], reorder, { immediate: true });
  watch(() => arrangement.value.perPage, reorder, { flush: 'post' });
  watch(conference.speakers, listen);
  const timer = setInterval(listen, LISTEN_MS);
  watch(() => arrangement.value.page, (now) => {
    page.value = now;
  });

  const isUnseen = ref(false);
  let unseenTimer;
  const look = () => {
    clearTimeout(unseenTimer);
    if (document.hidden) unseenTimer = setTimeout(() => { isUnseen.value = true; }, UNSEEN_MS);
    else isUnseen.value = false;
  };
  document.addEventListener('visibilitychange', look);

  watch(() => (isUnseen.value ? [] : wanted({
    tiles: shown.value, boxes: arrangement.value.boxes, large: large.value, isPinned: isPinned.value, dominant: dominant.value, density: density.value,
  })), (list) => conference.act('watch', list), { immediate: true });

  onBeforeUnmount(() => {
    clearInterval(timer);
    clearTimeout(unseenTimer);
    document.removeEventListener('visibilitychange', look);
  });

  function togglePin(/** @type {string} */ key) {
    if (pinned.value === key) {
      pinned.value = null;
      return;
    }
    // Whoever does not want the screen large sees the grid.
    if (large.value === key && !isPinned.value) {
      declined.value = key;
      return;
    }
    declined.value = null;
    pinned.value = key;
  }

  return {
    tiles, byKey, shown, groups, arrangement, hiddenCount, large, isPinned, pinned, dominant, speaking, page, togglePin,
    turn(/** @type {number} */ by) {
      page.value = Math.min(arrangement.value.pages - 1, Math.max(0, arrangement.value.page + by));
    },
  };
}
