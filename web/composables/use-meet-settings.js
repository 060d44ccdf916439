/** @module */
import { reactive, watch } from 'vue';
import { readObject, write } from '../lib/keep.js';

/** Where choices for meeting are kept. */
const CHOICES = 'proscenium.meet';
/** The longest name that a room takes, in characters. */
export const PERSON_NAME_LENGTH_MAX = 64;

/** What is said of oneself, and which devices are used. Kept for the next time. */
export function useMeetSettings() {
  const kept = readObject(CHOICES);
  const text = (name) => (typeof kept[name] === 'string' ? kept[name] : '');
  const settings = reactive({
    name: text('name').slice(0, PERSON_NAME_LENGTH_MAX),
    /** Ids of devices; empty for the system's choice. */
    camera: text('camera'),
    microphone: text('microphone'),
    speaker: text('speaker'),
    /** Whether they are on when one joins. */
    cameraOn: kept.cameraOn !== false,
    microphoneOn: kept.microphoneOn !== false,
    music: kept.music === true,
  });
  watch(() => ({ ...settings }), (now) => write('localStorage', CHOICES, JSON.stringify(now)));
  return settings;
}
