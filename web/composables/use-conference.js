/** @module */
import { computed, onBeforeUnmount, ref, shallowRef } from 'vue';
import { Conference } from '../lib/conference.js';
import { CalmQuality } from '../lib/meet-quality.js';

/** What a person may do before the venue has said more. */
const NOTHING_ALLOWED = { publish: false, screen: false, music: false, stream: false, moderate: false };
/** States in which one is in the room, or about to be in it again. */
const INSIDE = new Set(['joined', 'reconnecting']);

/**
 * A conference as Vue can watch it. One `Conference` follows another when a person leaves and joins again.
 * @param {string} space
 */
export function useConference(space) {
  const conference = shallowRef(/** @type {Conference | null} */ (null));
  const state = ref('idle');
  const error = shallowRef(/** @type {any} */ (null));
  /** When it is tried again by itself, in ms of `performance.now()`. */
  const retryAt = ref(/** @type {number | null} */ (null));
  const people = shallowRef(/** @type {import('../lib/meet-people.js').Person[]} */ ([]));
  const selfId = ref(/** @type {string | null} */ (null));
  const room = shallowRef(/** @type {{locked?: boolean, stage_only?: boolean}} */ ({}));
  const permissions = shallowRef(NOTHING_ALLOWED);
  const role = ref('participant');
  const limits = shallowRef(/** @type {{video_slots?: number}} */ ({}));
  const speakers = shallowRef({ dominant: null, active: [] });
  const quality = shallowRef(/** @type {Map<string, string>} */ (new Map()));
  const calm = new CalmQuality();
  /** Looks again when what was only heard of becomes true. @type {ReturnType<typeof setTimeout> | undefined} */ let look;
  const isBlocked = ref(false);
  const media = ref('none');
  /** Rises when pictures come to other places; read it to see them anew. */
  const tracks = ref(0);
  /** The tracks that the conference has been given. @type {{audio: MediaStreamTrack | null, video: MediaStreamTrack | null}} */
  const sent = { audio: null, video: null };
  const listeners = new EventTarget();

  const inside = computed(() => INSIDE.has(state.value) && selfId.value !== null);
  const self = computed(() => people.value.find(({ id }) => id === selfId.value) ?? null);

  function see(/** @type {Conference} */ from) {
    // Who is removed hears of it as of anybody's leaving, and a moment later as the end.
    if (from.self) selfId.value = from.self.id;
    people.value = [...from.participants.values()].sort((left, right) => compare(left.joined, right.joined) || compare(left.id, right.id));
  }

  function seeQuality(from) {
    clearTimeout(look);
    const { shown, againMs } = calm.update(performance.now(), from.quality);
    quality.value = shown;
    if (againMs !== null) look = setTimeout(() => conference.value === from && seeQuality(from), againMs);
  }

  function seeAll(from) {
    see(from);
    room.value = from.space ?? {};
    permissions.value = from.permissions ?? NOTHING_ALLOWED;
    role.value = from.role ?? 'participant';
    limits.value = from.limits ?? {};
    seeQuality(from);
    speakers.value = from.speakers ?? speakers.value;
    tracks.value += 1;
  }

  function listen(/** @type {Conference} */ to) {
    const on = (name, act) => to.addEventListener(name, (event) => {
      if (conference.value !== to) return;
      act(event.detail ?? {});
      listeners.dispatchEvent(new CustomEvent(name, { detail: event.detail ?? {} }));
    });
    on('state', (detail) => {
      if (detail.state === 'joined') seeAll(to);
      state.value = detail.state;
      error.value = detail.state === 'removed' ? { reason: farewell } : detail.error ?? null;
      retryAt.value = detail.retryMs > 0 ? performance.now() + detail.retryMs : null;
    });
    let farewell = '';
    on('participants', (detail) => {
      farewell = detail.left?.find(({ id }) => id === selfId.value)?.message ?? farewell;
      if (detail.all) seeAll(to);
      else see(to);
    });
    on('space', () => { room.value = { ...to.space }; });
    on('permissions', () => {
      permissions.value = { ...to.permissions };
      role.value = to.role;
    });
    on('speakers', () => { speakers.value = { ...to.speakers }; });
    on('quality', () => seeQuality(to));
    on('tracks', () => { tracks.value += 1; });
    on('media', (detail) => { media.value = detail.media; });
    on('sound', (detail) => { isBlocked.value = detail.blocked === true; });
    for (const name of ['muted', 'feed', 'error', 'unpublished']) on(name, () => {});
  }

  /**
   * Joins the room; what refuses it for good is in `state` and `error` afterwards.
   * @param {{name: string, token: string, audio: MediaStreamTrack | null, video: MediaStreamTrack | null, muted: {audio: boolean, video: boolean}, speaker: string, music: boolean}} as
   */
  async function join({ name, token, audio, video, muted, speaker, music }) {
    conference.value?.leave();
    const next = new Conference(space, { name, token: token || undefined, client: 'meet', music });
    conference.value = next;
    [state.value, error.value, retryAt.value, isBlocked.value, selfId.value] = ['joining', null, null, false, null];
    Object.assign(sent, { audio, video });
    listen(next);
    // A speaker that was unplugged since is replaced by the system's choice.
    if (speaker) Promise.resolve(next.setSpeaker(speaker)).catch(() => {});
    try {
      await next.join({ audio, video, muted });
      if (conference.value === next && next.state === 'joined') seeAll(next);
    } catch (reason) {
      if (conference.value !== next) return;
      state.value = next.state === 'joining' || next.state === 'idle' ? 'refused' : next.state;
      error.value ??= reason;
    }
  }

  function leave() {
    const last = conference.value;
    if (!last) return;
    conference.value = null;
    last.leave();
    state.value = 'left';
    people.value = [];
    selfId.value = null;
  }

  /** Calls an action of the conference; what the venue refuses comes back as an `error` event, and is no failure of the page. */
  async function act(/** @type {string} */ name, ...values) {
    try {
      await conference.value?.[name](...values);
      return true;
    } catch (reason) {
      listeners.dispatchEvent(new CustomEvent('error', { detail: reason }));
      return false;
    }
  }

  onBeforeUnmount(() => {
    clearTimeout(look);
    conference.value?.leave();
  });

  return {
    state, error, retryAt, people, selfId, self, room, permissions, role, limits, speakers, quality, tracks, media, isBlocked, inside, sent, join, leave, act,
    on: (/** @type {string} */ name, /** @type {(detail: any) => void} */ then) => listeners.addEventListener(name, (event) => then(/** @type {CustomEvent} */ (event).detail)),
    /** What a slot carries. Depends on `tracks`. */
    trackOf(/** @type {string} */ id, /** @type {string} */ source, /** @type {'audio' | 'video'} */ kind) {
      void tracks.value;
      return conference.value?.trackOf(id, source, kind) ?? null;
    },
  };
}

const compare = (left, right) => (left < right ? -1 : left > right ? 1 : 0);
