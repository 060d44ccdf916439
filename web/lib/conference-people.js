/**
 * Who is in the conference, and which of the server's slots carries whom.
 * @module
 */

/**
 * @typedef {import('./conference-messages.js').Participant} Participant
 * @typedef {import('./conference-messages.js').Slot} Slot
 *
 * @typedef {object} Shown what reaches this participant of another
 * @property {string} id
 * @property {import('./conference-messages.js').Source} source
 * @property {import('./conference-messages.js').Kind} kind
 * @property {string} mid
 * @property {'live' | 'paused' | 'unsupported'} state
 * @property {MediaStreamTrack} track the slot's: it shows somebody else when the slot does
 *
 * @typedef {Omit<Shown, 'track' | 'mid'> & {track: MediaStreamTrack | null, mid: string | null}} Change `track` is null when nothing reaches us any more
 */

/** Everybody, oneself included. */
export class People {
  /** @type {Map<string, Participant>} */ all = new Map();
  /** @type {Map<string, string>} */ quality = new Map();
  selfId = '';

  get self() {
    return this.all.get(this.selfId) ?? null;
  }

  /** @param {string} selfId @param {Participant[]} participants */
  begin(selfId, participants) {
    this.selfId = selfId;
    this.all = new Map(participants.map((participant) => [participant.id, participant]));
    for (const id of this.quality.keys()) if (!this.all.has(id)) this.quality.delete(id);
  }

  /** @param {Participant} participant @returns {'joined' | 'updated'} */
  put(participant) {
    const isKnown = this.all.has(participant.id);
    this.all.set(participant.id, participant);
    return isKnown ? 'updated' : 'joined';
  }

  /** @param {string} id @returns {Participant | null} who left */
  remove(id) {
    const participant = this.all.get(id) ?? null;
    this.all.delete(id);
    this.quality.delete(id);
    return participant;
  }
}

const keyOf = (/** @type {{id: string, source: string, kind: string}} */ { id, source, kind }) => `${kind} ${source} ${id}`;

/** The slots' contents. */
export class SlotMap {
  /** @type {Slot[]} as told last */ #slots = [];
  /** @type {Map<string, Shown>} */ #shown = new Map();

  /** @param {string} id @param {string} source @param {string} kind @returns {Shown | null} */
  get(id, source, kind) {
    return this.#shown.get(keyOf({ id, source, kind })) ?? null;
  }

  /** @returns {Shown[]} */
  list() {
    return [...this.#shown.values()];
  }

  /**
   * Takes the server's map, or looks again at the last one after sections were negotiated: the map may be here before its sections.
   * @param {Slot[] | null} slots null: the last ones
   * @param {(mid: string) => MediaStreamTrack | null} trackOf what a section receives
   * @returns {Change[]} what differs from before, what ended first
   */
  assign(slots, trackOf) {
    if (slots) this.#slots = slots;
    const before = this.#shown;
    this.#shown = new Map();
    for (const slot of this.#slots) {
      const track = trackOf(slot.mid);
      if (track) this.#shown.set(keyOf(slot), { ...slot, track });
    }
    /** @type {Change[]} */ const changes = [];
    for (const [key, was] of before) if (!this.#shown.has(key)) changes.push({ ...was, track: null, mid: null });
    for (const [key, is] of this.#shown) {
      const was = before.get(key);
      if (!was || was.track !== is.track || was.state !== is.state) changes.push({ ...is });
    }
    return changes;
  }

  /** The connection is gone. @returns {Change[]} */
  clear() {
    return this.assign([], () => null);
  }
}
