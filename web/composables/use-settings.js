/** @module */
import { reactive, watch } from 'vue';
import { PRESET_DEFAULT, presetOf } from '../lib/media.js';
import { DEFAULT_STREAM, isName } from '../lib/names.js';

/**
 * A performer's choices. They outlive the tab, except for the key, which is forgotten with it, and never written anywhere else.
 * @param {string} space
 */
export function useSettings(space) {
  const kept = read(localStorageOrNull(), 'proscenium.perform');
  const settings = reactive({
    source: /** @type {'camera' | 'screen'} */ ('camera'),
    camera: typeof kept.camera === 'string' ? kept.camera : '',
    microphone: typeof kept.microphone === 'string' ? kept.microphone : '',
    preset: presetOf(kept.preset ?? PRESET_DEFAULT).id,
    music: kept.music === true,
    simulcast: kept.simulcast === true,
    stream: isName(kept.stream ?? '') ? kept.stream : DEFAULT_STREAM,
    key: sessionStorageOrNull()?.getItem(`proscenium.key.${space}`) ?? '',
  });
  watch(() => ({ ...settings }), ({ camera, microphone, preset, music, simulcast, stream }) => {
    write(localStorageOrNull(), 'proscenium.perform', JSON.stringify({ camera, microphone, preset, music, simulcast, stream }));
  });
  watch(() => settings.key, (key) => write(sessionStorageOrNull(), `proscenium.key.${space}`, key));
  return settings;
}

/** Storage can be switched off, and then throws at the first touch. */
function localStorageOrNull() {
  try {
    return globalThis.localStorage;
  } catch {
    return null;
  }
}

function sessionStorageOrNull() {
  try {
    return globalThis.sessionStorage;
  } catch {
    return null;
  }
}

function read(/** @type {Storage | null} */ storage, /** @type {string} */ name) {
  try {
    return Object(JSON.parse(storage?.getItem(name) ?? '{}'));
  } catch {
    return {};
  }
}

function write(/** @type {Storage | null} */ storage, /** @type {string} */ name, /** @type {string} */ value) {
  try {
    if (value === '') storage?.removeItem(name);
    else storage?.setItem(name, value);
  } catch {
    // Full or switched off: the choice lasts as long as the page.
  }
}
