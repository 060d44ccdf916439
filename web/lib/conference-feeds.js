/**
 * What this participant publishes: which tracks, muted or not, in which layers. It is the wish that is kept; connections and permissions come
 * and go under it.
 * @module
 */
import { layersOf, MUSIC_BPS, rateFor, SCREEN_SOUND_BPS, SPEECH_BPS, LAYERS } from './conference-encodings.js';
import { SOURCES } from './conference-messages.js';

const KINDS = /** @type {const} */ (['audio', 'video']);

/**
 * @typedef {import('./conference-messages.js').Source} Source
 * @typedef {import('./conference-messages.js').Muted} Muted
 *
 * @typedef {object} OwnFeed
 * @property {MediaStreamTrack | null} audio
 * @property {MediaStreamTrack | null} video
 * @property {Muted} muted
 * @property {boolean} music
 */

/** Events: `feed` with `detail` `{source, feed, reason}`: `own`, `ended` (the device or the browser's own button), `revoked` or `muted` (by somebody else). */
export class Feeds extends EventTarget {
  /** @type {Record<Source, OwnFeed | null>} */ #feeds = { camera: null, screen: null };
  /** Which layers somebody watches, as the server said last. @type {Record<Source, boolean[] | null>} */ #watched = { camera: null, screen: null };
  /** What the server knows: the text of the last `publish` and `mute`. @type {Record<Source, {shape: string, muted: string} | null>} */ #told = { camera: null, screen: null };
  /** @type {Record<Source, Muted>} */ #muted = { camera: { audio: false, video: false }, screen: { audio: false, video: false } };
  /** @type {import('./conference-peer.js').Peer | null} */ #peer = null;
  #send;
  #mayPublish;
  #mayMusic;
  #music;
  /** Changes of a sender's parameters, one after the other. @type {WeakMap<RTCRtpSender, Promise<void>>} */ #tuning = new WeakMap();
  #ended = (/** @type {Event} */ event) => this.#drop(/** @type {MediaStreamTrack} */ (event.target));

  /**
   * @param {object} options
   * @param {(message: object) => boolean} options.send
   * @param {(source: Source) => boolean} options.mayPublish
   * @param {() => boolean} options.mayMusic
   * @param {boolean} options.music
   */
  constructor({ send, mayPublish, mayMusic, music }) {
    super();
    this.#send = send;
    this.#mayPublish = mayPublish;
    this.#mayMusic = mayMusic;
    this.#music = music;
  }

  /** @param {Source} source @returns {OwnFeed | null} */
  get(source) {
    return this.#feeds[source];
  }

  /**
   * Publishes these tracks, in place of those before; a feed without any ends.
   * @param {Source} source
   * @param {{audio?: MediaStreamTrack | null, video?: MediaStreamTrack | null}} tracks what is left out stays
   * @returns {Promise<void>} when the browser sends them
   */
  set(source, tracks) {
    return this.#put(source, { ...this.#feeds[source], ...tracks }, 'own');
  }

  /** @param {Source} source @param {Partial<Muted>} muted what is left out stays @returns {Promise<void>} */
  mute(source, muted) {
    this.#muted[source] = { ...this.#muted[source], ...muted };
    return this.#put(source, { ...this.#feeds[source] }, 'own');
  }

  /** Another one muted this feed. @param {Source} source @param {Muted} muted @returns {Promise<void>} */
  obey(source, { audio, video }) {
    this.#muted[source] = { audio, video };
    const told = this.#told[source];
    if (told) told.muted = JSON.stringify(this.#muted[source]);
    return this.#put(source, { ...this.#feeds[source] }, 'muted');
  }

  /** The server ended this feed: nothing of it is sent until somebody publishes again. @param {Source} source @returns {Promise<void>} */
  revoke(source) {
    this.#told[source] = null;
    return this.#put(source, { audio: null, video: null }, 'revoked');
  }

  /** @param {boolean} music @returns {Promise<void>} */
  async setMusic(music) {
    this.#music = music;
    await this.#put('camera', { ...this.#feeds.camera }, 'own');
  }

  /** The server said which layers somebody watches, lowest first. @param {Source} source @param {boolean[]} active */
  setWatched(source, active) {
    this.#watched[source] = active;
    this.#tune(source, 'video').catch(() => {});
  }

  /** A new connection: everything is sent over it from now on, as soon as its sections are known. @param {import('./conference-peer.js').Peer} peer */
  attach(peer) {
    this.#peer = peer;
    this.#watched = { camera: null, screen: null };
    for (const source of SOURCES) this.#carry(/** @type {Source} */ (source)).catch(() => {});
  }

  /** The feeds as `join` carries them; the server knows them then. @returns {object[]} */
  announced() {
    this.#told = { camera: null, screen: null };
    return SOURCES.map((source) => this.#describe(/** @type {Source} */ (source))).filter((feed) => feed !== null).map(({ source, shape, muted, music }) => {
      this.#told[source] = { shape: JSON.stringify(shape), muted: JSON.stringify(muted) };
      return { source, ...shape, muted, music };
    });
  }

  /** The server forgot, or may have missed something: it is told everything again. @param {Source[]} known which feeds it has of us */
  repeat(known) {
    for (const source of /** @type {Source[]} */ (SOURCES)) {
      this.#told[source] = known.includes(source) ? { shape: '', muted: '' } : null;
      this.#tell(source);
    }
  }

  /** Permissions or sections changed: what may be sent now is sent, and nothing else. */
  reconsider() {
    for (const source of /** @type {Source[]} */ (SOURCES)) {
      this.#carry(source).catch(() => {});
      this.#tell(source);
    }
  }

  async #put(/** @type {Source} */ source, /** @type {{audio?: MediaStreamTrack | null, video?: MediaStreamTrack | null}} */ { audio = null, video = null }, /** @type {string} */ reason) {
    const before = this.#feeds[source];
    const feed = audio || video ? { audio, video, muted: this.#muted[source], music: source === 'camera' && this.#music } : null;
    this.#feeds[source] = feed;
    for (const kind of KINDS) {
      if (before?.[kind] === (feed?.[kind] ?? null)) continue;
      before?.[kind]?.removeEventListener('ended', this.#ended);
      feed?.[kind]?.addEventListener('ended', this.#ended);
    }
    if (!feed && !before) return;
    if (feed) hint(source, feed);
    // What is muted stops at once; what is told first reaches the others before the first packet does.
    const carried = this.#carry(source);
    this.#tell(source);
    this.dispatchEvent(new CustomEvent('feed', { detail: { source, feed, reason } }));
    await carried;
  }

  /** A device was unplugged, or sharing was ended with the browser's own button. */
  #drop(/** @type {MediaStreamTrack} */ track) {
    for (const source of /** @type {Source[]} */ (SOURCES)) {
      const feed = this.#feeds[source];
      if (feed?.video === track) this.#put(source, source === 'screen' ? {} : { audio: feed.audio }, 'ended').catch(() => {});
      else if (feed?.audio === track) this.#put(source, { video: feed.video }, 'ended').catch(() => {});
    }
  }

  /** Hands the tracks to the senders. */
  async #carry(/** @type {Source} */ source) {
    const peer = this.#peer;
    const feed = this.#feeds[source];
    if (!peer) return;
    await Promise.all(KINDS.map(async (kind) => {
      const sender = peer.sender(source, kind);
      const track = feed && !feed.muted[kind] && this.#mayPublish(source) ? feed[kind] : null;
      if (sender.track !== track) await sender.replaceTrack(track);
      if (track) await this.#tune(source, kind);
    }));
  }

  /** Bit rates for the size of the picture, and rest for layers that nobody watches. */
  #tune(/** @type {Source} */ source, /** @type {'audio' | 'video'} */ kind) {
    const sender = this.#peer?.sender(source, kind);
    if (!sender?.getParameters) return Promise.resolve();
    const turn = (this.#tuning.get(sender) ?? Promise.resolve()).then(async () => {
      const parameters = sender.getParameters();
      const size = sender.track?.getSettings?.() ?? {};
      if (!parameters.encodings?.length) return;
      parameters.encodings.forEach((encoding, place) => {
        if (kind === 'audio') encoding.maxBitrate = this.#soundRate(source);
        else if (source === 'camera') encoding.maxBitrate = rateFor(LAYERS[place]?.maxBitrate ?? LAYERS[0].maxBitrate, size);
        encoding.active = kind === 'audio' || (this.#watched[source]?.[place] ?? true);
      });
      await sender.setParameters(parameters);
    }).catch(() => {}); // Before the first answer, or in a browser that fixes them, the encodings stay as they were made.
    this.#tuning.set(sender, turn);
    return turn;
  }

  #soundRate(/** @type {Source} */ source) {
    if (source === 'screen') return SCREEN_SOUND_BPS;
    return this.#music ? MUSIC_BPS : SPEECH_BPS;
  }

  /** @returns {{source: Source, shape: object, muted: Muted, music: boolean} | null} null without a feed, or without sections for it yet */
  #describe(/** @type {Source} */ source) {
    const feed = this.#feeds[source];
    const [audio, video] = KINDS.map((kind) => (feed?.[kind] ? this.#peer?.midOf(source, kind) ?? null : null));
    if (!feed || (audio === null && video === null)) return null;
    const layers = feed.video ? layersOf(feed.video.getSettings?.() ?? {}, source) : [];
    return { source, shape: { audio, video, layers }, muted: feed.muted, music: feed.music && this.#mayMusic() };
  }

  /** Tells the server what it does not know yet. */
  #tell(/** @type {Source} */ source) {
    // Where it may not be, it is not: what the server once knew ended with the permission.
    if (!this.#mayPublish(source)) this.#told[source] = null;
    const described = this.#mayPublish(source) ? this.#describe(source) : null;
    const told = this.#told[source];
    if (!described) {
      if (told && !this.#feeds[source] && this.#send({ type: 'unpublish', source })) this.#told[source] = null;
      return;
    }
    const [shape, muted] = [JSON.stringify(described.shape), JSON.stringify(described.muted)];
    if (told?.shape !== shape) {
      if (this.#send({ type: 'publish', source, ...described.shape, muted: described.muted, music: described.music })) this.#told[source] = { shape, muted };
    } else if (told.muted !== muted) {
      if (this.#send({ type: 'mute', source, ...described.muted })) this.#told[source] = { shape, muted };
    }
  }
}

/** Browsers encode by what they are told a track is; a page that said so itself knows better. */
function hint(/** @type {Source} */ source, /** @type {OwnFeed} */ { audio, video, music }) {
  if (video && source === 'screen' && video.contentHint === '') video.contentHint = 'detail';
  if (audio) audio.contentHint = music || source === 'screen' ? 'music' : 'speech';
}
