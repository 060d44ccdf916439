/**
 * Taking part in a conference: everybody in a space sees and hears everybody else. Usable on any page, from any place:
 *
 * ```js
 * import { Conference } from 'https://venue.example/web/lib/conference.js';
 * const conference = new Conference('residence', { name: 'Ada', url: 'https://venue.example' });
 * conference.addEventListener('track', ({ detail: { id, source, kind, track } }) => {
 *   if (kind !== 'video') return; // Sound plays by itself.
 *   const video = document.getElementById(`${source} ${id}`) ?? Object.assign(document.createElement('video'), { id: `${source} ${id}`, autoplay: true, muted: true, playsInline: true });
 *   video.srcObject = track && new MediaStream([track]);
 *   if (track) document.body.append(video);
 *   else video.remove();
 * });
 * await conference.openCamera();
 * await conference.join();
 * ```
 *
 * It goes on by itself through lost networks and restarted servers until `leave`, or until the server refuses for good. PROTOCOL.md describes what it speaks.
 * @module
 */
import { Connection, ConferenceError } from './conference-connection.js';
import { Data } from './conference-data.js';
import { Feeds } from './conference-feeds.js';
import { identityFor } from './conference-identity.js';
import { Media } from './conference-media.js';
import { VERSION } from './conference-messages.js';
import { People, SlotMap } from './conference-people.js';
import { Reader } from './conference-reader.js';
import { Sound } from './conference-sound.js';
import { readStats } from './conference-stats.js';
import { WatchList } from './conference-watch.js';
import { cameraConstraints, microphoneConstraints, presetOf, screenConstraints } from './media.js';
import { networkChanges } from './network.js';

export { ConferenceError };

/**
 * @typedef {import('./conference-messages.js').Source} Source
 * @typedef {import('./conference-messages.js').Kind} Kind
 * @typedef {{audio?: boolean, video?: boolean}} Muting
 * @typedef {{audio?: MediaStreamTrack | null, video?: MediaStreamTrack | null}} Tracks
 *
 * @typedef {object} ConferenceOptions
 * @property {string} name what others read
 * @property {string | null} [token] an invitation, or the key of the space
 * @property {string} [url] the venue, if it is not the one that this page comes from
 * @property {string[]} [codecs] of pictures, best first
 * @property {boolean} [red] speech is sent twice, against loss, where the browser can
 * @property {boolean} [music] begin in music mode: two channels, nothing processed
 * @property {boolean} [sound] false: the page plays what `sounds()` lists
 * @property {string} [client] program and version, for the server's log
 * @property {string | null} [data] text of at most 512 bytes that others read as `participant.data`
 * @property {string} [userId] who one is on the message bus; the participant's id unless given
 * @property {string} [identity] 16 to 64 of letters, digits, `-`, `_`; made and remembered for this tab unless given
 */

/**
 * Events, each a `CustomEvent`:
 * - `state` `{state, error, retryMs}`: `idle joining joined reconnecting refused removed replaced left`; `media` `{media}`: `none connecting connected interrupted`
 * - `participants` `{joined, updated, left}`; `speakers` `{dominant, active}`; `quality`; `space`; `permissions`
 * - `track` `{id, participant, source, kind, track, state}` for each picture or sound that comes or goes (`track` null); `tracks` `{changes}` once for all of them
 * - `feed` `{source, feed, reason}`: what I publish changed: `own`, `ended`, `muted` or `revoked`; `muted` `{source, audio, video, by}`; `unpublished` `{source, by}`
 * - `sound` `{blocked}`: the browser wants a click before it plays: call `unlockSound` from it
 * - `message` what somebody said over the message bus, `{type, value, userId, userName, own, seq, media, envelope}`; `text` `{text, seq}`; `deleted` `{seq, id}`; `cleared` `{seq}`; `missed`
 * - `positions` a map of where everybody is, by userId; `presence` a map of who is there and has joined the bus
 * - `bus` `{open}`: whether what is said goes out at once; it waits otherwise
 * - `error` `{code, message, request, id}`: the server refused a request; `say` when it is about a message
 */
export class Conference extends EventTarget {
  people = new People();
  role = 'participant';
  permissions = { publish: true, screen: true, music: false, stream: false, moderate: false };
  space = { name: '', locked: false, stage_only: false };
  /** @type {Record<string, number>} */ limits = {};
  /** @type {{dominant: string | null, active: {id: string, level: number}[]}} */ speakers = { dominant: null, active: [] };
  #options;
  #connection;
  #feeds;
  #watch;
  #slots = new SlotMap();
  #sound = new Sound();
  #reader;
  #media;
  #data;
  /** @type {Promise<import('./conference-identity.js').Identity> | null} */ #identity = null;
  #music;
  #resume = '';
  #isJoined = false;
  #networkChanged = false;
  /** @type {string[] | null} */ #silenced = null;
  #stopListening = () => {};

  /** @param {string} space @param {ConferenceOptions} options */
  constructor(space, options) {
    super();
    this.#options = { token: null, codecs: ['VP8'], red: true, sound: true, client: 'proscenium-web', data: null, ...options };
    this.#music = options.music === true;
    const send = (/** @type {object} */ message) => this.#connection.send(message);
    this.#connection = new Connection(addressOf(space, options.url), () => this.#compose(space));
    this.#feeds = new Feeds({ send, music: this.#music, mayPublish: (source) => this.#mayPublish(source), mayMusic: () => this.#isJoined && this.permissions.music });
    const { codecs, red } = this.#options;
    this.#data = new Data(space, () => ({ userId: this.#options.userId ?? this.self?.id ?? '', userName: this.#options.name }));
    this.#media = new Media({ connection: this.#connection, feeds: this.#feeds, codecs, red, music: this.#music, data: this.#data });
    this.#watch = new WatchList(send);
    this.#reader = new Reader(this, {
      feeds: this.#feeds,
      assign: (slots) => this.#assign(slots),
      negotiate: (message) => this.#media.peer?.take(message),
      renew: () => this.#media.renew(),
      welcome: (message) => this.#welcome(message),
    });
    this.#listen();
  }

  #listen() {
    this.#connection.addEventListener('message', (event) => this.#reader.read(/** @type {CustomEvent} */ (event).detail));
    this.#connection.addEventListener('state', (event) => this.#turn(/** @type {CustomEvent} */ (event).detail));
    this.#media.addEventListener('media', () => this.emit('media', { media: this.media }));
    this.#media.addEventListener('gone', () => this.#assign([]));
    this.#media.addEventListener('sections', () => {
      this.#feeds.reconsider();
      this.#assign(null);
    });
    this.#media.addEventListener('error', (event) => {
      const { error, id } = /** @type {CustomEvent} */ (event).detail;
      this.emit('error', { code: 'negotiation', message: String(error), request: 'offer', id });
    });
    this.#feeds.addEventListener('feed', (event) => this.emit('feed', /** @type {CustomEvent} */ (event).detail));
    for (const type of ['message', 'text', 'positions', 'presence', 'deleted', 'cleared', 'missed']) {
      this.#data.addEventListener(type, (event) => this.emit(type, /** @type {CustomEvent} */ (event).detail));
    }
    for (const open of [true, false]) this.#data.addEventListener(open ? 'open' : 'closed', () => this.emit('bus', { open }));
    this.#data.addEventListener('refused', (event) => {
      const { code, detail, id } = /** @type {CustomEvent} */ (event).detail;
      this.emit('error', { code, message: detail, request: 'say', id });
    });
    this.#sound.addEventListener('blocked', (event) => this.emit('sound', /** @type {CustomEvent} */ (event).detail));
  }

  get state() { return this.#connection.state; }
  /** Why it is refused, or waits. */
  get error() { return this.#connection.error; }
  /** Whether sounds and pictures flow: `none`, `connecting`, `connected` or `interrupted`. */
  get media() { return this.#media.state; }
  /** @returns {import('./conference-messages.js').Participant | null} */
  get self() { return this.people.self; }
  /** Everybody by id, oneself included. */
  get participants() { return this.people.all; }
  /** @type {Map<string, string>} `good`, `fair`, `poor` or `lost`, by id */
  get quality() { return this.people.quality; }
  get isSoundBlocked() { return this.#sound.isBlocked; }
  get isMusic() { return this.#music; }

  /**
   * @param {Tracks & {muted?: Muting}} [feed] what to publish from the first moment on
   * @returns {Promise<void>} when the server has said welcome
   * @throws {ConferenceError} when the server refuses for good
   */
  async join({ audio, video, muted } = {}) {
    if (muted) this.mute(muted);
    if (audio || video) this.publish('camera', { audio, video });
    this.#stopListening();
    this.#stopListening = networkChanges(() => this.#moved(), () => this.#media.close());
    const joined = new Promise((resolve, reject) => {
      const check = (/** @type {Event} */ event) => {
        const { state, error } = /** @type {CustomEvent} */ (event).detail;
        if (state === 'joining') return;
        this.removeEventListener('state', check);
        if (state === 'joined') resolve(undefined);
        else reject(error ?? new ConferenceError({ code: state, message: `You are not in the conference: ${state}` }));
      };
      this.addEventListener('state', check);
    });
    this.#connection.start();
    return joined;
  }

  /** Leaves for good; tracks of the page stay as they are. */
  leave() {
    this.#connection.stop();
  }

  /** Publishes tracks, in place of those before and without a pause; what is left out stays, null ends. @param {Source} source @param {Tracks} tracks @returns {Promise<void>} */
  publish(source, tracks) { return this.#feeds.set(source, tracks); }
  /** @param {Source} source */
  unpublish(source) { return this.#feeds.set(source, { audio: null, video: null }); }
  /** @param {MediaStreamTrack | null} audio */
  setMicrophone(audio) { return this.publish('camera', { audio }); }
  /** @param {MediaStreamTrack | null} video */
  setCamera(video) { return this.publish('camera', { video }); }
  /** @param {MediaStreamTrack | null} video @param {MediaStreamTrack | null} [audio] */
  setScreen(video, audio = null) { return this.publish('screen', { video, audio: video && audio }); }
  /** Sends nothing of it until it is unmuted; the track itself, and its light, stay the page's. @param {Muting} muted @param {Source} [source] @returns {Promise<void>} */
  mute(muted, source = 'camera') { return this.#feeds.mute(source, muted); }
  /** What I publish. @param {Source} source */
  feedOf(source) { return this.#feeds.get(source); }

  /**
   * Asks for camera and microphone and publishes them.
   * @param {{audio?: boolean | MediaTrackConstraints, video?: boolean | MediaTrackConstraints}} [wanted]
   * @returns {Promise<MediaStream>}
   */
  async openCamera({ audio = true, video = true } = {}) {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: audio === true ? microphoneConstraints(this.#music) : audio,
      video: video === true ? cameraConstraints(presetOf('720p')) : video,
    });
    await this.publish('camera', { audio: stream.getAudioTracks()[0] ?? null, video: stream.getVideoTracks()[0] ?? null });
    return stream;
  }

  /** Asks for a screen and publishes it. @returns {Promise<MediaStream>} */
  async shareScreen() {
    const stream = await navigator.mediaDevices.getDisplayMedia(screenConstraints(presetOf('1080p')));
    await this.setScreen(stream.getVideoTracks()[0] ?? null, stream.getAudioTracks()[0] ?? null);
    return stream;
  }

  /**
   * Two channels, 256 kbit/s, never faded out for being quiet. The microphone should be opened without processing: `microphoneConstraints(true)`.
   * @param {boolean} on
   * @throws {ConferenceError} where it is not permitted
   */
  async music(on) {
    if (on && this.#isJoined && !this.permissions.music) throw new ConferenceError({ code: 'forbidden', message: 'Music mode is for performers; ask a moderator for that role' });
    this.#music = on;
    this.#connection.send({ type: 'music', on });
    await this.#feeds.setMusic(on);
    await this.#media.setMusic(on);
  }

  /** What reaches me of somebody. @param {string} id @param {Source} source @param {Kind} kind */
  trackOf(id, source, kind) { return this.#slots.get(id, source, kind); }
  /** All sounds that reach me. @returns {{id: string, source: Source, mid: string, track: MediaStreamTrack}[]} */
  sounds() { return this.#slots.list().filter(({ kind }) => kind === 'audio'); }
  /** Which pictures I want, most important first; without it the server shows everybody who fits. @param {import('./conference-watch.js').Wish[]} wishes */
  watch(wishes) { this.#watch.set(wishes, this.limits.video_slots); }
  /** Whose sound I do not want. @param {string[]} ids */
  silence(ids) {
    const silenced = [...new Set(ids)].sort();
    if (silenced.join() === (this.#silenced ?? []).join()) return;
    this.#silenced = silenced;
    this.#connection.send({ type: 'silence', ids: silenced });
  }

  /** @param {boolean} raised */
  raiseHand(raised) { return this.#connection.send({ type: 'hand', raised }); }
  /** @param {string} name */
  rename(name) {
    this.#options.name = name;
    return this.#connection.send({ type: 'rename', name });
  }

  /**
   * Says something to everybody in the space, whether they are in the conference or not.
   * @param {{type: string, value?: any, store?: boolean, id?: string}} said type: `CHAT`, `CUE`, or any word of your own; store: kept for those who come later
   * @returns {string} its id, by which an `error` names it; empty when it is longer than 64 kB, or too much waits for a connection
   */
  say(said) { return this.#data.say(said); }
  /** Moves oneself, twenty times a second at most. @param {Partial<import('./conference-positions.js').Position>} position */
  move(position) { this.#data.move(position); }
  /** Whether what is said goes out at once. */
  get isOnBus() { return this.#data.isOpen; }
  /** Where everybody is. @type {Map<string, import('./conference-positions.js').Position>} */
  get positions() { return this.#data.whereabouts; }
  /** Calls `listener` with the `detail` of an event. @param {string} event @param {(detail: any) => void} listener @returns {() => void} which ends that */
  on(event, listener) {
    const hear = (/** @type {Event} */ heard) => listener(/** @type {CustomEvent} */ (heard).detail);
    this.addEventListener(event, hear);
    return () => this.removeEventListener(event, hear);
  }

  /** A moderator's request: PROTOCOL.md lists them. @param {string} action for example `mute` @param {object} [fields] for example `{ id, source: 'camera', audio: true }` */
  moderate(action, fields = {}) { return this.#connection.send({ type: 'moderate', ...fields, action }); }

  /** @param {string} deviceId of a loudspeaker; empty for the system's choice @returns {Promise<void>} */
  setSpeaker(deviceId) { return this.#sound.setSpeaker(deviceId); }
  /** @param {string} id @param {number} volume 0 to 1 */
  setVolume(id, volume) { this.#sound.setVolume(id, volume); }
  /** Call it from a click when `isSoundBlocked`. */
  unlockSound() { return this.#sound.unlock(); }
  /** What flows, from whom and to whom: see conference-stats.js. */
  stats() { return readStats(this.#media.peer, this.#slots.list()); }

  /** @param {string} type @param {object} [detail] */
  emit(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** The `join` of each attempt: with an offer, unless a connection goes on. */
  async #compose(/** @type {string} */ space) {
    const { name, token, client, data, identity } = this.#options;
    // Attempts may overlap; they are the same person.
    this.#identity ??= identity ? Promise.resolve({ value: identity, release() {} }) : identityFor(space);
    const { value } = await this.#identity;
    const join = { type: 'join', version: VERSION, name, identity: value, client, ...(token ? { token } : {}), ...(data ? { data } : {}), ...(this.#resume ? { resume: this.#resume } : {}) };
    if (this.#media.isAnswered && this.#resume) return join;
    const sdp = await this.#media.offer();
    return { ...join, sdp, feeds: this.#feeds.announced() };
  }

  #welcome(/** @type {any} */ message) {
    const isKept = message.media === 'kept';
    const isResumed = this.#media.isAnswered;
    this.#resume = message.resume ?? '';
    this.#isJoined = true;
    this.limits = message.limits;
    this.#media.welcome({ isKept, iceRestart: this.#networkChanged, iceServers: message.ice_servers });
    this.#networkChanged = false;
    if (isResumed && isKept) this.#feeds.repeat(this.self?.feeds.map(({ source }) => source) ?? []);
    this.#feeds.reconsider();
    if (this.#music && this.permissions.music) this.#connection.send({ type: 'music', on: true });
    this.#watch.repeat();
    if (this.#silenced) this.#connection.send({ type: 'silence', ids: this.#silenced });
  }

  /** Before the welcome nobody knows; afterwards the role says. */
  #mayPublish(/** @type {Source} */ source) {
    return !this.#isJoined || (source === 'screen' ? this.permissions.screen : this.permissions.publish);
  }

  #assign(/** @type {import('./conference-messages.js').Slot[] | null} */ slots) {
    const changes = this.#slots.assign(slots, (mid) => this.#media.peer?.received(mid) ?? null);
    if (this.#options.sound) {
      const owners = new Map(this.sounds().map(({ mid, id }) => [mid, id]));
      this.#sound.play((this.#media.peer?.slots() ?? []).filter(({ kind }) => kind === 'audio').map(({ mid, track }) => ({ mid, track, id: owners.get(mid) ?? null })));
    }
    if (changes.length === 0) return;
    for (const change of changes) this.emit('track', { ...change, participant: this.people.all.get(change.id) ?? null });
    this.emit('tracks', { changes });
  }

  #moved() {
    this.#networkChanged = true;
    this.#connection.refresh();
  }

  #turn(/** @type {{state: import('./conference-connection.js').State, error: ConferenceError | null, retryMs: number}} */ detail) {
    if (['refused', 'removed', 'replaced', 'left'].includes(detail.state)) this.#end();
    this.emit('state', detail);
  }

  /** Nothing of this conference goes on; another `join` begins anew. */
  #end() {
    this.#stopListening();
    this.#watch.stop();
    this.#media.drop();
    this.#data.end();
    this.#sound.stop();
    this.#identity?.then(({ release }) => release());
    this.#identity = null;
    this.#resume = '';
    this.#isJoined = false;
  }
}

function addressOf(/** @type {string} */ space, /** @type {string | undefined} */ venue) {
  const url = new URL(`/rtc/${encodeURIComponent(space)}`, venue ?? globalThis.location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return url.href;
}
