/**
 * Performing by WHIP (RFC 9725).
 * @module
 */
import { Client } from './client.js';
import { encodings } from './media.js';
import { stageOrder, startAt, tuneOpus } from './sdp.js';

/** How long, in ms, somebody else on the stage is taken for this performer's own last session, which the server has not missed yet. */
const GHOST_MAX_MS = 20_000;

/** Most that a picture begins with, in bit/s: what nearly every uplink carries until the browser has measured this one. */
const START_MAX_BPS = 1_500_000;

/**
 * @typedef {object} WhipOptions
 * @property {import('./media.js').Preset} preset
 * @property {boolean} [music] two channels and up to 256 kbit/s
 * @property {boolean} [simulcast] three sizes of the picture at once
 */

/**
 * A performer of one stream. Reconnects by itself and keeps the tracks that it was given last.
 */
export class WhipClient extends Client {
  #options;
  /** @type {{video: MediaStreamTrack | null, audio: MediaStreamTrack | null}} */ #tracks = { video: null, audio: null };
  #lastLive = -Infinity;

  /**
   * @param {string} address for example `/whip/residence`
   * @param {import('./client.js').ClientOptions & WhipOptions} options
   */
  constructor(address, options) {
    super('whip', address, options);
    this.#options = options;
    this.addEventListener('state', (event) => {
      if (/** @type {CustomEvent} */ (event).detail.state === 'live') this.#lastLive = performance.now();
    });
  }

  /**
   * Sends these tracks: at once where a sender for the kind exists, else with a new session.
   * @param {{video: MediaStreamTrack | null, audio: MediaStreamTrack | null}} tracks
   * @returns {Promise<void>}
   */
  async setTracks(tracks) {
    const before = this.#tracks;
    this.#tracks = { ...tracks };
    const { session } = this;
    if (!session) return;
    const sameKinds = Boolean(before.video) === Boolean(tracks.video) && Boolean(before.audio) === Boolean(tracks.audio);
    if (!sameKinds) return this.renew();
    await Promise.all(session.pc.getSenders().map((sender) => {
      const track = sender.track?.kind === 'video' ? tracks.video : tracks.audio;
      return sender.track && sender.track !== track ? sender.replaceTrack(track) : undefined;
    }));
  }

  /**
   * Changes the picture's bit rate while it is sent.
   * @param {import('./media.js').Preset} preset
   * @returns {Promise<void>}
   */
  async setPreset(preset) {
    this.#options = { ...this.#options, preset };
    const sender = this.session?.pc.getSenders().find(({ track }) => track?.kind === 'video');
    if (!sender) return;
    const parameters = sender.getParameters();
    const wanted = encodings(preset, parameters.encodings.length > 1);
    parameters.encodings.forEach((encoding, place) => Object.assign(encoding, { maxBitrate: wanted[place]?.maxBitrate, maxFramerate: preset.fps }));
    await sender.setParameters(parameters);
  }

  /** @param {RTCPeerConnection} pc */
  prepare(pc) {
    const { preset, simulcast = false, music = false } = this.#options;
    const { video, audio } = this.#tracks;
    if (audio) pc.addTransceiver(audio, { direction: 'sendonly', sendEncodings: [{ maxBitrate: music ? 256_000 : 64_000 }] });
    if (video) {
      const transceiver = pc.addTransceiver(video, { direction: 'sendonly', sendEncodings: encodings(preset, simulcast) });
      preferStageCodecs(transceiver);
    }
  }

  /** A browser sends two channels, and their bit rate, when the answer asks for it; the venue answers as it is offered. @param {string} sdp */
  tuneOffer(sdp) {
    return this.#options.music ? tuneOpus(sdp, { stereo: 1, 'sprop-stereo': 1, maxaveragebitrate: 256_000 }) : sdp;
  }

  /** @param {string} sdp */
  tuneAnswer(sdp) {
    return startAt(sdp, Math.min(START_MAX_BPS, this.#options.preset.bitrate_bps * 0.6));
  }

  /** @param {import('./http.js').Refusal} refusal @returns {import('./states.js').Step} */
  judge(refusal) {
    if (refusal.kind === 'taken' && performance.now() - this.#lastLive < GHOST_MAX_MS) return 'lost';
    return super.judge(refusal);
  }

  /** Two pages with one key do not fight: the one that was replaced stops. @param {import('./session.js').Session} session @param {AbortSignal} signal */
  async explain(session, signal) {
    const replaced = signal.aborted ? null : await session.replacement();
    if (replaced) throw replaced;
  }

  /** While it is live, the moment that counts for `judge` moves on. */
  observe() {
    this.#lastLive = performance.now();
  }
}

/** H.264 before VP8 before the rest; a browser that refuses the order keeps its own. */
function preferStageCodecs(/** @type {RTCRtpTransceiver} */ transceiver) {
  const codecs = globalThis.RTCRtpSender?.getCapabilities?.('video')?.codecs;
  if (!codecs || !transceiver.setCodecPreferences) return;
  try {
    transceiver.setCodecPreferences(stageOrder(codecs));
  } catch {
    // Firefox before 128 and some Safari versions reject lists of their own capabilities.
  }
}
