/**
 * In which order people are shown: who speaks comes to where they are seen, and nobody who is seen jumps.
 * @module
 */

/** How long somebody must have been speaking, in ms, before others make room: a cough moves nobody. */
export const SPEAKING_MIN_MS = 800;
/** How long somebody keeps their place after they spoke, in ms. */
export const KEPT_AFTER_MS = 15_000;
/** A pause up to this long is within one speech, in ms. */
const PAUSE_MAX_MS = 1_500;

export class TileOrder {
  /** @type {string[]} */ #keys = [];
  /** When each began to speak and was last heard, in ms. @type {Map<string, {since: number, last: number}>} */ #speech = new Map();

  /**
   * Remembers who is heard now. Called at every report of the speakers.
   * @param {number} now ms
   * @param {Iterable<string>} keys
   */
  heard(now, keys) {
    for (const key of keys) {
      const known = this.#speech.get(key);
      if (known && now - known.last <= PAUSE_MAX_MS) known.last = now;
      else this.#speech.set(key, { since: now, last: now });
    }
  }

  /**
   * The order of `present`. The first `seen` of them are on the first page: those stay where they are, whoever leaves is replaced by somebody
   * from the other pages, and somebody who speaks there takes the place of whoever has been silent for longest.
   * @param {number} now ms
   * @param {string[]} present every tile, in the order of joining
   * @param {object} [options]
   * @param {number} [options.seen] how many are on the first page
   * @param {ReadonlySet<string>} [options.kept] tiles that never lose their place
   * @param {ReadonlySet<string>} [options.called] tiles that come to the first page as if they spoke: raised hands
   * @returns {string[]}
   */
  update(now, present, { seen = Infinity, kept = new Set(), called = new Set() } = {}) {
    const here = new Set(present);
    for (const key of this.#speech.keys()) if (!here.has(key)) this.#speech.delete(key);
    this.#leave(here, seen);
    const known = new Set(this.#keys);
    this.#keys.push(...present.filter((key) => !known.has(key)));
    // Those who always have their place come first.
    const first = this.#keys.filter((key) => kept.has(key));
    if (first.some((key, place) => this.#keys[place] !== key)) this.#keys = [...first, ...this.#keys.filter((key) => !kept.has(key))];
    if (this.#keys.length > seen) this.#comeForward(now, seen, kept, called);
    return [...this.#keys];
  }

  /** A gap among those who are seen is filled by the first of those who are not: the others stay. */
  #leave(here, seen) {
    const stay = this.#keys.filter((key) => here.has(key));
    if (stay.length < this.#keys.length && stay.length >= seen) {
      const hidden = this.#keys.slice(seen).filter((key) => here.has(key));
      const shown = this.#keys.slice(0, seen).map((key) => (here.has(key) ? key : /** @type {string} */ (hidden.shift())));
      this.#keys = [...shown, ...hidden];
    } else {
      this.#keys = stay;
    }
  }

  #comeForward(now, seen, kept, called) {
    for (let place = seen; place < this.#keys.length; place++) {
      const key = this.#keys[place];
      if (!called.has(key) && !this.#speaks(now, key)) continue;
      const given = this.#placeFor(now, seen, kept, called);
      if (given === -1) return;
      [this.#keys[given], this.#keys[place]] = [key, this.#keys[given]];
      // Coming forward by a hand counts as being heard, or the next one would take the place at once.
      if (called.has(key)) this.heard(now, [key]);
    }
  }

  #speaks(now, key) {
    const speech = this.#speech.get(key);
    return speech !== undefined && now - speech.last <= PAUSE_MAX_MS && speech.last - speech.since >= SPEAKING_MIN_MS;
  }

  /** The place of whoever has been silent for longest on the first page; -1 when everybody there spoke lately. */
  #placeFor(now, seen, kept, called) {
    let [given, longest] = [-1, KEPT_AFTER_MS];
    for (let place = 0; place < seen; place++) {
      const key = this.#keys[place];
      if (kept.has(key) || called.has(key)) continue;
      const silent = now - (this.#speech.get(key)?.last ?? -Infinity);
      // Among equally silent ones the last place is given up.
      if (silent >= longest) [given, longest] = [place, silent];
    }
    return given;
  }
}
