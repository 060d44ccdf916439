/**
 * Watching a stream by WHEP (draft-ietf-wish-whep-03).
 * @module
 */
import { Client } from './client.js';
import { Refusal } from './http.js';
import { parseLayers } from './layers.js';
import { carries, offerDescriptors, tuneOpus } from './sdp.js';
import { Watchdog } from './stats.js';

/**
 * A viewer of one stream. Waits by itself while nobody performs, reconnects by itself, and gives up a picture that stands still.
 *
 * Events beside those of `Client`: `stream` with `detail.stream` (a new `MediaStream` for each session) and `detail.video` (whether it has a picture).
 */
export class WhepClient extends Client {
  /** @type {MediaStream | null} */ stream = null;
  /** Whether the stage is known to be live: only then is silence a fault. */ expectMedia = true;
  /** False when this browser cannot decode the picture, only the sound. */ canSeePicture = true;
  #watchdog = new Watchdog();
  #video = false;
  /** Closed as soon as its successor shows something. @type {import('./session.js').Session | null} */ #last = null;

  /**
   * @param {string} address for example `/whep/residence`
   * @param {import('./client.js').ClientOptions} [options]
   */
  constructor(address, options) {
    super('whep', address, options);
  }

  /** @param {RTCPeerConnection} pc */
  prepare(pc) {
    offerDescriptors(pc.addTransceiver('video', { direction: 'recvonly' }));
    pc.addTransceiver('audio', { direction: 'recvonly' });
  }

  /** A browser plays two channels only when its own description asks for them. @param {string} sdp */
  tuneOffer(sdp) {
    return tuneOpus(sdp, { stereo: 1 });
  }

  /** @param {Refusal} refusal @returns {import('./states.js').Step} */
  judge(refusal) {
    return refusal.kind === 'not-live' ? 'not-live' : super.judge(refusal);
  }

  /**
   * @param {import('./session.js').Session} session
   * @param {AbortSignal} signal
   */
  async negotiate(session, signal) {
    try {
      await super.negotiate(session, signal);
    } catch (error) {
      if (!(error instanceof Refusal) || !error.counterOffer) throw error;
      session.close();
      return this.#accept(error.counterOffer, signal);
    }
    this.#receive(session, carries(session.pc.remoteDescription?.sdp ?? '', 'video'));
    return session;
  }

  /** After an outage of the venue: a session that it does not know any more is over, whatever the browser still takes the connection for. */
  async check() {
    const { session } = this;
    if (!session?.resource) return;
    const status = await fetch(session.resource, { method: 'HEAD', cache: 'no-store' }).then((response) => response.status, () => 0);
    if (status === 404 || status === 410) session.end('the venue began anew');
  }

  /**
   * The layers that the venue could send now.
   * @returns {Promise<import('./layers.js').Layer[]>} empty where it does not say
   */
  async layers() {
    return this.#askForLayers();
  }

  /**
   * Has the venue send one layer, or again the one that the network carries.
   * @param {string | null} name null for the latter
   * @returns {Promise<boolean>} whether the venue does
   */
  async chooseLayer(name) {
    const layers = await this.#askForLayers({ method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(name === null ? {} : { encodingId: name }) });
    return layers.length > 0;
  }

  async #askForLayers(/** @type {RequestInit} */ request = {}) {
    const resource = this.session?.resource;
    if (!resource) return [];
    try {
      const response = await fetch(`${resource}/layer`, { cache: 'no-store', ...request });
      return response.ok ? parseLayers(await response.json()) : [];
    } catch {
      return [];
    }
  }

  /** @param {import('./stats.js').Summary} summary @param {import('./session.js').Session} session */
  observe(summary, session) {
    // A hidden tab may not be given pictures at all, and an interrupted connection has its own remedy.
    const watching = this.expectMedia && !globalThis.document?.hidden && session.pc.connectionState === 'connected';
    if (!watching) this.#watchdog.begin();
    else if (this.#watchdog.isFrozen(performance.now(), summary, { video: this.#video })) session.end('the picture stood still');
  }

  /**
   * A closed connection turns its picture black: the last one is kept until `forget`.
   * @param {import('./session.js').Session} session
   */
  retire(session) {
    if (session.pc.connectionState === 'new' || session.pc.connectionState === 'connecting') {
      session.close();
      return;
    }
    this.#last?.close();
    this.#last = session;
    session.release();
  }

  /** Lets the picture of an ended session go: another one is shown, or none should be. */
  forget() {
    this.#last?.close();
    this.#last = null;
  }

  /** @param {{leaving?: boolean}} [options] */
  stop(options) {
    super.stop(options);
    this.forget();
  }

  /** Takes the format that the server has, where this browser can play it. */
  async #accept(/** @type {{sdp: string, resource: string, etag: string | null}} */ counter, /** @type {AbortSignal} */ signal) {
    const session = this.createSession();
    try {
      const answer = await session.answer(counter, signal);
      const video = carries(answer, 'video');
      if (!video && !carries(answer, 'audio')) {
        throw new Refusal('not-acceptable', 'This browser cannot play the format that is performed', { status: 406 });
      }
      this.canSeePicture = video || !carries(counter.sdp, 'video');
      this.#receive(session, video);
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  #receive(/** @type {import('./session.js').Session} */ session, /** @type {boolean} */ video) {
    const receivers = session.pc.getReceivers().filter(({ track }) => track && (video || track.kind !== 'video'));
    for (const receiver of receivers) {
      // As little delay as the network allows: this is a stage, not a film. Older Chromium knows only the hint.
      if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0;
      else if ('playoutDelayHint' in receiver) /** @type {any} */ (receiver).playoutDelayHint = 0;
    }
    this.#video = video;
    this.#watchdog.begin();
    this.stream = new MediaStream(receivers.map(({ track }) => track));
    this.dispatchEvent(new CustomEvent('stream', { detail: { stream: this.stream, video } }));
  }
}
