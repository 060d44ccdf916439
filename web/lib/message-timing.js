/**
 * Messages in time with the picture. A viewer who is seconds behind, or who watches a recording, gets each message when the picture reaches the moment at
 * which it was said. No timers, no network: whoever has a clock asks with `advance`.
 * @module
 */

/** Messages that are remembered, those to come included: three hours of one a second, 5 MB. */
export const REMEMBERED_MAX = 10_000;
/** A picture that goes back by less than this, in ms, has only corrected its clock. */
const BACK_MIN_MS = 1000;
/** The same for a live picture that is replaced by one that is a little behind: what was read stays. */
const BACK_FROM_LIVE_MIN_MS = 10_000;

/** @typedef {import('./message-frames.js').Message} Message */
/** @typedef {{message: Message, at: number, urgent: boolean}} Entry `at`: the moment, ms; `urgent`: shown at once, when it comes */

/**
 * When a message belongs on the screen, in ms since 1970: when the picture shows what its sender had just performed. What came without a picture has the
 * time at which it came.
 * @param {Message} message
 */
export const momentOf = (message) => message.media?.time_ms ?? message.seq / 1000;

/**
 * Holds messages back until they are due, each exactly once, and again after the picture went back.
 */
export class MessageTiming {
  /** By moment, then by number. @type {Entry[]} */ #entries = [];
  #known = new Set();
  /** Those before this place are due. */ #place = 0;
  /** What came and is to be shown whatever the picture shows. @type {Message[]} */ #urgent = [];
  /** Where the picture was last; null: live; undefined: nobody has said. @type {number | null | undefined} */ #now;
  #max;
  #onForgotten;

  /** @param {{max?: number, onForgotten?: () => void}} [options] `onForgotten`: messages far from the picture were dropped for others */
  constructor({ max = REMEMBERED_MAX, onForgotten = () => {} } = {}) {
    this.#max = max;
    this.#onForgotten = onForgotten;
  }

  /** How many are remembered. */
  get size() {
    return this.#entries.length;
  }

  /** How many wait for their moment. */
  get waiting() {
    return this.#entries.length - this.#place;
  }

  /**
   * Takes a message; one that is known already is ignored.
   * @param {Message} message
   * @param {{own?: boolean, old?: boolean}} [how] own: shown to its author at once; old: from the history, so that without a picture it belongs where it was said
   * @returns {boolean} whether it is new
   */
  add(message, { own = false, old = false } = {}) {
    if (this.#known.has(message.seq)) return false;
    const at = momentOf(message);
    const isAhead = this.#now === undefined || (this.#now !== null && at > this.#now);
    const urgent = !old && (own || message.media === null) && isAhead;
    const place = this.#placeOf(at, message.seq);
    const isPast = place < this.#place;
    this.#known.add(message.seq);
    this.#entries.splice(place, 0, { message, at, urgent });
    if (urgent) this.#urgent.push(message);
    // Behind the picture already: a page of history about what was before, or a message that was slow.
    if (isPast) this.#place += 1;
    if (isPast && !urgent) this.#urgent.push(message);
    this.#shorten();
    return true;
  }

  /**
   * Forgets a message that a moderator deleted.
   * @param {number} seq
   */
  remove(seq) {
    const found = this.#entries.findIndex(({ message }) => message.seq === seq);
    if (found < 0) return;
    this.#entries.splice(found, 1);
    if (found < this.#place) this.#place -= 1;
    this.#urgent = this.#urgent.filter((message) => message.seq !== seq);
  }

  /**
   * Forgets everything up to this number: the operator has cleared what was kept.
   * @param {number} seq
   */
  clear(seq) {
    for (const { message } of [...this.#entries]) if (message.seq <= seq) this.remove(message.seq);
  }

  /**
   * The picture is at this moment.
   * @param {number | null | undefined} now ms since 1970; null: live, without any delay; undefined or NaN: not known at the moment
   * @returns {{due: Message[], back: boolean}} `back`: the picture went back: whatever was shown is void, and `due` has all that was said until there
   */
  advance(now) {
    if (now === undefined || Number.isNaN(now)) return { due: this.#takeUrgent(), back: false };
    const limit = now ?? Infinity;
    if (now !== null && this.#isBack(now)) {
      this.#now = now;
      this.#place = this.#placeAfter(now);
      this.#urgent = [];
      for (const entry of this.#entries) entry.urgent = false;
      return { due: this.#entries.slice(0, this.#place).map(({ message }) => message), back: true };
    }
    const due = this.#takeUrgent();
    while (this.#place < this.#entries.length && this.#entries[this.#place].at <= limit) {
      const { message, urgent } = this.#entries[this.#place];
      if (!urgent) due.push(message);
      this.#place += 1;
    }
    this.#now = now;
    return { due, back: false };
  }

  /** Whether the picture went back so far that something which was shown has not been said yet. */
  #isBack(/** @type {number} */ now) {
    if (this.#place <= this.#placeAfter(now)) return false;
    if (typeof this.#now === 'number') return now < this.#now - BACK_MIN_MS;
    return this.#entries[this.#place - 1].at - now > BACK_FROM_LIVE_MIN_MS;
  }

  #takeUrgent() {
    const urgent = this.#urgent;
    this.#urgent = [];
    return urgent;
  }

  #placeOf(/** @type {number} */ at, /** @type {number} */ seq) {
    return this.#search((entry) => entry.at < at || (entry.at === at && entry.message.seq < seq));
  }

  #placeAfter(/** @type {number} */ at) {
    return this.#search((entry) => entry.at <= at);
  }

  /** How many entries from the first on are `before`. */
  #search(/** @type {(entry: Entry) => boolean} */ before) {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (before(this.#entries[middle])) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #shorten() {
    const surplus = this.#entries.length - this.#max;
    if (surplus <= 0) return;
    const old = this.#place > this.#max / 2;
    const gone = old ? this.#entries.splice(0, surplus) : this.#entries.splice(this.#max);
    if (old) this.#place -= surplus;
    for (const { message } of gone) this.#known.delete(message.seq);
    this.#onForgotten();
  }
}
