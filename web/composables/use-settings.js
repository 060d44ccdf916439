/** @module */
import { reactive, watch } from 'vue';
import { read, readObject, write } from '../lib/keep.js';
import { PRESET_DEFAULT, presetOf } from '../lib/media.js';
import { DEFAULT_STREAM, isName } from '../lib/names.js';

/** Where a performer's choices are kept. */
const CHOICES = 'proscenium.perform';

/**
 * A performer's choices. They outlive the tab, except for the key, which is forgotten with it, and never written anywhere else.
 * @param {string} space
 */
export function useSettings(space) {
  const kept = readObject(CHOICES);
  const settings = reactive({
    source: /** @type {'camera' | 'screen'} */ ('camera'),
    camera: typeof kept.camera === 'string' ? kept.camera : '',
    microphone: typeof kept.microphone === 'string' ? kept.microphone : '',
    preset: presetOf(kept.preset ?? PRESET_DEFAULT).id,
    music: kept.music === true,
    simulcast: kept.simulcast === true,
    stream: isName(kept.stream ?? '') ? kept.stream : DEFAULT_STREAM,
    key: read('sessionStorage', `proscenium.key.${space}`),
  });
  watch(() => ({ ...settings }), ({ camera, microphone, preset, music, simulcast, stream }) => {
    write('localStorage', CHOICES, JSON.stringify({ camera, microphone, preset, music, simulcast, stream }));
  });
  watch(() => settings.key, (key) => write('sessionStorage', `proscenium.key.${space}`, key));
  return settings;
}
