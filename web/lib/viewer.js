/**
 * Watching a space: which of its streams is shown, and what the page should say meanwhile. Knows nothing of Vue: it plays before Vue has loaded.
 * @module
 */
import { DEFAULT_STREAM, endpoint, streamOfHash } from './names.js';
import { SpaceWatcher, viewersOf } from './spaces.js';
import { WhepClient } from './whep.js';

/** How long the stage may be dark, in ms, before a stream that still plays is taken for over: a performer who reconnects is a hiccup, not an end. */
export const HICCUP_MAX_MS = 4000;

/** How often a dark stage is asked again, in ms, while the venue tells by itself when it goes live: a waiting audience costs nothing. */
const PATIENCE_MS = 30_000;

/**
 * @typedef {object} Snapshot
 * @property {import('./states.js').State} state
 * @property {import('./http.js').Refusal | null} refusal
 * @property {string} stream the chosen one
 * @property {import('./spaces.js').Stream[]} streams every stream that the venue knows in this space
 * @property {number} viewers
 * @property {boolean} reachable
 * @property {boolean} known whether the venue has described the space yet
 * @property {boolean} wasLive whether this page has shown a performance
 * @property {boolean} canSeePicture
 * @property {boolean} hasPicture
 * @property {boolean} soundOnly
 * @property {boolean} muted
 * @property {boolean} blocked
 */

/** @typedef {{client: WhepClient, stream: MediaStream, video: boolean}} Media `video`: whether a picture is negotiated */

/**
 * Events: `change` whenever the snapshot may differ.
 */
export class Viewer extends EventTarget {
  #space;
  #screen;
  #watcher;
  /** @type {WhepClient | null} */ #client = null;
  /** @type {WhepClient | null} plays on until its successor has a picture */ #previous = null;
  /** @type {string | null} what the person asked for */ #choice;
  #stream;
  #wasLive = false;
  /** What the venue said last about the chosen stream: only a change is a reason to try at once. */ #told = false;
  /** Whose picture is on the screen. @type {WhepClient | null} */ #shown = null;
  /** What the current session brings. @type {Media & {picture: boolean} | null} */ #media = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #darkTimer;

  /**
   * @param {string} space
   * @param {import('./screen.js').Screen} screen
   * @param {string} [hash] the address's fragment, which may name a stream
   */
  constructor(space, screen, hash = '') {
    super();
    this.#space = space;
    this.#screen = screen;
    this.#choice = streamOfHash(hash);
    this.#stream = this.#choice ?? DEFAULT_STREAM;
    this.#watcher = new SpaceWatcher(space);
    screen.addEventListener('change', () => this.#changed());
    this.#watcher.addEventListener('space', () => this.#follow());
    this.#watcher.addEventListener('reachable', () => {
      this.#instruct();
      if (this.#watcher.reachable) this.#client?.nudge();
      this.#changed();
    });
  }

  /** Connects at once: the server says soon enough when nobody performs. */
  start() {
    this.#watch(this.#stream);
    this.#watcher.start();
  }

  /** @param {{leaving?: boolean}} [options] */
  stop(options) {
    clearTimeout(this.#darkTimer);
    this.#watcher.stop();
    for (const client of [this.#client, this.#previous]) client?.stop(options);
    this.#client = null;
    this.#previous = null;
    this.#clear();
  }

  /** Tries at once: the network is back, or somebody pressed the button. */
  retry() {
    if (this.#client?.state === 'failed') this.#watch(this.#stream);
    else this.#client?.nudge();
  }

  /**
   * Shows another stream; the current one stays until the other has a picture.
   * @param {string} stream
   */
  choose(stream) {
    this.#choice = stream;
    if (stream !== this.#stream) this.#watch(stream);
  }

  /** @returns {Snapshot} */
  snapshot() {
    const { space, reachable } = this.#watcher;
    return {
      state: this.#client?.state ?? 'idle',
      refusal: this.#client?.refusal ?? null,
      stream: this.#stream,
      streams: space?.streams ?? [],
      viewers: viewersOf(space),
      reachable,
      known: space !== null,
      wasLive: this.#wasLive,
      canSeePicture: this.#client?.canSeePicture ?? true,
      hasPicture: this.#screen.hasPicture,
      soundOnly: this.#screen.hasPicture && this.#media?.picture === false && !this.#screen.hasPixels,
      muted: this.#screen.muted,
      blocked: this.#screen.blocked,
    };
  }

  #isLive(/** @type {string} */ name) {
    return this.#watcher.space?.streams.find((stream) => stream.name === name)?.live ?? false;
  }

  /** Whether the venue knows of a picture, or knows nothing yet. */
  #mayHavePicture() {
    const known = this.#watcher.space?.streams.find(({ name }) => name === this.#stream)?.tracks ?? [];
    return known.length === 0 || known.some(({ kind }) => kind === 'video');
  }

  /** Tells the client what to expect: a dark stage is waited for patiently, a live one that is silent is a fault. */
  #instruct() {
    const { space, reachable } = this.#watcher;
    const live = this.#isLive(this.#stream);
    if (!this.#client) return;
    this.#client.expectMedia = space === null || live;
    this.#client.patienceMs = space !== null && reachable && !live ? PATIENCE_MS : 0;
  }

  /** The venue told something new about the space. */
  #follow() {
    const live = this.#isLive(this.#stream);
    const client = this.#client;
    this.#instruct();
    if (live) {
      clearTimeout(this.#darkTimer);
      this.#darkTimer = undefined;
      if (client && client.state !== 'live' && !this.#told) client.nudge();
    } else if (client?.state === 'live') {
      this.#expectEnd();
    }
    this.#told = live;
    const media = this.#media;
    if (live && media?.video && media.client === client && media.picture !== this.#mayHavePicture()) this.#show(media);
    // Nobody asked for a certain camera: show one that performs.
    const other = this.#watcher.space?.streams.find((stream) => stream.live);
    if (!live && !this.#choice && other && client?.state !== 'live') this.#watch(other.name);
    this.#changed();
  }

  #expectEnd() {
    this.#darkTimer ??= setTimeout(() => this.#end(), HICCUP_MAX_MS);
  }

  /** The stage stays dark: a new session waits for the next performance, and the last picture goes. */
  #end() {
    this.#darkTimer = undefined;
    const client = this.#client;
    if (!client || this.#isLive(this.#stream)) return;
    this.#clear();
    if (client.state === 'live') client.renew();
    else client.forget();
    this.#changed();
  }

  #clear() {
    this.#shown = null;
    this.#screen.clear();
  }

  #watch(/** @type {string} */ stream) {
    this.#previous?.stop();
    this.#previous = this.#client;
    this.#stream = stream;
    clearTimeout(this.#darkTimer);
    this.#darkTimer = undefined;
    const client = new WhepClient(endpoint('whep', this.#space, stream));
    this.#client = client;
    this.#media = null;
    this.#told = this.#isLive(stream);
    this.#instruct();
    client.addEventListener('stream', (event) => this.#show({ client, .../** @type {CustomEvent} */ (event).detail }));
    client.addEventListener('state', (event) => this.#turn(client, /** @type {CustomEvent} */ (event).detail.state));
    client.start();
    this.#changed();
  }

  /**
   * Shows what a session brings. Without a picture only the sound is given to the screen: a video element waits for ever for the first picture
   * of a track that has none. When the venue learns of a picture, or of its end, this is called again.
   */
  async #show(/** @type {Media} */ media) {
    if (media.client !== this.#client) return;
    const picture = media.video && this.#mayHavePicture();
    this.#media = { ...media, picture };
    const shown = await this.#screen.show(picture ? media.stream : new MediaStream(media.stream.getAudioTracks()), { video: picture });
    if (!shown || media.client !== this.#client) return;
    this.#shown = media.client;
    this.#wasLive = true;
    media.client.forget();
    this.#retire();
    this.#changed();
  }

  #turn(/** @type {WhepClient} */ client, /** @type {import('./states.js').State} */ state) {
    if (client !== this.#client) return;
    if (state === 'waiting' && this.#shown === client) {
      // The performer may be back in a moment: the last picture stays that long.
      this.#expectEnd();
    } else if (state === 'waiting' || state === 'failed') {
      this.#retire();
      this.#clear();
      client.forget();
    }
    this.#changed();
  }

  #retire() {
    this.#previous?.stop();
    this.#previous = null;
  }

  #changed() {
    this.dispatchEvent(new CustomEvent('change'));
  }
}
