/**
 * What this page publishes.
 * @module
 */
import { Connection, Stream, StreamManager } from './openvidu-stream.js';

/**
 * @typedef {object} PublisherProperties
 * @property {boolean | string | MediaStreamTrack} [audioSource] a device, a track, or false for none
 * @property {boolean | string | MediaStreamTrack} [videoSource] a device, a track, `screen`, or false for none
 * @property {boolean} [publishAudio] false: begins muted
 * @property {boolean} [publishVideo]
 * @property {string} [resolution] for example `640x480`
 * @property {number} [frameRate]
 * @property {string} [insertMode]
 * @property {boolean} [mirror] as in a mirror, which is how OpenVidu shows people themselves
 */

/** Events: `accessAllowed`, `accessDenied`, `streamCreated`, `streamDestroyed`, `videoElementCreated`, `streamPlaying`. */
export class Publisher extends StreamManager {
  accessAllowed = false;
  /** @type {import('./openvidu-session.js').Session | null} */ session = null;

  /** @param {string | HTMLElement | null | undefined} target @param {PublisherProperties} properties */
  constructor(target, properties) {
    super(new Stream(new Connection('local', ''), properties.videoSource === 'screen' ? 'screen' : 'camera'), { remote: false, mirror: properties.mirror ?? true });
    this.properties = properties;
    /** Resolves when the devices are open. */
    this.opened = this.#open(target);
    this.opened.catch(() => {}); // It is told by `accessDenied`, and to whoever publishes it.
  }

  /** Whether somebody hears me. @param {boolean} enabled @returns {Promise<void>} */
  publishAudio(enabled) {
    return this.#enable('audio', enabled);
  }

  /** @param {boolean} enabled @returns {Promise<void>} */
  publishVideo(enabled) {
    return this.#enable('video', enabled);
  }

  /** @param {MediaStreamTrack} track @returns {Promise<void>} */
  async replaceTrack(track) {
    this.stream.setTrack(/** @type {'audio' | 'video'} */ (track.kind), track);
    await this.session?.carry(this);
  }

  /** Closes the devices that were opened here. */
  close() {
    for (const track of this.stream.getMediaStream().getTracks()) if (track !== this.properties.audioSource && track !== this.properties.videoSource) track.stop();
    this.removeVideos();
  }

  async #open(/** @type {string | HTMLElement | null | undefined} */ target) {
    const { stream, properties } = this;
    if (target) queueMicrotask(() => this.createVideoElement(target, properties.insertMode));
    try {
      for (const track of await capture(properties)) stream.setTrack(/** @type {'audio' | 'video'} */ (track.kind), track);
    } catch (error) {
      this.emit('accessDenied', { error });
      throw Object.assign(new Error(/** @type {Error} */ (error).message), { name: 'DEVICE_ACCESS_DENIED' });
    }
    const media = stream.getMediaStream();
    stream.hasAudio = media.getAudioTracks().length > 0;
    stream.hasVideo = media.getVideoTracks().length > 0;
    await this.#enable('audio', properties.publishAudio ?? true);
    await this.#enable('video', properties.publishVideo ?? true);
    this.accessAllowed = true;
    this.emit('accessAllowed');
  }

  async #enable(/** @type {'audio' | 'video'} */ kind, /** @type {boolean} */ enabled) {
    const { stream } = this;
    for (const track of stream.getMediaStream().getTracks()) if (track.kind === kind) track.enabled = enabled;
    if (kind === 'audio') stream.audioActive = enabled && stream.hasAudio;
    else stream.videoActive = enabled && stream.hasVideo;
    await this.session?.carry(this);
  }
}

/** @returns {Promise<MediaStreamTrack[]>} */
async function capture(/** @type {PublisherProperties} */ { audioSource = true, videoSource = true, resolution, frameRate }) {
  const given = [audioSource, videoSource].filter((source) => source instanceof MediaStreamTrack);
  const wants = (/** @type {unknown} */ source) => source !== false && source !== null && !(source instanceof MediaStreamTrack);
  const device = (/** @type {unknown} */ source) => (typeof source === 'string' ? { deviceId: { exact: source } } : {});
  const [width, height] = (/^(\d{2,4})x(\d{2,4})$/.exec(resolution ?? '') ?? []).slice(1).map(Number);
  const shape = { ...(width ? { width: { ideal: width }, height: { ideal: height } } : {}), ...(frameRate ? { frameRate: { ideal: frameRate, max: frameRate } } : {}) };
  const tracks = [...given];
  if (videoSource === 'screen') {
    tracks.push(...(await navigator.mediaDevices.getDisplayMedia({ video: shape, audio: audioSource !== false })).getTracks());
    return tracks;
  }
  const wanted = { audio: wants(audioSource) && device(audioSource), video: wants(videoSource) && { ...device(videoSource), ...shape } };
  if (wanted.audio || wanted.video) tracks.push(...(await navigator.mediaDevices.getUserMedia(wanted)).getTracks());
  return tracks;
}
