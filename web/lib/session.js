/**
 * One session of WHIP or WHEP: a peer connection and its resource on the server, from the offer to the DELETE.
 * @module
 */
import { sleep } from './backoff.js';
import { deleteResource, patchResource, postOffer, Refusal, replacement } from './http.js';
import { fragment, iceOf, withIce } from './sdp.js';

/** How long ICE and DTLS may take after the answer, in ms. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** How long an interruption may last before ICE is restarted, in ms: shorter ones heal by themselves. */
export const INTERRUPTION_MAX_MS = 2000;
/** How long a restarted ICE may take before the session is given up, in ms. */
export const RESTART_TIMEOUT_MS = 5000;
/** How long the connection outlives a request to delete its session, in ms. */
const GOODBYE_MAX_MS = 1000;
/** Trickled candidates are collected this long, in ms: one PATCH for a burst. */
const TRICKLE_DELAY_MS = 100;
/** Most candidates of one session that are trickled; a machine with more addresses reaches the server by one of these. */
const TRICKLE_MAX = 32;

/**
 * @typedef {object} SessionOptions
 * @property {'whip' | 'whep'} protocol
 * @property {string} address absolute address of the endpoint
 * @property {string | null} [key]
 * @property {boolean} [trickle] send local candidates by PATCH. Off by default: a server whose answer holds all of its own candidates meets
 *   the browser at the address its first check comes from.
 * @property {RTCIceServer[]} [iceServers]
 * @property {(sdp: string) => string} [tuneOffer]
 * @property {(sdp: string) => string} [tuneAnswer]
 */

/**
 * Events: `stable` and `unstable` (a `CustomEvent` each) as the connection comes and goes, `end` with `detail.reason` once, when it will not come back.
 */
export class Session extends EventTarget {
  /** @type {RTCPeerConnection} */ pc;
  /** @type {RTCIceServer[]} what the server recommended */ iceServers = [];
  #options;
  #resource = '';
  /** @type {string | null} */ #etag = null;
  #ended = false;
  #restarting = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  /** @type {string[]} */ #candidates = [];
  #trickled = 0;

  /** @param {SessionOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceServers: options.iceServers ?? [] });
    if (options.trickle) this.pc.addEventListener('icecandidate', (event) => this.#trickle(event.candidate));
  }

  /** Whether the session is over. */
  get ended() {
    return this.#ended;
  }

  /** The session's own address at the venue; empty when it has none, or none any more. */
  get resource() {
    return this.#resource;
  }

  /**
   * Offers what the peer connection holds and takes the answer. Gathering goes on meanwhile: nothing waits for it.
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   * @throws {Refusal}
   */
  async offer(signal) {
    const { protocol, address, key, tuneOffer = same, tuneAnswer = same } = this.#options;
    const { sdp } = await this.pc.createOffer();
    const offer = tuneOffer(sdp ?? '');
    const posted = postOffer(protocol, address, offer, { key, signal });
    const [reply] = await Promise.all([posted, this.pc.setLocalDescription({ type: 'offer', sdp: offer })]).catch(async (error) => {
      // A session that was made although this side failed must not stay behind.
      posted.then((late) => deleteResource(late.resource, { key }), () => {});
      throw error;
    });
    this.#resource = reply.resource;
    this.#etag = reply.etag;
    this.iceServers = reply.iceServers;
    signal.throwIfAborted();
    await this.pc.setRemoteDescription({ type: 'answer', sdp: tuneAnswer(reply.sdp) });
    if (reply.iceServers.length > 0) this.#learn(reply.iceServers);
  }

  /**
   * Answers a WHEP counter-offer (draft-ietf-wish-whep-03 section 4.2).
   * @param {{sdp: string, resource: string, etag: string | null}} counter
   * @param {AbortSignal} signal
   * @returns {Promise<string>} the answer that was sent
   * @throws {Refusal}
   */
  async answer({ sdp, resource, etag }, signal) {
    const { key, tuneOffer = same } = this.#options;
    this.#resource = resource;
    this.#etag = etag;
    await this.pc.setRemoteDescription({ type: 'offer', sdp });
    const answer = tuneOffer((await this.pc.createAnswer()).sdp ?? '');
    await this.pc.setLocalDescription({ type: 'answer', sdp: answer });
    const response = await patchResource(resource, { type: 'application/sdp', body: answer, key, signal });
    if (!response.ok) throw new Refusal('not-acceptable', `The venue did not take this browser's answer (${response.status})`, { status: response.status });
    return answer;
  }

  /**
   * Resolves when media can flow, and watches the connection from then on.
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   * @throws {Refusal} kind `blocked` when nothing gets through
   */
  async connected(signal) {
    await settled(this.pc, signal, CONNECT_TIMEOUT_MS);
    this.pc.addEventListener('connectionstatechange', () => this.#watch());
    for (const transport of new Set(this.pc.getTransceivers().map(({ sender, receiver }) => receiver.transport ?? sender.transport))) {
      // A server that says goodbye (DTLS close_notify) is believed at once; ICE alone would take half a minute to notice.
      transport?.addEventListener('statechange', () => {
        if (transport.state === 'closed' || transport.state === 'failed') this.end('the venue closed the connection');
      });
    }
    this.#watch();
    if (this.#options.trickle) this.#flush();
  }

  /** Why the server ended the session, if that was for another's sake. @returns {Promise<Refusal | null>} */
  replacement() {
    return replacement(this.#resource, { key: this.#options.key });
  }

  /**
   * Gives the session up. `close` is still the caller's to call.
   * @param {string} reason for a log or a person
   */
  end(reason) {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.dispatchEvent(new CustomEvent('end', { detail: { reason } }));
  }

  /**
   * Closes both sides. Safe to call more than once. The server is told first: it would take a connection that closes for the end, and know
   * nothing any more of the session that is to be deleted.
   * @param {{leaving?: boolean}} [options] leaving: the page goes away
   * @returns {Promise<void>}
   */
  async close({ leaving = false } = {}) {
    for (const sender of this.pc.getSenders()) sender.replaceTrack(null).catch(() => {}); // From here on nobody is seen or heard.
    await Promise.race([this.release({ leaving }), sleep(GOODBYE_MAX_MS)]);
    this.pc.close();
  }

  /**
   * Ends the session on the server but leaves the peer connection as it is: the last picture stays where it is shown. `close` must follow.
   * @param {{leaving?: boolean}} [options]
   * @returns {Promise<void>}
   */
  async release({ leaving = false } = {}) {
    this.#ended = true;
    clearTimeout(this.#timer);
    const resource = this.#resource;
    this.#resource = '';
    await deleteResource(resource, { key: this.#options.key, leaving });
  }

  #watch() {
    const state = this.pc.connectionState;
    if (this.#ended) return;
    clearTimeout(this.#timer);
    if (state === 'connected') {
      this.dispatchEvent(new CustomEvent('stable'));
    } else if (state === 'disconnected') {
      this.dispatchEvent(new CustomEvent('unstable'));
      this.#timer = setTimeout(() => this.#restart(), INTERRUPTION_MAX_MS);
    } else if (state === 'failed') {
      this.dispatchEvent(new CustomEvent('unstable'));
      this.#restart();
    } else if (state === 'closed') {
      this.end('the connection was closed');
    }
  }

  /** Restarts ICE (RFC 9725 section 4.3.2): media goes on over a new network without a new session. */
  async #restart() {
    if (this.#restarting || this.#ended) return;
    this.#restarting = true;
    try {
      const { tuneOffer = same, key } = this.#options;
      const { sdp } = await this.pc.createOffer({ iceRestart: true });
      await this.pc.setLocalDescription({ type: 'offer', sdp: tuneOffer(sdp ?? '') });
      const response = await patchResource(this.#resource, {
        type: 'application/trickle-ice-sdpfrag',
        ifMatch: '*',
        body: fragment(this.pc.localDescription?.sdp ?? '', [], false),
        key,
      });
      const ice = response.status === 200 ? iceOf(await response.text()) : null;
      if (!ice) throw new Error(`the venue answered ${response.status}`);
      this.#etag = response.headers.get('ETag');
      await this.pc.setRemoteDescription({ type: 'answer', sdp: withIce(this.pc.currentRemoteDescription?.sdp ?? '', ice) });
      await settled(this.pc, undefined, RESTART_TIMEOUT_MS);
    } catch (error) {
      this.end(`the connection was lost: ${error instanceof Error ? error.message : error}`);
    } finally {
      this.#restarting = false;
    }
  }

  /** Servers that arrive with the answer serve this connection's next gathering, which a restart begins. */
  #learn(/** @type {RTCIceServer[]} */ iceServers) {
    try {
      this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers });
    } catch {
      this.iceServers = [];
    }
  }

  #trickle(/** @type {RTCIceCandidate | null} */ candidate) {
    // A `.local` name means nothing outside this machine's own network.
    if (!candidate?.candidate || /\.local\b/.test(candidate.candidate) || this.#trickled >= TRICKLE_MAX) return;
    this.#trickled += 1;
    this.#candidates.push(candidate.candidate);
    if (this.#resource) this.#flush();
  }

  #flush() {
    if (this.#candidates.length === 0) return;
    setTimeout(() => {
      const batch = this.#candidates.splice(0);
      if (batch.length === 0 || !this.#resource) return;
      patchResource(this.#resource, {
        type: 'application/trickle-ice-sdpfrag',
        ifMatch: this.#etag,
        key: this.#options.key,
        body: fragment(this.pc.localDescription?.sdp ?? '', batch, false),
      }).catch(() => {}); // One lost candidate of several is no reason to give up.
    }, TRICKLE_DELAY_MS);
  }
}

const same = (/** @type {string} */ sdp) => sdp;

/**
 * Resolves when the connection is up.
 * @param {RTCPeerConnection} pc
 * @param {AbortSignal | undefined} signal
 * @param {number} timeoutMs
 * @returns {Promise<void>}
 */
function settled(pc, signal, timeoutMs) {
  return new Promise((resolve, reject) => {
    const finish = (/** @type {unknown} */ error) => {
      clearTimeout(timer);
      pc.removeEventListener('connectionstatechange', check);
      signal?.removeEventListener('abort', aborted);
      if (error) reject(error);
      else resolve();
    };
    const aborted = () => finish(signal?.reason ?? new Error('stopped'));
    const check = () => {
      if (pc.connectionState === 'connected') finish(null);
      else if (pc.connectionState === 'closed') finish(new Refusal('unreachable', 'The connection was closed'));
    };
    const timer = setTimeout(() => finish(new Refusal('blocked', `No media got through within ${timeoutMs / 1000} s`)), timeoutMs);
    pc.addEventListener('connectionstatechange', check);
    signal?.addEventListener('abort', aborted, { once: true });
    if (signal?.aborted) aborted();
    else check();
  });
}
