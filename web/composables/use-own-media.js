/** @module */
import { computed, onBeforeUnmount, reactive, ref, shallowRef, watch } from 'vue';
import { cameraConstraints, contextProblem, explain, microphoneConstraints, presetOf, screenConstraints } from '../lib/media.js';

/** What is asked of a camera in a room: the largest picture that others get of somebody. */
const CAMERA = presetOf('720p');
/** What is asked of a screen: small text must stay readable. */
const SCREEN = presetOf('1080p');

/**
 * One's own camera, microphone and screen in a room. A camera that is off is let go, so that its lamp goes out; a microphone that is off stays
 * open, so that it is on again at once.
 * @param {ReturnType<typeof import('./use-meet-settings.js').useMeetSettings>} settings
 */
export function useOwnMedia(settings) {
  const video = shallowRef(/** @type {MediaStreamTrack | null} */ (null));
  const audio = shallowRef(/** @type {MediaStreamTrack | null} */ (null));
  const screen = shallowRef(/** @type {{video: MediaStreamTrack, audio: MediaStreamTrack | null} | null} */ (null));
  const problems = reactive({ camera: /** @type {any} */ (null), microphone: /** @type {any} */ (null), screen: /** @type {any} */ (null) });
  const context = contextProblem(globalThis);
  const possible = context === null;
  const opening = ref(0);
  const devices = reactive({ cameras: /** @type {MediaDeviceInfo[]} */ ([]), microphones: /** @type {MediaDeviceInfo[]} */ ([]), speakers: /** @type {MediaDeviceInfo[]} */ ([]) });
  const places = { camera: video, microphone: audio };
  const canShareScreen = possible && typeof navigator.mediaDevices.getDisplayMedia === 'function';
  const hears = computed(() => audio.value !== null && settings.microphoneOn);
  /** The latest request for each device: a slow answer to an older one is thrown away. */
  const turns = { camera: 0, microphone: 0 };

  async function list() {
    const all = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    const of = (kind) => all.filter((device) => device.kind === kind && device.deviceId !== '');
    Object.assign(devices, { cameras: of('videoinput'), microphones: of('audioinput'), speakers: of('audiooutput') });
  }

  const constraintsOf = (what) => (what === 'camera'
    ? { video: { ...cameraConstraints(CAMERA, settings.camera), ...(settings.camera ? {} : { facingMode: 'user' }) } }
    : { audio: microphoneConstraints(settings.music, settings.microphone) });

  function put(what, track) {
    const place = places[what];
    if (place.value && place.value !== track) place.value.stop();
    place.value = track;
    if (!track) return;
    if (what === 'microphone') {
      track.enabled = settings.microphoneOn;
      track.contentHint = settings.music ? 'music' : 'speech';
    }
    track.addEventListener('ended', () => {
      if (place.value !== track) return;
      place.value = null;
      problems[what] = { title: `The ${what} was disconnected`, advice: 'Plug it in again, or choose another one.' };
    }, { once: true });
  }

  /** Opens one device, or leaves the problem where the page shows it. A device that is gone is replaced by the system's choice. */
  async function open(/** @type {'camera' | 'microphone'} */ what) {
    if (!possible) return;
    const turn = ++turns[what];
    opening.value += 1;
    try {
      const stream = await navigator.mediaDevices.getUserMedia(constraintsOf(what)).catch((error) => {
        if (error.name !== 'OverconstrainedError' || settings[what] === '') throw error;
        settings[what] = '';
        return navigator.mediaDevices.getUserMedia(constraintsOf(what));
      });
      if (turn !== turns[what]) return void stream.getTracks().forEach((track) => track.stop());
      problems[what] = null;
      put(what, stream.getTracks()[0] ?? null);
    } catch (error) {
      if (turn !== turns[what]) return;
      put(what, null);
      problems[what] = explain(/** @type {Error} */ (error), what);
    } finally {
      opening.value -= 1;
      if (possible) await list();
    }
  }

  /** Opens what is meant to be on. Both at once, so that a person is asked one question and not two; one by one where that fails. */
  async function start() {
    const wants = [settings.cameraOn && !video.value && 'camera', settings.microphoneOn && !audio.value && 'microphone'].filter(Boolean);
    if (!possible || wants.length === 0) return;
    if (wants.length === 2) {
      const asked = [++turns.camera, ++turns.microphone];
      opening.value += 1;
      /** @type {any} */ let refusal = null;
      const stream = await navigator.mediaDevices.getUserMedia({ ...constraintsOf('camera'), ...constraintsOf('microphone') }).catch((error) => {
        refusal = error;
        return null;
      });
      opening.value -= 1;
      if (asked[0] !== turns.camera || asked[1] !== turns.microphone) return void stream?.getTracks().forEach((track) => track.stop());
      if (stream) {
        put('camera', stream.getVideoTracks()[0] ?? null);
        put('microphone', stream.getAudioTracks()[0] ?? null);
        Object.assign(problems, { camera: null, microphone: null });
        return list();
      }
      // Who said no is not asked twice more: only what was allowed before is opened then.
      if (refusal?.name === 'NotAllowedError') {
        for (const what of wants) {
          if (await isGranted(what)) await open(what);
          else problems[what] = explain(refusal, what);
        }
        return;
      }
    }
    for (const what of wants) await open(what);
  }

  async function toggleCamera() {
    settings.cameraOn = video.value === null;
    if (settings.cameraOn) return open('camera');
    turns.camera++;
    put('camera', null);
  }

  async function toggleMicrophone() {
    settings.microphoneOn = !hears.value;
    if (settings.microphoneOn && !audio.value) await open('microphone');
  }

  /** Must be called from a tap. Resolves to whether a screen is shared now. */
  async function openScreen() {
    problems.screen = null;
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia(screenConstraints(SCREEN));
      const [picture] = stream.getVideoTracks();
      picture.contentHint = 'detail';
      closeScreen();
      screen.value = { video: picture, audio: stream.getAudioTracks()[0] ?? null };
      picture.addEventListener('ended', () => screen.value?.video === picture && closeScreen(), { once: true });
    } catch (error) {
      problems.screen = explain(/** @type {Error} */ (error), 'screen');
    }
    return screen.value !== null;
  }

  function closeScreen() {
    screen.value?.video.stop();
    screen.value?.audio?.stop();
    screen.value = null;
  }

  /** Lets everything go; what is meant to be on stays remembered. */
  function close() {
    turns.camera++;
    turns.microphone++;
    put('camera', null);
    put('microphone', null);
    closeScreen();
  }

  watch(() => settings.microphoneOn, (on) => {
    if (audio.value) audio.value.enabled = on;
  });
  watch(() => settings.camera, () => {
    // Some phones open one camera at a time: the old one is let go first.
    if (video.value) (video.value.stop(), open('camera'));
  });
  watch(() => [settings.microphone, settings.music], () => {
    if (audio.value) (audio.value.stop(), open('microphone'));
  });

  const leave = new AbortController();
  if (possible) {
    navigator.mediaDevices.addEventListener('devicechange', list, { signal: leave.signal });
    list();
  }
  onBeforeUnmount(() => {
    leave.abort();
    close();
  });

  /** Whether the browser would open what is meant to be on without asking. */
  async function isAllowed() {
    const answers = await Promise.all([settings.cameraOn && 'camera', settings.microphoneOn && 'microphone'].filter(Boolean).map(isGranted));
    return answers.every(Boolean);
  }

  return { video, audio, screen, problems, context, possible, opening, devices, hears, canShareScreen, start, toggleCamera, toggleMicrophone, openScreen, closeScreen, close, isAllowed };
}

/** Not every browser tells; then a tap asks. */
async function isGranted(/** @type {string} */ what) {
  try {
    return (await navigator.permissions.query({ name: /** @type {any} */ (what) })).state === 'granted';
  } catch {
    return false;
  }
}
