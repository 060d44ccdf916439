/**
 * Streams, and the video elements that show them.
 * @module
 */

/** Listeners as OpenVidu's objects have them. */
export class Dispatcher {
  /** @type {Map<string, Set<(event: any) => void>>} */ #listeners = new Map();

  /** @param {string} type @param {(event: any) => void} listener @returns {this} */
  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    this.#listeners.get(type)?.add(listener);
    return this;
  }

  /** @param {string} type @param {(event: any) => void} listener @returns {this} */
  once(type, listener) {
    const first = (/** @type {any} */ event) => {
      this.off(type, first);
      listener(event);
    };
    return this.on(type, first);
  }

  /** @param {string} type @param {(event: any) => void} [listener] all of them unless said @returns {this} */
  off(type, listener) {
    if (listener) this.#listeners.get(type)?.delete(listener);
    else this.#listeners.delete(type);
    return this;
  }

  /** @param {string} type @param {object} [detail] @returns {{isPrevented: boolean}} whether a listener called `preventDefault` */
  emit(type, detail = {}) {
    const event = { type, target: this, cancelable: true, isPrevented: false, ...detail, preventDefault() { event.isPrevented = true; }, isDefaultPrevented: () => event.isPrevented };
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        // One page's mistake must not keep the next listener from hearing.
        globalThis.reportError?.(error);
      }
    }
    return event;
  }
}

/** Somebody in the session: `data` is the text that they connected with. */
export class Connection {
  /** @param {string} connectionId @param {string} data @param {string | null} [joined] */
  constructor(connectionId, data, joined = null) {
    this.connectionId = connectionId;
    this.data = data;
    this.creationTime = joined ? Date.parse(joined) : Date.now();
  }
}

/** What somebody publishes. */
export class Stream {
  /** Its sound and picture, as they come and go. */ #media = new MediaStream();
  /** @type {StreamManager | null} who subscribes to it, or publishes it */ streamManager = null;
  hasAudio = false;
  hasVideo = false;
  audioActive = false;
  videoActive = false;
  creationTime = Date.now();

  /** @param {Connection} connection @param {'camera' | 'screen'} source */
  constructor(connection, source) {
    this.connection = connection;
    this.source = source;
    this.typeOfVideo = source === 'screen' ? 'SCREEN' : 'CAMERA';
  }

  get streamId() {
    return `${this.source === 'screen' ? 'scr' : 'str'}_${this.connection.connectionId}`;
  }

  /** @returns {MediaStream} the same one at all times; its tracks change */
  getMediaStream() {
    return this.#media;
  }

  /** @param {'audio' | 'video'} kind @param {MediaStreamTrack | null} track */
  setTrack(kind, track) {
    for (const old of this.#media.getTracks()) if (old.kind === kind && old !== track) this.#media.removeTrack(old);
    if (track) this.#media.addTrack(track);
    this.streamManager?.refresh();
  }
}

/** A stream and its video elements. */
export class StreamManager extends Dispatcher {
  /** @type {{video: HTMLVideoElement, isOurs: boolean}[]} */ videos = [];
  #picture = new MediaStream();
  #isPlaying = false;

  /** @param {Stream} stream @param {{remote: boolean, mirror?: boolean}} options */
  constructor(stream, { remote, mirror = false }) {
    super();
    this.stream = stream;
    this.remote = remote;
    this.mirror = mirror;
    stream.streamManager = this;
  }

  /**
   * Shows the stream in an element of the page.
   * @param {HTMLVideoElement} video
   * @returns {number} 1 when it is new here, 0 when it showed this stream already
   */
  addVideoElement(video) {
    if (this.videos.some((known) => known.video === video)) return 0;
    this.#show(video, false);
    return 1;
  }

  /**
   * Makes an element for the stream.
   * @param {string | HTMLElement} target
   * @param {string} [insertMode] `APPEND`, `PREPEND`, `BEFORE`, `AFTER` or `REPLACE`
   * @returns {HTMLVideoElement}
   */
  createVideoElement(target, insertMode = 'APPEND') {
    const place = typeof target === 'string' ? document.getElementById(target) : target;
    if (!place) throw new Error(`there is no element with the id "${target}" for the video; make it before, or give the element itself`);
    const video = document.createElement('video');
    video.id = `${this.remote ? 'remote' : 'local'}-video-${this.stream.streamId}`;
    this.#show(video, true);
    const method = { PREPEND: 'prepend', BEFORE: 'before', AFTER: 'after', REPLACE: 'replaceWith' }[insertMode] ?? 'append';
    place[method](video);
    this.emit('videoElementCreated', { element: video });
    return video;
  }

  /** The elements that were made here go, those of the page become empty. */
  removeVideos() {
    for (const { video, isOurs } of this.videos.splice(0)) {
      video.srcObject = null;
      if (!isOurs) continue;
      video.remove();
      this.emit('videoElementDestroyed', { element: video });
    }
  }

  /** How large the largest element is, in device pixels. */
  size() {
    const scale = globalThis.devicePixelRatio || 1;
    const sizes = this.videos.map(({ video }) => ({ width: video.clientWidth * scale, height: video.clientHeight * scale }));
    return sizes.sort((left, right) => right.height - left.height)[0] ?? { width: 0, height: 0 };
  }

  /** How loud the page wants it: as loud as its loudest element. */
  volume() {
    return Math.max(0, ...this.videos.map(({ video }) => (video.muted ? 0 : video.volume)));
  }

  /** The stream's tracks changed. */
  refresh() {
    const tracks = this.stream.getMediaStream().getVideoTracks();
    for (const old of this.#picture.getTracks()) if (!tracks.includes(/** @type {any} */ (old))) this.#picture.removeTrack(old);
    for (const track of tracks) this.#picture.addTrack(track);
  }

  #show(/** @type {HTMLVideoElement} */ video, /** @type {boolean} */ isOurs) {
    this.videos.push({ video, isOurs });
    Object.assign(video, { autoplay: true, playsInline: true, controls: false });
    // Sound has outputs of its own, so that the loudest are heard at once; an element's volume is followed by them.
    if (this.remote) video.addEventListener('volumechange', () => this.emit('volume'));
    else video.muted = true;
    if (this.mirror) video.style.transform = 'rotateY(180deg)';
    video.addEventListener('playing', () => {
      if (!this.#isPlaying) this.emit('streamPlaying');
      this.#isPlaying = true;
    });
    this.refresh();
    video.srcObject = this.#picture;
    this.emit('volume');
  }
}
