/**
 * Everybody's sound: one audio element for each slot, all on the loudspeaker that was chosen.
 * @module
 */
import { sleep } from './backoff.js';

/** How long elements have to begin, in ms, after a click. */
const UNLOCK_MAX_MS = 500;

/** Events: `blocked` with `detail.blocked`: whether the browser wants a click before it plays anything. */
export class Sound extends EventTarget {
  /** @type {Map<string, {element: HTMLAudioElement, track: MediaStreamTrack, id: string | null}>} by `mid` */ #outputs = new Map();
  /** @type {Map<string, number>} by participant */ #volumes = new Map();
  #speaker = '';
  #isBlocked = false;

  get isBlocked() {
    return this.#isBlocked;
  }

  /**
   * Plays these slots and no others. A slot that carries nobody is played too: whoever speaks next is heard from the first syllable.
   * @param {{mid: string, id: string | null, track: MediaStreamTrack}[]} slots
   */
  play(slots) {
    const wanted = new Set(slots.map(({ mid }) => mid));
    for (const [mid, { element }] of this.#outputs) {
      if (wanted.has(mid)) continue;
      element.srcObject = null;
      this.#outputs.delete(mid);
    }
    for (const { mid, id, track } of slots) {
      const output = this.#outputs.get(mid) ?? this.#open(mid);
      output.id = id;
      output.element.volume = this.#volumes.get(id ?? '') ?? 1;
      if (output.track === track) continue;
      output.track = track;
      output.element.srcObject = new MediaStream([track]);
      this.#start(output.element);
    }
  }

  /**
   * Plays everything through another loudspeaker.
   * @param {string} deviceId empty: the system's choice
   * @returns {Promise<void>} rejects when the browser does not let a page choose, or the device is gone
   */
  async setSpeaker(deviceId) {
    const elements = [...this.#outputs.values()].map(({ element }) => element);
    const probe = elements[0] ?? new Audio();
    if (!probe.setSinkId) throw new Error('this browser does not let a page choose the loudspeaker; choose it in the system’s sound settings');
    await Promise.all((elements.length > 0 ? elements : [probe]).map((element) => element.setSinkId(deviceId)));
    this.#speaker = deviceId;
  }

  /** How loud somebody is heard here. @param {string} id @param {number} volume 0 to 1 */
  setVolume(id, volume) {
    const level = Math.min(1, Math.max(0, volume));
    if (level === 1) this.#volumes.delete(id);
    else this.#volumes.set(id, level);
    for (const output of this.#outputs.values()) if (output.id === id) output.element.volume = level;
  }

  /** Call this from a click or a key: everything that the browser held back begins. @returns {Promise<boolean>} whether it plays */
  async unlock() {
    await Promise.race([Promise.all([...this.#outputs.values()].map(({ element }) => this.#start(element))), sleep(UNLOCK_MAX_MS)]);
    return !this.#isBlocked;
  }

  stop() {
    for (const { element } of this.#outputs.values()) element.srcObject = null;
    this.#outputs.clear();
    this.#tell(false);
  }

  #open(/** @type {string} */ mid) {
    const element = new Audio();
    element.autoplay = true;
    if (this.#speaker && element.setSinkId) element.setSinkId(this.#speaker).catch(() => {}); // It was unplugged: the system's choice is better than none.
    const output = { element, track: /** @type {any} */ (null), id: null };
    this.#outputs.set(mid, output);
    return output;
  }

  async #start(/** @type {HTMLAudioElement} */ element) {
    try {
      await element.play();
      this.#tell(false);
    } catch (error) {
      // A new track interrupts the start of the former one, which is no refusal.
      if (/** @type {Error} */ (error).name === 'NotAllowedError') this.#tell(true);
    }
  }

  #tell(/** @type {boolean} */ blocked) {
    if (blocked === this.#isBlocked) return;
    this.#isBlocked = blocked;
    this.dispatchEvent(new CustomEvent('blocked', { detail: { blocked } }));
  }
}
