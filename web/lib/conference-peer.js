/**
 * The one peer connection of a participant: its sections, and its life on networks that come and go.
 * @module
 */
import { cameraEncodings, preferCodecs, screenEncodings, tuneLocal, tuneRemote } from './conference-encodings.js';
import { Negotiation, NegotiationError } from './conference-negotiation.js';
import { offerDescriptors } from './sdp.js';
import { INTERRUPTION_MAX_MS, RESTART_TIMEOUT_MS } from './session.js';

/** Slots that are offered at first, of each kind; the server asks for more. */
const SLOTS_FIRST = 3;
/** Most candidates of one gathering that are sent: the server meets the browser at the address its first check comes from anyway. */
const CANDIDATES_MAX = 16;
/** How often ICE is restarted before a new connection is made. */
const RESTARTS_MAX = 3;
/** How long the first answer may take, in ms: the way to the server may have to be found first. */
const FIRST_ANSWER_TIMEOUT_MS = 30_000;
/** How long a connection may take, in ms, after it was agreed upon. */
const CONNECT_TIMEOUT_MS = 12_000;

/**
 * @typedef {object} PeerOptions
 * @property {(message: object) => boolean} send
 * @property {() => number} nextId
 * @property {RTCIceServer[]} iceServers
 * @property {string[]} codecs
 * @property {boolean} red
 * @property {boolean} music
 * @property {import('./conference-data.js').Data} [data] opens its channels in this connection
 */

/**
 * Events: `media` with `detail.media` (`connecting`, `connected`, `interrupted`); `sections` after each negotiation; `unheard` when the server does not
 * answer any more; `lost` when only a new connection can help.
 */
export class Peer extends EventTarget {
  /** @type {RTCPeerConnection} */ pc;
  /** Whether the server answered the first offer: only then is there something to go on with. */ isAnswered = false;
  /** @type {'connecting' | 'connected' | 'interrupted'} */ media = 'connecting';
  #options;
  #negotiation;
  /** @type {Record<'camera' | 'screen', Record<'audio' | 'video', RTCRtpTransceiver>>} */ #sending;
  #music;
  #isClosed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #restarts = 0;
  /** @type {string[]} */ #candidates = [];
  #gathered = 0;

  /** @param {PeerOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#music = options.music;
    this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceServers: options.iceServers });
    this.#sending = makeSections(this.pc, options.codecs);
    options.data?.attach(this.pc);
    this.#negotiation = new Negotiation(this.pc, {
      send: options.send,
      nextId: options.nextId,
      tuneLocal,
      tuneRemote: (sdp) => tuneRemote(sdp, this.#rules()),
      onStable: () => this.#agreed(),
    });
    this.pc.addEventListener('icecandidate', ({ candidate }) => this.#trickle(candidate));
    this.pc.addEventListener('connectionstatechange', () => this.#watch());
  }

  /**
   * The first offer, which the caller sends itself.
   * @param {number} id
   * @returns {Promise<string>}
   * @throws {NegotiationError}
   */
  async firstOffer(id) {
    const { sdp, answered } = await this.#negotiation.first(id, FIRST_ANSWER_TIMEOUT_MS);
    answered.catch((error) => this.#end(error));
    return sdp;
  }

  /** Gives an answer, an offer or an error of the server to the negotiation. @param {{type: string, [field: string]: any}} message */
  take(message) {
    this.#negotiation.take(message);
  }

  /** The sender of what this participant publishes. @param {'camera' | 'screen'} source @param {'audio' | 'video'} kind */
  sender(source, kind) {
    return this.#sending[source][kind].sender;
  }

  /** @param {'camera' | 'screen'} source @param {'audio' | 'video'} kind @returns {string | null} null before the first offer */
  midOf(source, kind) {
    return this.#sending[source][kind].mid;
  }

  /** What a section receives. @param {string} mid @returns {MediaStreamTrack | null} */
  received(mid) {
    return this.slots().find((slot) => slot.mid === mid)?.track ?? null;
  }

  /** The sections in which the server sends. @returns {{mid: string, kind: string, track: MediaStreamTrack}[]} */
  slots() {
    const own = new Set(Object.values(this.#sending).flatMap((kinds) => Object.values(kinds)));
    return this.pc.getTransceivers()
      .filter((transceiver) => transceiver.mid !== null && !own.has(transceiver))
      .map(({ mid, receiver }) => ({ mid: /** @type {string} */ (mid), kind: receiver.track.kind, track: receiver.track }));
  }

  /** Music is encoded otherwise than speech, which both sides have to know. @param {boolean} music @returns {Promise<void>} */
  async setMusic(music) {
    if (music === this.#music) return;
    this.#music = music;
    if (!this.isAnswered) return;
    await this.#negotiation.offer().catch((error) => {
      // It is agreed upon with everything else when the way to the server is found again.
      if (error.code !== 'unsent') throw error;
    });
  }

  /** Servers that serve the next gathering. @param {RTCIceServer[]} iceServers */
  setIceServers(iceServers) {
    try {
      this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers });
    } catch {
      // One that this browser does not understand: it goes on with those it has.
    }
  }

  /** The way to the server is lost; media goes on. */
  abandon() {
    clearTimeout(this.#timer);
    this.#negotiation.abandon();
  }

  /**
   * The way to the server is found again: whatever either side missed is agreed upon anew.
   * @param {{iceRestart: boolean}} options
   */
  resume({ iceRestart }) {
    this.#restarts = 0;
    if (iceRestart || this.pc.connectionState !== 'connected') this.#restart();
    else this.#negotiation.offer().catch((error) => this.#unheard(error));
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#negotiation.close();
    this.pc.close();
  }

  #rules() {
    return { microphone: this.midOf('camera', 'audio'), screen: this.midOf('screen', 'audio'), music: this.#music, red: this.#options.red, codecs: this.#options.codecs };
  }

  #agreed() {
    if (!this.isAnswered) {
      this.isAnswered = true;
      this.#timer = setTimeout(() => this.#restart(), CONNECT_TIMEOUT_MS);
      this.#flush();
    }
    this.dispatchEvent(new CustomEvent('sections'));
  }

  #watch() {
    const state = this.pc.connectionState;
    if (this.#isClosed) return;
    if (state === 'connected') {
      clearTimeout(this.#timer);
      this.#restarts = 0;
      this.#tell('connected');
    } else if (state === 'disconnected') {
      clearTimeout(this.#timer);
      this.#tell('interrupted');
      this.#timer = setTimeout(() => this.#restart(), INTERRUPTION_MAX_MS);
    } else if (state === 'failed') {
      this.#tell('interrupted');
      this.#restart();
    }
  }

  /** Restarts ICE: media goes on over another network. After some that did not help, only a new connection can. */
  async #restart() {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    if (this.#restarts >= RESTARTS_MAX) return this.#end(new Error('no media gets through'));
    this.#restarts += 1;
    this.#gathered = 0;
    try {
      await this.#negotiation.offer({ iceRestart: true, timeoutMs: RESTART_TIMEOUT_MS });
      clearTimeout(this.#timer);
      if (this.pc.connectionState !== 'connected') this.#timer = setTimeout(() => this.#restart(), RESTART_TIMEOUT_MS);
    } catch (error) {
      this.#unheard(error);
    }
  }

  /** Without an answer the way to the server is dead, though nobody said so; whoever finds another one calls `resume`. */
  #unheard(/** @type {any} */ error) {
    if (this.#isClosed || error.code === 'unsent' || error.code === 'closed') return;
    if (error.code === 'unanswered') this.dispatchEvent(new CustomEvent('unheard'));
    else this.#end(error);
  }

  #end(/** @type {any} */ error) {
    if (this.#isClosed || error.code === 'unsent' || error.code === 'closed') return;
    this.dispatchEvent(new CustomEvent('lost', { detail: { error } }));
  }

  #tell(/** @type {'connected' | 'interrupted'} */ media) {
    if (media === this.media) return;
    this.media = media;
    this.dispatchEvent(new CustomEvent('media', { detail: { media } }));
  }

  #trickle(/** @type {RTCIceCandidate | null} */ candidate) {
    // A `.local` name means nothing outside this machine's own network.
    if (!candidate?.candidate || /\.local\b/.test(candidate.candidate) || this.#gathered >= CANDIDATES_MAX) return;
    this.#gathered += 1;
    this.#candidates.push(candidate.candidate);
    if (this.isAnswered) this.#flush();
  }

  #flush() {
    for (const candidate of this.#candidates.splice(0)) this.#options.send({ type: 'candidate', candidate });
  }
}

/** All sections that this side ever makes: tracks come and go in them without a negotiation. */
function makeSections(/** @type {RTCPeerConnection} */ pc, /** @type {string[]} */ codecs) {
  const sending = {
    camera: {
      audio: pc.addTransceiver('audio', { direction: 'sendonly' }),
      video: pc.addTransceiver('video', { direction: 'sendonly', sendEncodings: cameraEncodings() }),
    },
    screen: {
      video: screenSection(pc),
      audio: pc.addTransceiver('audio', { direction: 'sendonly' }),
    },
  };
  preferCodecs(sending.camera.video, codecs);
  preferCodecs(sending.screen.video, codecs);
  for (let slot = 0; slot < SLOTS_FIRST; slot += 1) pc.addTransceiver('audio', { direction: 'recvonly' });
  for (let slot = 0; slot < SLOTS_FIRST; slot += 1) offerDescriptors(pc.addTransceiver('video', { direction: 'recvonly' }));
  return sending;
}

function screenSection(/** @type {RTCPeerConnection} */ pc) {
  try {
    return pc.addTransceiver('video', { direction: 'sendonly', sendEncodings: screenEncodings(true) });
  } catch {
    // A browser that knows no temporal layers refuses their name.
    return pc.addTransceiver('video', { direction: 'sendonly', sendEncodings: screenEncodings(false) });
  }
}
