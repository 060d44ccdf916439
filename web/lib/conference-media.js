/**
 * The peer connection of the moment: made for a join, given up when nothing else helps, made anew under the same participant.
 * @module
 */
import { Backoff } from './backoff.js';
import { Peer } from './conference-peer.js';

/**
 * @typedef {object} MediaOptions
 * @property {import('./conference-connection.js').Connection} connection
 * @property {import('./conference-feeds.js').Feeds} feeds
 * @property {string[]} codecs
 * @property {boolean} red
 * @property {boolean} music
 * @property {import('./conference-data.js').Data} data
 */

/**
 * Events: `media` when `state` changed; `sections` when other tracks can be received than before; `gone` when nothing is received any more; `error`
 * with `detail.error` when the server does not take an offer.
 */
export class Media extends EventTarget {
  #options;
  /** @type {Peer | null} */ #peer = null;
  #offers = 0;
  #music;
  /** @type {RTCIceServer[]} */ #iceServers = [];
  #renewals = new Backoff();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #renewal;

  /** @param {MediaOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#music = options.music;
    options.connection.addEventListener('lost', () => this.#peer?.abandon());
  }

  /** `none`, `connecting`, `connected` or `interrupted`. */
  get state() {
    return this.#peer?.media ?? 'none';
  }

  get peer() {
    return this.#peer;
  }

  /** Whether there is a connection to go on with when the way to the server is found again. */
  get isAnswered() {
    return this.#peer?.isAnswered === true;
  }

  /** A new connection, and the offer for a join. @returns {Promise<string>} */
  offer() {
    return this.#open().firstOffer(0);
  }

  /**
   * The server has said welcome.
   * @param {{isKept: boolean, iceRestart: boolean, iceServers: RTCIceServer[]}} welcome isKept: it has this connection still
   */
  welcome({ isKept, iceRestart, iceServers }) {
    this.#iceServers = iceServers;
    this.#peer?.setIceServers(iceServers);
    if (!this.isAnswered) return;
    if (isKept) this.#peer?.resume({ iceRestart });
    else this.renew();
  }

  /** The media is gone, the participant stays: a new connection under the same name. */
  async renew() {
    const { connection, feeds } = this.#options;
    clearTimeout(this.#renewal);
    // Without a way to the server the next join brings the offer.
    if (!connection.isOpen) return this.drop();
    this.#tell('gone');
    const peer = this.#open();
    const id = (this.#offers += 1);
    try {
      const sdp = await peer.firstOffer(id);
      connection.send({ type: 'offer', id, sdp, fresh: true });
      feeds.repeat([]);
    } catch (error) {
      // Somebody left meanwhile, or the next join carries an offer of its own.
      if (peer === this.#peer) this.#tell('error', { error, id });
    }
  }

  /** Nothing is sent or received any more. */
  drop() {
    clearTimeout(this.#renewal);
    if (!this.#peer) return;
    this.#options.data.detach();
    this.#peer.close();
    this.#peer = null;
    this.#tell('gone');
    this.#tell('media');
  }

  /** The page goes away: the server hears of it at once. */
  close() {
    this.#peer?.close();
  }

  /** @param {boolean} music @returns {Promise<void>} */
  async setMusic(music) {
    this.#music = music;
    await this.#peer?.setMusic(music);
  }

  #open() {
    const { connection, feeds, codecs, red, data } = this.#options;
    this.#peer?.close();
    const send = (/** @type {object} */ message) => connection.send(message);
    const peer = new Peer({ send, nextId: () => (this.#offers += 1), iceServers: this.#iceServers, codecs, red, music: this.#music, data });
    this.#peer = peer;
    feeds.attach(peer);
    peer.addEventListener('media', () => {
      if (peer.media === 'connected') this.#renewals.reset();
      this.#tell('media');
    });
    peer.addEventListener('sections', () => this.#tell('sections'));
    peer.addEventListener('unheard', () => connection.refresh());
    peer.addEventListener('lost', (event) => {
      const { error } = /** @type {CustomEvent} */ (event).detail;
      clearTimeout(this.#renewal);
      this.#renewal = setTimeout(() => this.renew(), this.#renewals.next(error.cause?.retryAfterMs));
    });
    this.#tell('media');
    return peer;
  }

  #tell(/** @type {string} */ type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
