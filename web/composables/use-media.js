/** @module */
import { onBeforeUnmount, reactive, ref, shallowRef, watch } from 'vue';
import { cameraConstraints, contextProblem, explain, microphoneConstraints, presetOf, screenConstraints } from '../lib/media.js';

/** The choice to perform without a camera or without a microphone. */
export const NONE = 'none';

const NOTHING_WORKS = {
  title: 'Neither a camera nor a microphone works',
  advice: 'Plug one in, or close the other program that uses it, then try again.',
};

/**
 * The performer's own picture and sound: opened when asked for, exchanged while settings change.
 * @param {{source: 'camera' | 'screen', camera: string, microphone: string, preset: string, music: boolean}} settings reactive; `camera` and
 *   `microphone` are device ids, empty for the system's choice, or `NONE`
 */
export function useMedia(settings) {
  const video = shallowRef(/** @type {MediaStreamTrack | null} */ (null));
  const audio = shallowRef(/** @type {MediaStreamTrack | null} */ (null));
  const problem = ref(/** @type {import('../lib/media.js').Problem | null} */ (contextProblem(globalThis)));
  const possible = problem.value === null;
  const open = ref(false);
  const opening = ref(false);
  const devices = reactive({ cameras: /** @type {MediaDeviceInfo[]} */ ([]), microphones: /** @type {MediaDeviceInfo[]} */ ([]) });
  /** Sound that came with a screen; heard when no microphone is chosen. @type {MediaStreamTrack | null} */
  let screenSound = null;

  const set = (/** @type {import('vue').ShallowRef<MediaStreamTrack | null>} */ place, /** @type {MediaStreamTrack | null} */ track) => {
    if (place.value && place.value !== track) place.value.stop();
    place.value = track;
    if (track) track.addEventListener('ended', () => place.value === track && ended(place), { once: true });
  };

  function ended(place) {
    place.value = null;
    if (place === video && settings.source === 'screen') problem.value = { title: 'The screen is no longer shared', advice: 'Choose it again, or switch to the camera.' };
    else problem.value = { title: `The ${place === video ? 'camera' : 'microphone'} was disconnected`, advice: 'Plug it in again or choose another one.' };
  }

  async function list() {
    const all = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    devices.cameras = all.filter(({ kind, deviceId }) => kind === 'videoinput' && deviceId !== '');
    devices.microphones = all.filter(({ kind, deviceId }) => kind === 'audioinput' && deviceId !== '');
  }

  /** Asks for one device. Leaves the problem, if any, where the page shows it. @returns {Promise<MediaStreamTrack | null>} */
  async function ask(/** @type {'camera' | 'microphone'} */ what) {
    const chosen = settings[what];
    if (chosen === NONE) return null;
    const constraints = what === 'camera' ? { video: cameraConstraints(presetOf(settings.preset), chosen) } : { audio: microphoneConstraints(settings.music, chosen) };
    try {
      return first(await navigator.mediaDevices.getUserMedia(constraints));
    } catch (error) {
      problem.value = explain(/** @type {Error} */ (error), what);
      return null;
    }
  }

  /** Both at once, so that the browser asks the person one question and not two; one by one where that fails. */
  async function askBoth() {
    if (settings.camera !== NONE && settings.microphone !== NONE) {
      try {
        const stream = await navigator.mediaDevices.getUserMedia({
          video: cameraConstraints(presetOf(settings.preset), settings.camera),
          audio: microphoneConstraints(settings.music, settings.microphone),
        });
        return [stream.getVideoTracks()[0], stream.getAudioTracks()[0]];
      } catch (error) {
        if (/** @type {Error} */ (error).name === 'NotAllowedError') {
          problem.value = {
            title: 'This page may not use camera and microphone',
            advice: 'Allow them with the camera or lock symbol beside the address, then try again.',
          };
          return [null, null];
        }
      }
    }
    const picture = await ask('camera');
    const withoutPicture = problem.value;
    problem.value = null;
    const sound = await ask('microphone');
    if (withoutPicture && problem.value) problem.value = NOTHING_WORKS;
    else problem.value ??= withoutPicture;
    return [picture, sound];
  }

  async function openCamera() {
    const [picture, sound] = await askBoth();
    set(video, picture);
    set(audio, sound);
  }

  async function openScreen() {
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia(screenConstraints(presetOf(settings.preset)));
      const picture = stream.getVideoTracks()[0] ?? null;
      if (picture) picture.contentHint = 'detail';
      set(video, picture);
      screenSound?.stop();
      screenSound = stream.getAudioTracks()[0] ?? null;
    } catch (error) {
      problem.value = navigator.mediaDevices.getDisplayMedia
        ? explain(/** @type {Error} */ (error), 'screen')
        : { title: 'This device cannot share its screen', advice: 'Phones and tablets usually cannot. Use the camera.' };
      settings.source = 'camera';
    }
    if (!audio.value || audio.value === screenSound) set(audio, await ask('microphone') ?? screenSound);
  }

  /** Opens what the settings name. Must be called from a tap for a screen. */
  async function start() {
    if (!possible || opening.value) return;
    opening.value = true;
    problem.value = null;
    try {
      await (settings.source === 'screen' ? openScreen() : openCamera());
      await list();
      open.value = video.value !== null || audio.value !== null;
    } finally {
      opening.value = false;
    }
  }

  watch(() => settings.source, async (source) => {
    if (!open.value || opening.value) return;
    problem.value = null;
    if (source === 'screen') return start();
    screenSound?.stop();
    set(video, await ask('camera'));
    if (audio.value === screenSound) set(audio, await ask('microphone'));
  });
  watch(() => settings.camera, async () => {
    if (!open.value || settings.source !== 'camera') return;
    problem.value = null;
    // Some phones open one camera at a time: the old one is let go first.
    video.value?.stop();
    set(video, await ask('camera'));
  });
  watch(() => [settings.microphone, settings.music], async () => {
    if (!open.value) return;
    problem.value = null;
    audio.value?.stop();
    const sound = await ask('microphone') ?? (settings.source === 'screen' ? screenSound : null);
    if (sound) sound.contentHint = settings.music ? 'music' : 'speech';
    set(audio, sound);
  });
  watch(() => settings.preset, async (id) => {
    if (settings.source === 'camera') await video.value?.applyConstraints(cameraConstraints(presetOf(id), video.value.getSettings().deviceId)).catch(() => {});
  });

  const leave = new AbortController();
  if (possible) {
    navigator.mediaDevices.addEventListener('devicechange', () => open.value && list(), { signal: leave.signal });
    // Who has allowed it before is not asked again, and sees the picture at once.
    Promise.all(['camera', 'microphone'].map((name) => navigator.permissions?.query({ name: /** @type {any} */ (name) })))
      .then((answers) => answers.every((answer) => answer?.state === 'granted') && settings.source === 'camera' && start()).catch(() => {});
  }
  onBeforeUnmount(() => {
    leave.abort();
    for (const track of [video.value, audio.value, screenSound]) track?.stop();
  });

  return { video, audio, devices, problem, possible, open, opening, start };
}

const first = (/** @type {MediaStream} */ stream) => stream.getTracks()[0] ?? null;
