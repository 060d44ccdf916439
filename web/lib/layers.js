/**
 * The layers of a stream that WebRTC brings, as a menu of qualities.
 * @module
 */

/** What the layers are called, best first, by how many there are, where the venue does not know their sizes. */
const NAMES = [[], ['High'], ['High', 'Low'], ['High', 'Medium', 'Low'], ['Highest', 'High', 'Medium', 'Low']];

/**
 * @typedef {object} Layer
 * @property {string} name what the venue calls it
 * @property {number} bitrate_bps 0 while it does not come
 * @property {number} height of the picture, or its width if that is less; 0 where the venue does not know
 *
 * @typedef {object} Quality
 * @property {number} id the place in the list, best first
 * @property {string} name what the venue calls it
 * @property {string} label
 * @property {number} bitrate_bps
 */

/**
 * Reads the venue's description of the layers; the layers of all sections that it names, which is one.
 * @param {unknown} body parsed JSON
 * @returns {Layer[]} empty for what is no such description
 */
export function parseLayers(body) {
  if (typeof body !== 'object' || body === null) return [];
  const all = Object.values(body).flatMap((section) => (Array.isArray(section?.layers) ? section.layers : []));
  /** @type {Map<string, Layer>} */ const found = new Map();
  for (const { encodingId, bitrate, width, height } of all.filter((layer) => typeof layer?.encodingId === 'string')) {
    const bitrate_bps = Number.isFinite(bitrate) && bitrate > 0 ? bitrate : 0;
    const known = found.get(encodingId);
    const size = Number.isSafeInteger(height) && height > 0 ? Math.min(height, Number.isSafeInteger(width) && width > 0 ? width : height) : 0;
    found.set(encodingId, { name: encodingId, bitrate_bps: Math.max(bitrate_bps, known?.bitrate_bps ?? 0), height: Math.max(size, known?.height ?? 0) });
  }
  return [...found.values()];
}

/**
 * The entries of a menu, best first; none where there is nothing to choose. What does not come now cannot be chosen.
 * @param {Layer[]} layers
 * @returns {Quality[]}
 */
export function qualitiesOf(layers) {
  const coming = layers.filter(({ bitrate_bps }) => bitrate_bps > 0).sort((left, right) => right.bitrate_bps - left.bitrate_bps);
  if (coming.length < 2) return [];
  const names = NAMES[coming.length];
  const told = new Set(coming.map(({ height }) => height));
  const hasSizes = told.size === coming.length && !told.has(0);
  return coming.map(({ name, bitrate_bps, height }, id) => ({ id, name, bitrate_bps, label: hasSizes ? `${height}p` : names?.[id] ?? name }));
}

/**
 * What can be chosen, and what was: the choice is kept over reconnections.
 *
 * Events: `change`.
 */
export class Qualities extends EventTarget {
  /** @type {Quality[]} */ levels = [];
  /** The chosen id; -1 for what the network carries. */ level = -1;
  /** @type {string | null} */ #name = null;

  /** @param {import('./whep.js').WhepClient | null} client whom to ask; null where there is nothing to choose */
  async read(client) {
    const levels = client ? qualitiesOf(await client.layers()) : [];
    this.#tell(levels, levels.find(({ name }) => name === this.#name)?.id ?? -1);
  }

  /** @param {import('./whep.js').WhepClient | null} client @param {number} id */
  async choose(client, id) {
    this.#name = this.levels.find((level) => level.id === id)?.name ?? null;
    this.#tell(this.levels, id);
    if (await client?.chooseLayer(this.#name)) return;
    // What was not to be had is not chosen.
    this.#name = null;
    await this.read(client);
  }

  /** Chooses again in a new session. @param {import('./whep.js').WhepClient} client */
  restore(client) {
    if (this.#name !== null) client.chooseLayer(this.#name);
  }

  /** Another stream has other layers. */
  forget() {
    this.#name = null;
    this.#tell([], -1);
  }

  #tell(/** @type {Quality[]} */ levels, /** @type {number} */ level) {
    this.levels = levels;
    this.level = level;
    this.dispatchEvent(new CustomEvent('change'));
  }
}
