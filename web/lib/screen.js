/**
 * The picture on a page: two video elements, one in front. A new stream is made ready behind and comes forward with its first picture, so that
 * neither another camera nor a reconnection shows black.
 * @module
 */

/**
 * Events: `change` when `muted`, `hasPicture` or `blocked` changed.
 */
export class Screen extends EventTarget {
  /** Sound is off until somebody asks for it: browsers play nothing by themselves otherwise. */ muted = true;
  /** Whether a first picture (or a first sound, for a stream without one) has arrived. */ hasPicture = false;
  /** The browser plays nothing without a tap, not even in silence (a phone that saves power). */ blocked = false;
  /** @type {HTMLVideoElement} */ #front;
  /** @type {HTMLVideoElement} */ #back;
  #turn = 0;

  /** @param {HTMLElement} stage holds two `video` elements */
  constructor(stage) {
    super();
    const [front, back] = stage.querySelectorAll('video');
    this.#front = front;
    this.#back = back;
    for (const video of [front, back]) {
      video.muted = true;
      video.playsInline = true;
      video.addEventListener('resize', () => this.#changed());
    }
  }

  /** The element that the audience sees. */
  get element() {
    return this.#front;
  }

  /** Whether anything is to be seen, not only heard. */
  get hasPixels() {
    return this.#front.videoWidth > 0;
  }

  /**
   * Shows a stream as soon as it has something to show; until then the one before stays. A stream that never has anything is replaced by
   * the next call.
   * @param {MediaStream} stream
   * @param {{video: boolean}} expected whether a picture is to be waited for; without one the first sound is enough
   * @returns {Promise<boolean>} false when another call came in between
   */
  async show(stream, { video: withPicture }) {
    const turn = ++this.#turn;
    const next = this.#front.srcObject ? this.#back : this.#front;
    next.muted = true;
    next.srcObject = stream;
    const ready = firstPicture(next, withPicture);
    await this.#play(next);
    await ready;
    if (turn !== this.#turn) return false;
    if (next !== this.#front) {
      [this.#front, this.#back] = [next, this.#front];
      this.#front.dataset.side = 'front';
      this.#back.dataset.side = 'back';
      this.#release(this.#back);
    }
    this.hasPicture = true;
    this.#front.muted = this.muted;
    if (!this.muted) await this.#play(this.#front);
    this.#changed();
    return true;
  }

  /** Takes the picture away. */
  clear() {
    this.#turn += 1;
    this.#release(this.#front);
    this.#release(this.#back);
    this.hasPicture = false;
    this.#changed();
  }

  /**
   * Must be called from a tap or a key to be heard.
   * @param {boolean} muted
   * @returns {Promise<void>}
   */
  async setMuted(muted) {
    this.muted = muted;
    this.#front.muted = muted;
    this.#changed();
    if (this.#front.srcObject) await this.#play(this.#front);
  }

  /** Plays on after the browser refused to without a tap. */
  async resume() {
    this.blocked = false;
    await this.#play(this.#front);
    this.#changed();
  }

  async #play(/** @type {HTMLVideoElement} */ video) {
    try {
      await video.play();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return; // A newer stream interrupted this one.
      if (video.muted) {
        this.blocked = true;
      } else {
        // Sound needs a new tap on this element: a silent picture is better than none.
        video.muted = true;
        this.muted = true;
        await video.play().catch(() => {
          this.blocked = true;
        });
      }
      this.#changed();
    }
  }

  #release(/** @type {HTMLVideoElement} */ video) {
    video.muted = true;
    video.srcObject = null;
  }

  #changed() {
    this.dispatchEvent(new CustomEvent('change'));
  }
}

/** Resolves with the first decoded picture, or the first sound where no picture is expected. */
function firstPicture(/** @type {HTMLVideoElement} */ video, /** @type {boolean} */ withPicture) {
  return new Promise((resolve) => {
    const done = () => resolve(undefined);
    if (!withPicture) video.addEventListener('playing', done, { once: true });
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(done);
    else video.addEventListener('loadeddata', done, { once: true });
  });
}
