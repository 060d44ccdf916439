/**
 * Offers and answers of one peer connection: one at a time, in order, and never two that cross.
 * @module
 */

/** How long an answer may take, in ms. */
export const ANSWER_TIMEOUT_MS = 10_000;

/** Why an offer came to nothing: `unsent`, `unanswered`, `refused` (the server says why), `closed` or `failed` (this browser says why). */
export class NegotiationError extends Error {
  /** @param {string} code @param {string} message @param {unknown} [cause] */
  constructor(code, message, cause) {
    super(message, { cause });
    this.name = 'NegotiationError';
    this.code = code;
  }
}

/**
 * @typedef {object} NegotiationOptions
 * @property {(message: object) => boolean} send false when there is no way to the server now
 * @property {() => number} nextId names each offer of ours
 * @property {(sdp: string) => string} [tuneLocal] what we describe of ourselves
 * @property {(sdp: string) => string} [tuneRemote] what we make of the server's description
 * @property {() => void} [onStable] after each exchange
 */

/**
 * The queue of a peer connection. When the server's offer and ours cross, ours wins: the server's is not answered, and the server makes a new
 * one when ours is done.
 */
export class Negotiation {
  #pc;
  #options;
  /** @type {Promise<unknown>} */ #tail = Promise.resolve();
  /** Our offer that has not begun: whoever wants another one shares it. @type {{iceRestart: boolean, done: Promise<void>} | null} */ #waiting = null;
  #isOffering = false;
  /** @type {{id: number, resolve: (sdp: string) => void, reject: (error: Error) => void} | null} */ #outstanding = null;
  /** The server's latest offer that is not answered yet. @type {{id: number, sdp: string} | null} */ #theirs = null;
  /** The server's latest offer that crossed one of ours. @type {{id: number, sdp: string} | null} */ #crossed = null;
  #isClosed = false;

  /**
   * @param {Pick<RTCPeerConnection, 'createOffer' | 'createAnswer' | 'setLocalDescription' | 'setRemoteDescription' | 'signalingState'>} pc
   * @param {NegotiationOptions} options
   */
  constructor(pc, options) {
    this.#pc = pc;
    this.#options = options;
  }

  /**
   * Offers what the peer connection holds now, when its turn comes. Offers that wait become one.
   * @param {{iceRestart?: boolean, timeoutMs?: number}} [options]
   * @returns {Promise<void>} when the answer is taken
   * @throws {NegotiationError}
   */
  offer({ iceRestart = false, timeoutMs = ANSWER_TIMEOUT_MS } = {}) {
    if (this.#waiting) {
      this.#waiting.iceRestart ||= iceRestart;
      return this.#waiting.done;
    }
    const waiting = { iceRestart, done: Promise.resolve() };
    waiting.done = this.#enqueue(() => {
      this.#waiting = null;
      const id = this.#options.nextId();
      return this.#offer(id, waiting.iceRestart, timeoutMs, (sdp) => this.#options.send({ type: 'offer', id, sdp }));
    });
    this.#waiting = waiting;
    return waiting.done;
  }

  /**
   * Makes the first offer, which the caller sends itself.
   * @param {number} id
   * @param {number} timeoutMs
   * @returns {Promise<{sdp: string, answered: Promise<void>}>}
   * @throws {NegotiationError}
   */
  first(id, timeoutMs) {
    return new Promise((resolve, reject) => {
      const answered = this.#enqueue(() => this.#offer(id, false, timeoutMs, (sdp) => {
        resolve({ sdp, answered });
        return true;
      }));
      answered.catch(reject);
    });
  }

  /**
   * Takes an `answer`, an `offer`, or an `error` about an offer of ours. What concerns none of ours is ignored: it comes from before a reconnection.
   * @param {{type: string, [field: string]: any}} message
   */
  take(message) {
    if (message.type === 'offer') {
      if (this.#isOffering || this.#waiting) this.#crossed = /** @type {any} */ (message);
      else this.#accept(/** @type {any} */ (message));
    } else if (message.id === this.#outstanding?.id) {
      if (message.type === 'answer') this.#outstanding?.resolve(message.sdp);
      else this.#outstanding?.reject(new NegotiationError('refused', message.message, message));
    }
  }

  /** The way to the server is lost, and with it every answer. */
  abandon() {
    this.#theirs = null;
    this.#crossed = null;
    this.#outstanding?.reject(new NegotiationError('unsent', 'The connection to the venue was interrupted'));
  }

  /** Nothing happens any more. */
  close() {
    this.#isClosed = true;
    this.abandon();
  }

  #enqueue(/** @type {() => Promise<void>} */ task) {
    const turn = this.#tail.then(() => {
      if (this.#isClosed) throw new NegotiationError('closed', 'The connection is closed');
      return task();
    });
    this.#tail = turn.catch(() => {});
    return turn;
  }

  async #offer(/** @type {number} */ id, /** @type {boolean} */ iceRestart, /** @type {number} */ timeoutMs, /** @type {(sdp: string) => boolean} */ send) {
    const { tuneLocal = same, tuneRemote = same, onStable } = this.#options;
    let isSent = false;
    let timer;
    this.#isOffering = true;
    try {
      const offer = await this.#pc.createOffer({ iceRestart });
      const sdp = tuneLocal(offer.sdp ?? '');
      await this.#pc.setLocalDescription({ type: 'offer', sdp });
      const answer = await new Promise((resolve, reject) => {
        this.#outstanding = { id, resolve, reject };
        if (this.#isClosed) reject(new NegotiationError('closed', 'The connection is closed'));
        else if (!(isSent = send(sdp))) reject(new NegotiationError('unsent', 'There is no connection to the venue'));
        timer = setTimeout(() => reject(new NegotiationError('unanswered', `The venue did not answer within ${timeoutMs / 1000} s`)), timeoutMs);
      });
      this.#outstanding = null;
      await this.#pc.setRemoteDescription({ type: 'answer', sdp: tuneRemote(answer) });
    } catch (error) {
      await this.#rollBack();
      throw asNegotiationError(error);
    } finally {
      clearTimeout(timer);
      this.#outstanding = null;
      this.#isOffering = false;
      const crossed = this.#crossed;
      this.#crossed = null;
      // The server withdraws its own offer only when it sees ours.
      if (crossed && !isSent && !this.#isClosed) this.#accept(crossed);
    }
    onStable?.();
  }

  /** Answers the server's latest offer when its turn comes; one that a later one replaced is left alone. */
  #accept(/** @type {{id: number, sdp: string}} */ offer) {
    this.#theirs = offer;
    this.#enqueue(async () => {
      if (this.#theirs !== offer) return;
      this.#theirs = null;
      const { tuneLocal = same, tuneRemote = same, onStable, send } = this.#options;
      await this.#pc.setRemoteDescription({ type: 'offer', sdp: tuneRemote(offer.sdp) });
      const sdp = tuneLocal((await this.#pc.createAnswer()).sdp ?? '');
      await this.#pc.setLocalDescription({ type: 'answer', sdp });
      send({ type: 'answer', id: offer.id, sdp });
      onStable?.();
    }).catch(() => this.#rollBack());
  }

  /** Back to what both sides agreed upon last. */
  async #rollBack() {
    const { signalingState } = this.#pc;
    try {
      if (signalingState === 'have-local-offer') await this.#pc.setLocalDescription({ type: 'rollback' });
      else if (signalingState === 'have-remote-offer') await this.#pc.setRemoteDescription({ type: 'rollback' });
    } catch {
      // A closed connection has nothing to go back to.
    }
  }
}

const same = (/** @type {string} */ sdp) => sdp;

function asNegotiationError(/** @type {unknown} */ error) {
  if (error instanceof NegotiationError) return error;
  return new NegotiationError('failed', `This browser could not negotiate: ${error instanceof Error ? error.message : error}`, error);
}
