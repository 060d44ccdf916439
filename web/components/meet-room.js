/**
 * The room: everybody's pictures, one's own controls, and who else is there.
 * @module
 */
import { computed, onMounted, ref, watch } from 'vue';
import { useFullScreen } from '../composables/use-full-screen.js';
import { useKeys } from '../composables/use-keys.js';
import { useNotes } from '../composables/use-notes.js';
import { useRoom } from '../composables/use-room.js';
import { useSize } from '../composables/use-size.js';
import { useTiles } from '../composables/use-tiles.js';
import { useWakeLock } from '../composables/use-wake-lock.js';
import { copyLink } from '../lib/meet-link.js';
import { handsOf, keyOf } from '../lib/meet-people.js';
import { audienceWord, qualityAdvice, qualityWord } from '../lib/meet-words.js';
import { Icon } from './icon.js';
import { MeetBar } from './meet-bar.js';
import { MeetDialog } from './meet-dialog.js';
import { MeetMore } from './meet-more.js';
import { MeetPeople } from './meet-people.js';
import { MeetPersonMenu } from './meet-person-menu.js';
import { MeetStage } from './meet-stage.js';

export const MeetRoom = {
  components: { Icon, MeetBar, MeetDialog, MeetMore, MeetPeople, MeetPersonMenu, MeetStage },
  props: {
    space: { type: String, required: true },
    conference: { type: Object, required: true },
    media: { type: Object, required: true },
    settings: { type: Object, required: true },
    /** Whether the invitation says the name. */
    named: { type: Boolean, default: false },
  },
  emits: ['leave'],
  setup(props, { emit }) {
    const { conference, media, settings } = props;
    const heading = ref(/** @type {HTMLElement | null} */ (null));
    // Whoever does not see the page hears where they are now.
    onMounted(() => heading.value?.focus({ preventScroll: true }));
    const area = ref(/** @type {HTMLElement | null} */ (null));
    const { notes, say, drop } = useNotes();
    const room = useRoom(conference, media, settings, say);
    const tiles = useTiles(conference, useSize(area));
    const fullScreen = useFullScreen(document.documentElement, () => /** @type {any} */ (document.querySelector('.tile video')));
    useWakeLock(() => conference.inside.value);

    /** What is open over the room: `{kind: 'person', tile, anchor}`, `{kind: 'more', at, anchor}`. */
    const open = ref(/** @type {any} */ (null));
    const side = ref(/** @type {'people' | null} */ (null));
    const hovered = ref(/** @type {string | null} */ (null));

    const others = computed(() => handsOf(conference.people.value).filter(({ id }) => id !== conference.selfId.value).length);
    const self = conference.self;
    const ownQuality = computed(() => qualityWord(conference.quality.value.get(conference.selfId.value), self.value?.reachable !== false));
    const isInterrupted = computed(() => conference.state.value === 'reconnecting' || conference.media.value === 'interrupted');
    watch(ownQuality, (now) => {
      const advice = qualityAdvice(now);
      if (advice) say(advice);
    });
    // A menu follows what happens to the person it is about, and closes when they leave.
    const menuTile = computed(() => {
      if (open.value?.kind !== 'person') return null;
      const { key, id } = open.value;
      if (key) return tiles.byKey.value.get(key) ?? null;
      const person = conference.people.value.find((known) => known.id === id);
      return person ? { person, source: 'camera', isSelf: id === conference.selfId.value, key: null } : null;
    });

    function openPerson(person, anchor) {
      const key = keyOf(person.id, 'camera');
      open.value = { kind: 'person', id: person.id, key: tiles.byKey.value.has(key) ? key : null, anchor };
    }
    function pinByKey() {
      const focused = /** @type {HTMLElement | null} */ (document.activeElement?.closest('.tile'))?.dataset.key;
      const speaker = tiles.dominant.value && tiles.dominant.value !== conference.selfId.value ? keyOf(tiles.dominant.value, 'camera') : null;
      const key = focused ?? hovered.value ?? (tiles.isPinned.value ? tiles.pinned.value : speaker);
      if (key && tiles.byKey.value.has(key)) tiles.togglePin(key);
    }
    const whenFree = (act) => () => open.value === null && !room.isInvited.value && act();
    const whenOnStage = (act) => whenFree(() => room.canPublish.value && act());
    useKeys({
      m: whenOnStage(media.toggleMicrophone), v: whenOnStage(media.toggleCamera), s: whenOnStage(() => media.canShareScreen && room.toggleScreen()),
      h: whenFree(room.raiseHand), p: whenFree(pinByKey), f: whenFree(fullScreen.toggle),
      arrowleft: whenFree(() => tiles.turn(-1)), arrowright: whenFree(() => tiles.turn(1)),
      '?': whenFree(() => { open.value = { kind: 'more', at: 'keys', anchor: null }; }),
      escape: whenFree(() => { side.value = null; }),
    });

    return {
      heading, area, notes, drop, say, tiles, open, side, hovered, others, isInterrupted, menuTile, openPerson, fullScreen, self, audienceWord,
      ...room, groups: tiles.groups, people: conference.people, state: conference.state, roomState: conference.room, permissions: conference.permissions, isBlocked: conference.isBlocked,
      ownVideo: media.video, hears: media.hears, sharing: computed(() => media.screen.value !== null), problems: media.problems, devices: media.devices,
      togglePin: tiles.togglePin, pinned: tiles.pinned, act: conference.act,
      moderate: (action, fields) => conference.act('moderate', action, fields),
      rename(name) {
        settings.name = name;
        conference.act('rename', name);
      },
      invite: async () => say(await copyLink()),
      leave: () => emit('leave'),
    };
  },
  template: `
    <main class="room" :class="{ 'with-side': side }" :data-state="state">
      <header class="top">
        <h1 ref="heading" class="title" tabindex="-1">{{ space }}</h1>
        <p v-if="roomState.locked" class="badge"><Icon name="lock" />Locked</p>
        <p v-if="groups.audience.length > 0" class="badge" :aria-label="audienceWord(groups.audience.length)"><Icon name="eye" />{{ groups.audience.length.toLocaleString('en') }}</p>
        <button type="button" class="secondary slim people-button" :aria-expanded="side === 'people'" :aria-label="'People: ' + people.length" @click="side = side ? null : 'people'"><Icon name="people" />{{ people.length }}</button>
      </header>
      <div class="area" ref="area">
        <MeetStage :conference="conference" :tiles="tiles" :own-video="ownVideo" :silenced="silenced" @menu="(tile, anchor) => open = { kind: 'person', id: tile.id, key: tile.key, anchor }" @focus="hovered = $event" @invite="invite" />
      </div>
      <div class="notes" role="status" aria-live="polite">
        <p v-if="isInterrupted" class="note trouble"><span class="spinner" aria-hidden="true"></span>The connection was interrupted. Reconnecting.</p>
        <p v-if="sharing" class="note">You share your screen.<button type="button" class="secondary slim" @click="toggleScreen">Stop</button></p>
        <p v-for="note in notes" :key="note.id" class="note">{{ note.text }}<button v-if="note.button" type="button" class="secondary slim" @click="note.act(), drop(note.id)">{{ note.button }}</button></p>
      </div>
      <aside v-if="side" class="side" aria-label="Beside the stage">
        <MeetPeople :conference="conference" :groups="groups" @close="side = null" @menu="openPerson" @call="moderate('stage', { id: $event, on: true })" />
      </aside>
      <MeetBar :publish="canPublish" :microphone="hears" :camera="ownVideo !== null" :trouble="problems" :sharing="sharing" :can-share="media.canShareScreen && permissions.screen !== false" :hand="handRaised" :hands="others"
        @microphone="media.toggleMicrophone" @camera="media.toggleCamera" @screen="toggleScreen" @hand="raiseHand" @more="open = { kind: 'more', at: 'list', anchor: $event }" @leave="leave" />

      <button v-if="isBlocked" type="button" class="primary unlock" @click="act('unlockSound')"><Icon name="muted" />Turn on sound</button>
      <MeetPersonMenu v-if="menuTile" :tile="menuTile" :anchor="open.anchor" :permissions="permissions" :room="roomState" :pinned="menuTile.key !== null && pinned === menuTile.key" :silenced="silenced.has(menuTile.person.id)"
        @close="open = null" @pin="togglePin(menuTile.key)" @silence="silence(menuTile.person.id)" @moderate="moderate" />
      <MeetMore v-if="open && open.kind === 'more'" :anchor="open.anchor" :at="open.at" :permissions="permissions" :room="roomState" :settings="settings" :devices="devices" :name="self ? self.name : ''" :named="named" :people="people.length" :full-screen="fullScreen"
        @close="open = null" @people="side = 'people'" @moderate="moderate" @rename="rename" @said="say" />
      <MeetDialog v-if="isInvited" title="You were invited on stage" @close="isInvited = false">
        <p>Turn on your camera? Everybody in the room will see and hear you.</p>
        <div class="dialog-actions stacked">
          <button type="button" class="primary" @click="comeOnStage(true)"><Icon name="camera" />Camera and microphone</button>
          <button type="button" class="secondary" @click="comeOnStage(false)"><Icon name="mic" />Only the microphone</button>
          <button type="button" class="secondary" @click="isInvited = false">Not now</button>
        </div>
      </MeetDialog>
    </main>`,
};
