/**
 * How connections are, without a word flashing up for a moment that nobody noticed.
 * @module
 */

/** How long a connection must be worse before it is called so, in ms. */
export const WORSE_AFTER_MS = 3_000;

/** From the best to the worst. */
const ORDER = ['good', 'fair', 'poor', 'lost'];

export class CalmQuality {
  /** @type {Map<string, string>} */ #shown = new Map();
  /** Since when somebody's connection is worse than shown, in ms. @type {Map<string, number>} */ #worseSince = new Map();

  /**
   * What is shown of each connection. Better ones are shown at once, and so is a lost one: there the picture stands still.
   * @param {number} now ms
   * @param {ReadonlyMap<string, string>} told by the venue, by id
   * @returns {{shown: Map<string, string>, againMs: number | null}} when to look again though nothing else is told
   */
  update(now, told) {
    let againMs = /** @type {number | null} */ (null);
    for (const id of this.#shown.keys()) if (!told.has(id)) (this.#shown.delete(id), this.#worseSince.delete(id));
    for (const [id, quality] of told) {
      const before = this.#shown.get(id) ?? 'good';
      const isWorse = ORDER.indexOf(quality) > ORDER.indexOf(before) && quality !== 'lost';
      const since = isWorse ? this.#worseSince.get(id) ?? now : now;
      if (isWorse && now - since < WORSE_AFTER_MS) {
        this.#worseSince.set(id, since);
        this.#shown.set(id, before);
        againMs = Math.min(againMs ?? Infinity, WORSE_AFTER_MS - (now - since));
      } else {
        this.#worseSince.delete(id);
        this.#shown.set(id, quality);
      }
    }
    return { shown: new Map(this.#shown), againMs };
  }
}
