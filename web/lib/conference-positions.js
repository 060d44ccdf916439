/**
 * Positions as bytes, for the data channel `positions`: little endian `u8` version 1, `u8` flags, `u16` count, `u32` tick, then count times `u16` number,
 * `u16` zero, six `f32`. Who has which number comes over `messages`.
 * @module
 */

/** @typedef {{x: number, y: number, z: number, rx: number, ry: number, rz: number}} Position */

const VERSION = 1;
const HEAD_BYTES = 8;
const ENTRY_BYTES = 28;
/** Numbers that are remembered without a name, and names: everybody of the fullest space. */
const PEOPLE_MAX = 5000;

/**
 * What is sent for oneself: one entry of number 0.
 * @param {Position} position
 * @returns {ArrayBuffer}
 */
export function frameOf({ x, y, z, rx, ry, rz }) {
  const view = new DataView(new ArrayBuffer(HEAD_BYTES + ENTRY_BYTES));
  view.setUint8(0, VERSION);
  view.setUint16(2, 1, true);
  [x, y, z, rx, ry, rz].forEach((value, place) => view.setFloat32(HEAD_BYTES + 4 + 4 * place, value, true));
  return view.buffer;
}

/**
 * Reads a frame.
 * @param {unknown} data
 * @returns {{tick: number, entries: {number: number, position: Position}[]} | null} null for what is none
 */
export function readFrame(data) {
  if (!(data instanceof ArrayBuffer) || data.byteLength < HEAD_BYTES) return null;
  const view = new DataView(data);
  if (view.getUint8(0) !== VERSION) return null;
  const count = Math.min(view.getUint16(2, true), Math.floor((data.byteLength - HEAD_BYTES) / ENTRY_BYTES));
  const entries = Array.from({ length: count }, (_, at) => {
    const start = HEAD_BYTES + at * ENTRY_BYTES;
    const [x, y, z, rx, ry, rz] = [0, 1, 2, 3, 4, 5].map((place) => view.getFloat32(start + 4 + 4 * place, true));
    return { number: view.getUint16(start, true), position: { x, y, z, rx, ry, rz } };
  });
  return { tick: view.getUint32(4, true), entries };
}

/** Where everybody is. Frames may come twice, late or never: of each person the newest counts. */
export class Whereabouts {
  /** @type {Map<string, Position>} by userId */ all = new Map();
  /** @type {Map<number, string>} */ #names = new Map();
  /** The newest of each number. @type {Map<number, {tick: number, position: Position}>} */ #seen = new Map();

  /** A new connection: numbers and ticks begin anew. People stay where they are until they are heard of. */
  begin() {
    this.#names.clear();
    this.#seen.clear();
  }

  /** @param {unknown} data @returns {boolean} whether somebody whose name is known has moved */
  takeFrame(data) {
    const frame = readFrame(data);
    if (!frame) return false;
    let hasMoved = false;
    for (const { number, position } of frame.entries) {
      const last = this.#seen.get(number);
      // Ticks go round after some years; what is half of them behind is late.
      if (last ? ((frame.tick - last.tick) | 0) < 0 : this.#seen.size >= PEOPLE_MAX) continue;
      this.#seen.set(number, { tick: frame.tick, position });
      const name = this.#names.get(number);
      if (name === undefined) continue;
      this.all.set(name, position);
      hasMoved = true;
    }
    return hasMoved;
  }

  /** Who has which number. @param {Record<string, unknown>} numbers by userId @returns {boolean} whether somebody's position is known by that */
  learn(numbers) {
    let isFound = false;
    for (const [name, number] of Object.entries(numbers)) {
      if (typeof number !== 'number' || this.#names.size >= PEOPLE_MAX) continue;
      const before = this.#names.get(number);
      // A number that somebody else had before: what was seen under it was theirs.
      if (before !== undefined && before !== name) this.#seen.delete(number);
      this.#names.set(number, name);
      const seen = this.#seen.get(number);
      if (!seen) continue;
      this.all.set(name, seen.position);
      isFound = true;
    }
    return isFound;
  }

  /** As JSON over `messages`. @param {Map<string, number[]>} users @param {string[]} gone @returns {boolean} */
  take(users, gone) {
    for (const [name, [x, y, z, rx, ry, rz]] of users) this.all.set(name, { x, y, z, rx, ry, rz });
    for (const name of gone) {
      this.all.delete(name);
      for (const [number, owner] of this.#names) if (owner === name) this.#seen.delete(number);
    }
    return users.size > 0 || gone.length > 0;
  }
}
