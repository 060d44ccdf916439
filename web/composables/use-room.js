/** @module */
import { computed, ref, watch } from 'vue';
import { mutedNote } from '../lib/meet-words.js';
import { sentence } from '../lib/words.js';

/** In rooms up to this size it is said who comes and goes; in larger ones it would never be quiet. */
const TELL_COMING_MAX = 12;

/** Within this time, in ms, everything has come that belongs to one decision of a moderator. */
const SETTLE_MS = 400;

/**
 * What ties one's own camera and microphone to the room: what is switched here is sent there, and what the venue decides is done here.
 * @param {ReturnType<typeof import('./use-conference.js').useConference>} conference
 * @param {ReturnType<typeof import('./use-own-media.js').useOwnMedia>} media
 * @param {ReturnType<typeof import('./use-meet-settings.js').useMeetSettings>} settings
 * @param {(text: string, offer?: {button: string, act: () => void}) => void} say
 */
export function useRoom(conference, media, settings, say) {
  const { act, permissions, self, selfId, people, inside } = conference;
  /** Whether the question "come on stage?" is open. */
  const isInvited = ref(false);
  const silenced = ref(/** @type {Set<string>} */ (new Set()));
  const canPublish = computed(() => permissions.value.publish === true);
  const handRaised = computed(() => Boolean(self.value?.hand));
  const nameOf = (id) => people.value.find((person) => person.id === id)?.name ?? null;

  // What is switched off stays published and is muted: others keep their place for it, and it is back at once.
  const mute = () => act('mute', { audio: !media.hears.value, video: media.video.value === null });
  // What came while the room was still being entered is sent as well.
  watch([media.video, media.audio], async ([video, audio]) => {
    if (!inside.value || !canPublish.value) return;
    const isNew = { video: video !== null && video !== conference.sent.video, audio: audio !== null && audio !== conference.sent.audio };
    Object.assign(conference.sent, { video, audio });
    // Both at once where both are new: the others then hear of it once.
    if (isNew.video || isNew.audio) await act('publish', 'camera', { ...(isNew.video ? { video } : {}), ...(isNew.audio ? { audio } : {}) });
    mute();
  }, { immediate: true });
  watch(media.hears, () => inside.value && canPublish.value && mute());
  watch(media.screen, (now) => inside.value && act('setScreen', now?.video ?? null, now?.audio ?? null));
  watch(() => settings.music, (on) => inside.value && permissions.value.music && act('music', on));
  // Unprocessed sound is for those whom the venue lets play.
  watch(() => permissions.value.music, (may) => { if (!may) settings.music = false; }, { immediate: true });
  watch(() => settings.speaker, (id) => act('setSpeaker', id));
  watch(silenced, (ids) => act('silence', [...ids]));

  watch(canPublish, (can, could) => {
    if (!can) {
      media.close();
      isInvited.value = false;
      say(could ? 'You are in the audience now. Others neither see nor hear you.' : 'You are in the audience: you see and hear, and can raise your hand.');
    } else if (could === false) {
      // Who is called on stage is asked instead; the call may come a moment after the permission.
      setTimeout(() => canPublish.value && !self.value?.stage && say('You can turn your microphone and camera on.'), SETTLE_MS);
    }
  }, { immediate: true });
  const isCalled = computed(() => inside.value && canPublish.value && self.value?.stage === true);
  watch(isCalled, (called) => {
    isInvited.value = called && media.video.value === null && media.audio.value === null;
  });

  conference.on('muted', ({ source, audio, video, by }) => {
    if (source !== 'camera') return;
    const was = { audio: audio && media.hears.value, video: video && media.video.value !== null };
    if (was.audio) settings.microphoneOn = false;
    if (was.video) media.toggleCamera();
    if (was.audio || was.video) say(mutedNote(was, nameOf(by)));
  });
  conference.on('unpublished', ({ source, by }) => {
    if (source !== 'screen' || !media.screen.value) return;
    media.closeScreen();
    say(`${nameOf(by) ?? 'The venue'} ended your screen share.`);
  });
  conference.on('error', ({ message, code, request }) => {
    // What concerns coming in is said in place of the room.
    if (request !== 'join') say(sentence(message || `The venue refused this (${code ?? 'no reason given'})`));
  });
  conference.on('participants', ({ joined = [], updated = [], left = [] }) => {
    const tell = people.value.length <= TELL_COMING_MAX;
    for (const person of joined) if (tell && person.id !== self.value?.id) say(`${person.name} came in.`);
    for (const { participant, reason } of left) if (tell && participant.id !== selfId.value) say(reason === 'removed' ? `${participant.name} was removed.` : `${participant.name} left.`);
    for (const person of updated) noticeHand(person);
  });

  const hands = new Map();
  function noticeHand(person) {
    const before = hands.get(person.id) ?? null;
    hands.set(person.id, person.hand);
    if (!person.hand || before || person.id === self.value?.id) return;
    const canCall = permissions.value.moderate && !person.stage && (person.role === 'viewer' || conference.room.value.stage_only);
    say(`${person.name} raised a hand.`, canCall ? { button: 'Call on stage', act: () => act('moderate', 'stage', { id: person.id, on: true }) } : undefined);
  }

  watch(() => media.problems.screen, (problem) => problem && say(`${problem.title}. ${problem.advice}`));
  watch(() => [media.problems.camera, media.problems.microphone], ([camera, microphone], before) => {
    const news = [camera, microphone].find((problem, place) => problem && problem !== before?.[place]);
    if (news && inside.value) say(`${news.title}. ${news.advice}`);
  });

  return {
    isInvited, silenced, canPublish, handRaised,
    raiseHand: () => act('raiseHand', !handRaised.value),
    toggleScreen: () => (media.screen.value ? media.closeScreen() : media.openScreen()),
    silence(/** @type {string} */ id) {
      const next = new Set(silenced.value);
      if (!next.delete(id)) next.add(id);
      silenced.value = next;
    },
    /** Comes on stage with microphone, and with camera if wanted. */
    async comeOnStage(/** @type {boolean} */ withCamera) {
      isInvited.value = false;
      settings.microphoneOn = true;
      settings.cameraOn = withCamera;
      await media.start();
    },
  };
}
