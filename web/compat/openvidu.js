/**
 * The part of OpenVidu 2's browser library that pages of this venue's past use, over the conference of today. Only the address changes:
 *
 * ```js
 * import { OpenVidu } from 'https://venue.example/web/compat/openvidu.js';
 * const OV = new OpenVidu();
 * const session = OV.initSession();
 * session.on('streamCreated', ({ stream }) => session.subscribe(stream, 'videos'));
 * const { token } = await (await fetch('https://venue.example/api/tokens', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"session":"residence"}' })).json();
 * await session.connect(token, { userId: 'abcdefghijklmnop', userName: 'Ada' });
 * session.publish(OV.initPublisher('videos', { resolution: '640x480', frameRate: 12, insertMode: 'APPEND', mirror: false }));
 * ```
 *
 * Not here: recording, filters, signals (messages have a bus of their own), the Pro features.
 * @module
 */
import { Publisher } from './openvidu-publisher.js';
import { Session } from './openvidu-session.js';

export { Publisher, Session };

/** Where this file came from is where the conference is. */
const VENUE = new URL(import.meta.url).origin;

export class OpenVidu {
  /** @returns {Session} */
  initSession() {
    return new Session(VENUE);
  }

  /**
   * Opens camera and microphone; `publish` waits for them.
   * @param {string | HTMLElement | null | undefined} target where the own picture goes, if anywhere
   * @param {import('./openvidu-publisher.js').PublisherProperties | ((error?: Error) => void)} [properties]
   * @param {(error?: Error) => void} [completed]
   * @returns {Publisher}
   */
  initPublisher(target, properties = {}, completed) {
    if (typeof properties === 'function') [properties, completed] = [{}, properties];
    const publisher = new Publisher(target, properties);
    publisher.opened.then(() => completed?.(), (error) => completed?.(error));
    return publisher;
  }

  /** @param {string | HTMLElement | null | undefined} target @param {import('./openvidu-publisher.js').PublisherProperties} [properties] @returns {Promise<Publisher>} when the devices are open */
  async initPublisherAsync(target, properties) {
    const publisher = this.initPublisher(target, properties);
    await publisher.opened;
    return publisher;
  }

  /** @returns {Promise<{kind: string, deviceId: string, label: string}[]>} */
  async getDevices() {
    const kinds = { audioinput: 'audioinput', videoinput: 'videoinput' };
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind in kinds).map(({ kind, deviceId, label }) => ({ kind, deviceId, label }));
  }

  /** Whether this browser can take part. */
  checkSystemRequirements() {
    return Boolean(globalThis.RTCPeerConnection && navigator.mediaDevices);
  }

  /** Pages call it to be told less; nothing is told here. */
  enableProdMode() {}
}

export default OpenVidu;
