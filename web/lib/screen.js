/**
 * The picture on a page: two video elements, one in front. A new stream is made ready behind and comes forward with its first picture, so that
 * neither another camera nor a reconnection shows black.
 * @module
 */

/**
 * What fills a video element: a stream of a connection, or a player that takes the element for itself until it is detached.
 * A player is played before it is where it should begin: some load nothing for an element that stands still.
 * @typedef {MediaStream | {attach(video: HTMLVideoElement): Promise<void>, detach(): void, placed: Promise<void>}} Source
 */

/**
 * Events: `change` when `muted`, `hasPicture` or `blocked` changed; `swap` when another element came to the front.
 */
export class Screen extends EventTarget {
  /** Sound is off until somebody asks for it: browsers play nothing by themselves otherwise. */ muted = true;
  /** Whether a first picture (or a first sound, for a stream without one) has arrived. */ hasPicture = false;
  /** Somebody paused. */ held = false;
  /** The browser plays nothing without a tap, not even in silence (a phone that saves power). */ blocked = false;
  /** @type {HTMLVideoElement} */ #front;
  /** @type {HTMLVideoElement} */ #back;
  #turn = 0;
  /** What each element shows. @type {Map<HTMLVideoElement, Source>} */ #sources = new Map();

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
   * @param {Source} source
   * @param {{video: boolean, paused?: boolean, alone?: boolean}} expected whether a picture is to be waited for; without one the first sound is
   *   enough. A paused source shows its first picture and stands still. Alone: in place of what is shown, for browsers that play one at a time
   * @returns {Promise<boolean>} false when another call came in between
   */
  async show(source, { video: withPicture, paused = false, alone = false }) {
    const turn = ++this.#turn;
    const next = this.#sources.has(this.#front) && !alone ? this.#back : this.#front;
    if (this.#sources.has(next)) this.#release(next);
    this.#sources.set(next, source);
    if ('attach' in source) {
      // The browser must not begin by itself what is to stand still.
      next.autoplay = false;
      await source.attach(next);
      if (turn !== this.#turn) return false;
    } else {
      next.srcObject = source;
    }
    const ready = 'attach' in source ? source.placed.then(() => firstPicture(next, withPicture)) : firstPicture(next, withPicture);
    await this.#play(next);
    await ready;
    if (turn !== this.#turn) return false;
    if (paused) next.pause();
    if (next !== this.#front) await this.#swap();
    this.hasPicture = true;
    this.held = paused;
    this.#front.muted = this.muted;
    if (!this.muted && !paused) await this.#play(this.#front);
    this.#changed();
    return true;
  }

  /** Takes what was to be shown next away again; what is shown stays. */
  abandon() {
    this.#turn += 1;
    this.#release(this.#back);
    if (!this.hasPicture) this.#release(this.#front);
  }

  /** Takes the picture away. */
  clear() {
    this.#turn += 1;
    this.#release(this.#front);
    this.#release(this.#back);
    this.hasPicture = false;
    this.held = false;
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
    if (this.#sources.has(this.#front) && !this.held) await this.#play(this.#front);
  }

  /** Holds the picture. */
  pause() {
    this.held = true;
    this.#front.pause();
    this.#changed();
  }

  /** Plays on: after `pause`, or after the browser refused to play without a tap. */
  async resume() {
    this.blocked = false;
    this.held = false;
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

  /** Brings what is ready behind to the front. */
  async #swap() {
    [this.#front, this.#back] = [this.#back, this.#front];
    this.#front.dataset.side = 'front';
    this.#back.dataset.side = 'back';
    for (const video of [this.#front, this.#back]) {
      video.setAttribute('aria-hidden', String(video === this.#back));
    }
    const [old, source] = [this.#back, this.#sources.get(this.#back)];
    // A small window shows an element, not a stage: it follows.
    if (document.pictureInPictureElement === old) await this.#front.requestPictureInPicture().catch(() => {});
    if (this.#sources.get(old) === source) this.#release(old);
    this.dispatchEvent(new CustomEvent('swap'));
  }

  #release(/** @type {HTMLVideoElement} */ video) {
    video.muted = true;
    const source = this.#sources.get(video);
    this.#sources.delete(video);
    if (source && 'detach' in source) source.detach();
    else video.srcObject = null;
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
