/**
 * A session of OpenVidu: a space's conference, in its words.
 * @module
 */
import { Conference } from '../lib/conference.js';
import { Connection, Dispatcher, Stream, StreamManager } from './openvidu-stream.js';

/** Longest name that the conference takes, in characters. */
const NAME_MAX = 64;
/** Longest text that somebody may connect with, in bytes. */
const DATA_MAX = 512;

/** What this page receives of somebody. */
export class Subscriber extends StreamManager {
  /** @param {boolean} wanted @returns {this} */
  subscribeToAudio(wanted) {
    this.wantsAudio = wanted;
    this.emit('volume');
    return this;
  }

  /** @param {boolean} wanted @returns {this} */
  subscribeToVideo(wanted) {
    this.wantsVideo = wanted;
    this.emit('volume');
    return this;
  }

  wantsAudio = true;
  wantsVideo = true;
}

/**
 * Events: `streamCreated`, `streamDestroyed`, `streamPropertyChanged`, `connectionCreated`, `connectionDestroyed`, `reconnecting`, `reconnected`,
 * `sessionDisconnected`, `publisherStartSpeaking`, `publisherStopSpeaking`.
 */
export class Session extends Dispatcher {
  /** @type {Connection | null} one's own */ connection = null;
  sessionId = '';
  /** @type {StreamManager[]} */ streamManagers = [];
  /** @type {Map<string, Connection>} */ remoteConnections = new Map();
  #venue;
  /** @type {Conference | null} */ #conference = null;
  /** Others' streams by source and id. @type {Map<string, Stream>} */ #streams = new Map();
  /** @type {Set<string>} */ #speaking = new Set();
  #sizes = globalThis.ResizeObserver ? new ResizeObserver(() => this.#want()) : null;
  #unlock = () => this.#conference?.unlockSound();

  /** @param {string} venue its origin */
  constructor(venue) {
    super();
    this.#venue = venue;
  }

  /**
   * @param {string} token of `POST /api/tokens`
   * @param {unknown} [metadata] what others read as `stream.connection.data`: text as it is, anything else as JSON
   * @returns {Promise<void>}
   */
  async connect(token, metadata) {
    const data = dataOf(metadata);
    this.sessionId = spaceOfToken(token);
    const conference = new Conference(this.sessionId, { name: nameOf(data), token, url: this.#venue, client: 'openvidu-compat', data });
    this.#conference = conference;
    conference.addEventListener('participants', () => this.#follow());
    conference.addEventListener('track', (event) => this.#take(/** @type {CustomEvent} */ (event).detail));
    conference.addEventListener('speakers', (event) => this.#hear(/** @type {CustomEvent} */ (event).detail));
    conference.addEventListener('state', (event) => this.#turn(/** @type {CustomEvent} */ (event).detail.state));
    conference.addEventListener('sound', (event) => this.#listen(/** @type {CustomEvent} */ (event).detail.blocked));
    await conference.join();
  }

  /** @param {import('./openvidu-publisher.js').Publisher} publisher @returns {Promise<void>} */
  async publish(publisher) {
    const conference = this.#connected();
    await publisher.opened;
    publisher.session = this;
    publisher.stream.connection = /** @type {Connection} */ (this.connection);
    if (!this.streamManagers.includes(publisher)) this.streamManagers.push(publisher);
    await this.carry(publisher);
    if (conference.feedOf(publisher.stream.source)) publisher.emit('streamCreated', { stream: publisher.stream });
  }

  /** Sends a publisher's tracks as they are now. @param {import('./openvidu-publisher.js').Publisher} publisher @returns {Promise<void>} */
  async carry({ stream }) {
    const media = stream.getMediaStream();
    const conference = this.#connected();
    await Promise.all([
      conference.mute({ audio: !stream.audioActive, video: !stream.videoActive }, stream.source),
      conference.publish(stream.source, { audio: media.getAudioTracks()[0] ?? null, video: media.getVideoTracks()[0] ?? null }),
    ]);
  }

  /** @param {import('./openvidu-publisher.js').Publisher} publisher @returns {Promise<void>} */
  async unpublish(publisher) {
    await this.#conference?.unpublish(publisher.stream.source);
    publisher.session = null;
    this.streamManagers = this.streamManagers.filter((manager) => manager !== publisher);
    publisher.emit('streamDestroyed', { stream: publisher.stream, reason: 'unpublish' });
    publisher.close();
  }

  /**
   * @param {Stream} stream
   * @param {string | HTMLElement | null} [target] where its element goes, if one shall be made
   * @param {{insertMode?: string, subscribeToAudio?: boolean, subscribeToVideo?: boolean}} [properties]
   * @returns {Subscriber}
   */
  subscribe(stream, target, { insertMode, subscribeToAudio = true, subscribeToVideo = true } = {}) {
    const subscriber = new Subscriber(stream, { remote: true });
    Object.assign(subscriber, { wantsAudio: subscribeToAudio, wantsVideo: subscribeToVideo });
    this.streamManagers.push(subscriber);
    subscriber.on('volume', () => {
      for (const { video } of subscriber.videos) this.#sizes?.observe(video);
      this.#want();
    });
    for (const kind of /** @type {const} */ (['audio', 'video'])) stream.setTrack(kind, this.#conference?.trackOf(stream.connection.connectionId, stream.source, kind)?.track ?? null);
    if (target) subscriber.createVideoElement(target, insertMode);
    this.#want();
    return subscriber;
  }

  /** @param {Subscriber} subscriber @returns {Promise<void>} */
  async unsubscribe(subscriber) {
    for (const { video } of subscriber.videos) this.#sizes?.unobserve(video);
    subscriber.removeVideos();
    subscriber.stream.streamManager = null;
    this.streamManagers = this.streamManagers.filter((manager) => manager !== subscriber);
    this.#want();
  }

  disconnect() {
    this.#conference?.leave();
  }

  #connected() {
    if (!this.#conference || !this.connection) throw new Error('this session is not connected; await session.connect(token) before publishing');
    return this.#conference;
  }

  /** What the conference says of people, as connections and streams that are created and destroyed. */
  #follow() {
    const { participants, self } = /** @type {Conference} */ (this.#conference);
    if (self) this.connection ??= new Connection(self.id, self.data ?? fallback(self), self.joined);
    const others = [...participants.values()].filter(({ id }) => id !== self?.id);
    const present = new Set(others.flatMap(({ id, feeds }) => feeds.map(({ source }) => `${source} ${id}`)));
    for (const [key, stream] of this.#streams) if (!present.has(key)) this.#destroy(key, stream, participants.has(stream.connection.connectionId) ? 'unpublish' : 'disconnect');
    for (const [id, connection] of this.remoteConnections) {
      if (participants.has(id)) continue;
      this.remoteConnections.delete(id);
      this.emit('connectionDestroyed', { connection, reason: 'disconnect' });
    }
    for (const participant of others) this.#meet(participant);
    this.#want();
  }

  #meet(/** @type {import('../lib/conference-messages.js').Participant} */ participant) {
    const { id } = participant;
    let connection = this.remoteConnections.get(id);
    if (!connection) {
      connection = new Connection(id, participant.data ?? fallback(participant), participant.joined);
      this.remoteConnections.set(id, connection);
      this.emit('connectionCreated', { connection });
    }
    for (const { source, audio, video, muted } of participant.feeds) {
      const known = this.#streams.get(`${source} ${id}`);
      const stream = known ?? new Stream(connection, source);
      const now = { hasAudio: audio, hasVideo: video, audioActive: audio && !muted.audio, videoActive: video && !muted.video };
      const changed = Object.keys(now).filter((name) => stream[name] !== now[name]);
      const before = { ...stream };
      Object.assign(stream, now);
      if (known) {
        for (const changedProperty of changed) this.emit('streamPropertyChanged', { stream, changedProperty, newValue: now[changedProperty], oldValue: before[changedProperty] });
      } else {
        this.#streams.set(`${source} ${id}`, stream);
        this.emit('streamCreated', { stream });
      }
    }
  }

  #destroy(/** @type {string} */ key, /** @type {Stream} */ stream, /** @type {string} */ reason) {
    this.#streams.delete(key);
    const manager = stream.streamManager;
    const { isPrevented } = this.emit('streamDestroyed', { stream, reason });
    manager?.emit('streamDestroyed', { stream, reason });
    if (manager instanceof Subscriber && !isPrevented) this.unsubscribe(manager);
  }

  #take(/** @type {import('../lib/conference-people.js').Change} */ { id, source, kind, track }) {
    this.#streams.get(`${source} ${id}`)?.setTrack(kind, track);
  }

  /** Only what the page subscribed to is sent here, as large as it is shown and as loud as its elements are. */
  #want() {
    const conference = this.#conference;
    if (!conference) return;
    const subscribers = /** @type {Subscriber[]} */ (this.streamManagers.filter((manager) => manager instanceof Subscriber));
    conference.watch(subscribers.filter(({ wantsVideo }) => wantsVideo).map((subscriber) => {
      const { width, height } = subscriber.size();
      const { connection, source } = subscriber.stream;
      return { id: connection.connectionId, source, ...(height > 0 ? { width, height } : {}) };
    }));
    const volumes = new Map();
    for (const subscriber of subscribers) {
      const { connectionId } = subscriber.stream.connection;
      if (subscriber.wantsAudio) volumes.set(connectionId, Math.max(volumes.get(connectionId) ?? 0, subscriber.volume()));
    }
    for (const [id, volume] of volumes) conference.setVolume(id, volume);
    conference.silence([...this.remoteConnections.keys()].filter((id) => !volumes.has(id)));
  }

  #hear(/** @type {{active: {id: string}[]}} */ { active }) {
    const now = new Set(active.map(({ id }) => id));
    for (const [type, some, others] of /** @type {const} */ ([['publisherStartSpeaking', now, this.#speaking], ['publisherStopSpeaking', this.#speaking, now]])) {
      for (const id of some) {
        const connection = this.remoteConnections.get(id);
        if (!others.has(id) && connection) this.emit(type, { connection, streamId: this.#streams.get(`camera ${id}`)?.streamId });
      }
    }
    this.#speaking = now;
  }

  /** A browser that wants a click before it plays gets the next one. */
  #listen(/** @type {boolean} */ blocked) {
    for (const type of ['pointerdown', 'keydown']) {
      if (blocked) document.addEventListener(type, this.#unlock, { capture: true });
      else document.removeEventListener(type, this.#unlock, { capture: true });
    }
  }

  #turn(/** @type {import('../lib/conference-connection.js').State} */ state) {
    if (state === 'reconnecting') this.emit('reconnecting');
    if (state === 'joined' && this.connection) this.emit('reconnected');
    const reason = { left: 'disconnect', removed: 'forceDisconnectByUser', replaced: 'sessionClosedByServer', refused: 'networkDisconnect' }[state];
    if (!reason || !this.connection) return;
    for (const [key, stream] of this.#streams) this.#destroy(key, stream, reason);
    for (const manager of this.streamManagers.splice(0)) manager.removeVideos();
    this.#sizes?.disconnect();
    this.#listen(false);
    this.remoteConnections.clear();
    this.connection = null;
    this.emit('sessionDisconnected', { reason });
  }
}

/**
 * The space that a token is for. OpenVidu's own tokens were addresses; those are understood too.
 * @param {string} token
 * @returns {string}
 */
export function spaceOfToken(token) {
  try {
    if (token.includes('://')) {
      const parameters = new URL(token).searchParams;
      return parameters.get('sessionId') || spaceOfToken(parameters.get('token') ?? '');
    }
    const bytes = Uint8Array.from(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')), (letter) => letter.charCodeAt(0));
    const { space } = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof space === 'string' && space !== '' && space !== '*') return space;
  } catch {
    // Said below.
  }
  throw new Error('this token names no session; get one from POST /api/tokens with {"session": "…"}');
}

/**
 * What is connected with, as the text that others read.
 * @param {unknown} metadata
 * @returns {string | null}
 */
export function dataOf(metadata) {
  if (metadata === undefined || metadata === null || metadata === '') return null;
  const text = typeof metadata === 'string' ? metadata : JSON.stringify(metadata);
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > DATA_MAX) throw new Error(`the data to connect with has ${bytes} bytes; at most ${DATA_MAX} fit`);
  return text;
}

/**
 * What people call somebody who connected with this.
 * @param {string | null} data
 * @returns {string}
 */
export function nameOf(data) {
  let value;
  try {
    value = JSON.parse(data ?? 'null');
  } catch {
    value = data;
  }
  const name = typeof value === 'object' ? value?.userName ?? value?.clientData ?? value?.username : value;
  const clean = String(name ?? '').replace(/\p{Cc}/gu, ' ').trim();
  return [...clean].slice(0, NAME_MAX).join('') || 'Guest';
}

const fallback = (/** @type {{id: string, name: string}} */ { id, name }) => JSON.stringify({ userId: id, userName: name });
