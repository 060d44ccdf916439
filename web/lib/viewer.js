/**
 * Watching a space: which of its streams is shown and in which way, and what the page should say meanwhile. Knows nothing of Vue: it plays before
 * Vue has loaded.
 * @module
 */
import { admit } from './admission.js';
import { Qualities } from './layers.js';
import { DEFAULT_STREAM, endpoint, streamOfHash } from './names.js';
import { SpaceWatcher, viewersOf } from './spaces.js';
import { firstWay, freeSeats, isBarred, keepReason, keepWish, reasonToLeave, SILENT_MAX_MS, wish } from './ways.js';
import { WhepClient } from './whep.js';

/** How long the stage may be dark, in ms, before a stream that still plays is taken for over: a performer who reconnects is a hiccup, not an end. */
export const HICCUP_MAX_MS = 4000;

/** How often a dark stage is asked again, in ms, while the venue tells by itself when it goes live: a waiting audience costs nothing. */
const PATIENCE_MS = 30_000;

/** How long HLS that failed is left alone, in ms, before it is tried again in place of WebRTC. */
const HLS_PAUSE_MS = 30_000;

/** How far back the short playlist surely reaches, in seconds. */
const SHORT_S = 20;

/** How long somebody who asked for WebRTC waits for it while HLS plays on, in ms. */
const SWITCH_MAX_MS = 12_000;

/** What a player's state means for the page. @type {Record<import('./hls-player.js').PlayerState, import('./states.js').State>} */
const STATES = { loading: 'connecting', playing: 'live', paused: 'live', ended: 'live', stalled: 'reconnecting', waiting: 'waiting', failed: 'failed' };

/** @typedef {{client: WhepClient, stream: MediaStream, video: boolean}} Media `video`: whether a picture is negotiated */

/**
 * Events: `change` whenever the snapshot may differ; `playback` when `playback` is another.
 */
export class Viewer extends EventTarget {
  /** What can be chosen of the picture that WebRTC brings. */ qualities = new Qualities();
  /** What plays by HLS; null otherwise. @type {import('./playback.js').Playback | null} */ playback = null;
  #space;
  #screen;
  #watcher;
  #canWebRtc;
  /** @type {WhepClient | null} */ #client = null;
  /** @type {WhepClient | null} plays on until its successor has a picture */ #previous = null;
  /** @type {string | null} what the person asked for */ #choice;
  #stream;
  #wasLive = false;
  /** What the venue said last about the chosen stream: only a change is a reason to try at once. */ #told = false;
  /** What is on the screen. @type {WhepClient | import('./playback.js').Playback | null} */ #shown = null;
  /** What the current session brings. @type {Media & {picture: boolean} | null} */ #media = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #darkTimer;
  /** @type {import('./ways.js').Way | null} what a switch leads to */ #switching = null;
  /** @type {import('./ways.js').Reason | null} */ #reason = null;
  /** @type {import('./recordings.js').Recording | null} */ #recording = null;
  /** When WebRTC began to be wanted without a picture, ms. */ #silentSince = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #silentTimer;
  /** Grows with every start of HLS, so that one that was overtaken while its code was loading is dropped. */ #turn = 0;
  /** The venue said that no seat is free. */ #full = false;
  /** When HLS failed, ms. */ #hlsFailedAt = -Infinity;
  /** Somebody wants WebRTC although the picture is jerky. */ #insists = false;
  /** The venue said that it stops; over with its next word. */ #closing = false;
  #running = false;
  #wish = wish();

  /**
   * @param {string} space
   * @param {import('./screen.js').Screen} screen
   * @param {string} [hash] the address's fragment, which may name a stream
   * @param {string} [token] an invitation, for a space that is private
   */
  constructor(space, screen, hash = '', token = '') {
    super();
    this.token = token;
    this.#space = space;
    this.#screen = screen;
    this.#canWebRtc = typeof globalThis.RTCPeerConnection === 'function';
    this.#choice = streamOfHash(hash);
    this.#stream = this.#choice ?? DEFAULT_STREAM;
    this.#watcher = new SpaceWatcher(space);
    screen.addEventListener('change', () => this.#changed());
    this.#watcher.addEventListener('space', () => this.#follow());
    this.#watcher.addEventListener('closing', () => this.#leaveClosing());
    this.#watcher.addEventListener('reachable', () => {
      this.#instruct();
      if (this.#watcher.reachable) {
        this.#client?.nudge();
        this.#client?.check();
        this.playback?.player?.retry();
      }
      this.#changed();
    });
  }

  /** Connects at once: the server says soon enough when nobody performs. */
  start() {
    if (this.#running) return;
    this.#running = true;
    this.#begin();
    this.#watcher.start();
  }

  /** @param {{leaving?: boolean}} [options] */
  stop(options) {
    this.#running = false;
    clearTimeout(this.#darkTimer);
    clearTimeout(this.#silentTimer);
    this.#watcher.stop();
    this.#dropClients(options);
    this.#dropPlayback();
    this.#clear();
  }

  /** Tries at once: the network is back, or somebody pressed the button. */
  retry() {
    this.playback?.player?.retry();
    if (this.playback && !this.#client && this.playback.state === 'failed') return this.#restart();
    if (this.#client?.state === 'failed') this.#watch(this.#stream);
    else this.#client?.nudge();
  }

  /**
   * Shows another stream; the current one stays until the other has a picture. Who is behind stays at the same moment.
   * @param {string} stream
   */
  choose(stream) {
    this.#choice = stream;
    if (stream === this.#stream && !this.#recording) return;
    this.qualities.forget();
    this.#insists = false;
    this.#recording = null;
    const { playback } = this;
    if (playback && this.#hlsOf(stream)) {
      this.#stream = stream;
      this.#play(playback.isLive ? null : playback.moment, { paused: this.#screen.held });
      return;
    }
    if (playback) {
      this.#dropPlayback();
      this.#clear();
    }
    this.#watch(stream);
  }

  /**
   * Changes the way, because somebody asked. The picture stays until the other way has one.
   * @param {import('./ways.js').Way} way
   */
  use(way) {
    keepWish(way);
    this.#wish = way;
    this.#insists = way === 'webrtc';
    this.#reason = null;
    if (way === 'hls') this.#toHls();
    else this.#toWebRtc();
    this.#changed();
  }

  #toWebRtc() {
    if (!this.#canWebRtc) return;
    if (this.#shown !== this.playback && this.playback) this.#dropPlayback(); // It was only on its way.
    if (this.#client) return;
    this.#switching = this.playback ? 'webrtc' : null;
    this.#watch(this.#stream);
  }

  /**
   * @param {number} [back_s] how far behind the picture of this instant it begins; live where nothing is said
   * @param {boolean} [paused]
   */
  #toHls(back_s, paused = false) {
    if (this.playback && this.#shown === this.playback) return this.#stay(null);
    if (!this.#hlsOf(this.#stream)) return undefined;
    if (back_s === undefined) return this.#play(null);
    const pressedAt = performance.now();
    // Counted from the newest media, not by the viewer's clock, which may be wrong.
    return this.#play((end) => end - back_s * 1000 - (performance.now() - pressedAt), { paused, view: back_s < SHORT_S ? 'live' : 'dvr' });
  }

  /** Holds the picture: live, that means HLS from this moment on. */
  pause() {
    if (this.playback && this.#shown === this.playback) return this.playback.pause();
    if (!this.#hlsOf(this.#stream) || this.#switching === 'hls') return undefined;
    this.#screen.pause();
    return this.#toHls(0, true);
  }

  /** Plays on. */
  resume() {
    if (this.playback && this.#shown !== this.playback) this.#dropPlayback(); // It was only on its way.
    if (this.playback) this.playback.resume();
    else this.#screen.resume();
  }

  /** Goes back or forward; live, that means HLS. @param {number} seconds */
  skip(seconds) {
    if (this.playback && this.#switching !== 'webrtc') this.playback.skip(seconds);
    else if (seconds < 0 && !this.#switching) this.#toHls(-seconds);
  }

  /** Asks what there is to choose of the picture that WebRTC brings. */
  readQualities() {
    const hasLayers = this.#tracksOf(this.#stream).some(({ layers }) => layers > 1);
    return this.qualities.read(hasLayers && this.#shown === this.#client ? this.#client : null);
  }

  /** @param {number} id one of `qualities`; -1 for what the network carries */
  chooseQuality = (id) => this.qualities.choose(this.#client, id);

  /** Plays a film in place of the stage. @param {import('./recordings.js').Recording} recording */
  playRecording(recording) {
    this.#recording = recording;
    this.#play(null);
  }

  /** Back from a film to the stage. */
  leaveRecording() {
    if (!this.#recording) return;
    this.#recording = null;
    this.#restart();
  }

  /** @returns {import('./status.js').Snapshot} */
  snapshot() {
    const { space, reachable } = this.#watcher;
    const way = this.#way();
    return {
      state: this.#state(way),
      refusal: (way === 'hls' ? this.playback : this.#client)?.refusal ?? null,
      stream: this.#stream,
      streams: space?.streams ?? [],
      viewers: viewersOf(space),
      reachable,
      known: space !== null,
      wasLive: this.#wasLive,
      canSeePicture: way === 'hls' || (this.#client?.canSeePicture ?? true),
      hasPicture: this.#screen.hasPicture,
      soundOnly: this.#screen.hasPicture && (way === 'hls' ? !this.#mayHavePicture() : this.#media?.picture === false) && !this.#screen.hasPixels,
      muted: this.#screen.muted,
      blocked: this.#screen.blocked,
      held: this.#screen.held,
      way,
      switching: this.#switching,
      ways: { webrtc: this.#canWebRtc, hls: this.#hlsOf(this.#stream) !== null },
      reason: way !== 'hls' ? null : this.#reason ?? (this.#isJerky() && !this.#recording ? 'jerky' : null),
      recording: this.#recording?.id ?? null,
    };
  }

  /** @returns {import('./ways.js').Way} */
  #way() {
    if (this.#shown) return this.#shown === this.playback ? 'hls' : 'webrtc';
    if (this.#switching === 'hls' || this.playback || !this.#canWebRtc) return 'hls';
    return this.#client || this.#wish !== 'hls' ? 'webrtc' : 'hls';
  }

  /** @returns {import('./states.js').State} */
  #state(/** @type {import('./ways.js').Way} */ way) {
    if (way === 'webrtc' && this.#client) return this.#client.state;
    if (way === 'hls' && this.playback) return STATES[this.playback.state];
    return this.#watcher.space === null || this.#isLive(this.#stream) ? 'connecting' : 'waiting';
  }

  #isLive(/** @type {string} */ name) {
    return this.#watcher.space?.streams.find((stream) => stream.name === name)?.live ?? false;
  }

  #hasSlate(/** @type {string} */ name) {
    return this.#watcher.space?.streams.find((stream) => stream.name === name)?.slate ?? false;
  }

  #hlsOf(/** @type {string} */ name) {
    return this.#watcher.space?.streams.find((stream) => stream.name === name)?.hls ?? null;
  }

  #tracksOf(/** @type {string} */ name) {
    return this.#watcher.space?.streams.find((stream) => stream.name === name)?.tracks ?? [];
  }

  /** Whether browsers show few of the chosen stream's pictures by WebRTC, and nobody wants it all the same. */
  #isJerky() {
    const trouble = this.#watcher.space?.streams.find(({ name }) => name === this.#stream)?.trouble ?? [];
    return !this.#insists && trouble.some(({ code }) => code === 'b-frames');
  }

  /** Whether the venue knows of a picture, or knows nothing yet. */
  #mayHavePicture() {
    const known = this.#tracksOf(this.#stream);
    return known.length === 0 || known.some(({ kind }) => kind === 'video');
  }

  #firstWay() {
    const hls = this.#watcher.space === null ? null : this.#hlsOf(this.#stream) !== null;
    return firstWay({ webrtc: this.#canWebRtc, hls, wish: this.#wish, barred: isBarred(), jerky: this.#isJerky() });
  }

  /** Begins to show the chosen stream in whichever way fits. */
  #begin() {
    const way = this.#firstWay();
    if (way === 'webrtc') this.#watch(this.#stream);
    else if (way === 'hls' && this.#isLive(this.#stream)) this.#play(null);
    this.#changed();
  }

  #restart() {
    this.#dropClients();
    this.#dropPlayback();
    this.#clear();
    this.#begin();
  }

  /** Tells the client what to expect: a dark stage is waited for patiently, a live one that is silent is a fault. */
  #instruct() {
    const { space, reachable } = this.#watcher;
    const live = this.#isLive(this.#stream);
    if (!this.#client) return;
    this.#client.expectMedia = space === null || live;
    this.#client.patienceMs = space !== null && reachable && !live ? PATIENCE_MS : 0;
  }

  /** The venue told something new about the space. */
  #follow() {
    const live = this.#isLive(this.#stream);
    const client = this.#client;
    this.#closing = false;
    this.#instruct();
    this.#inform();
    if (live) {
      clearTimeout(this.#darkTimer);
      this.#darkTimer = undefined;
      if (!client && !this.playback && !this.#switching) this.#begin();
      else if (client && client.state !== 'live' && !this.#told) {
        if (this.#firstWay() === 'hls' && !this.playback) {
          this.#play(null);
        } else {
          this.#askForSeat(client);
          client.nudge();
        }
      }
    } else if (client?.state === 'live') {
      this.#expectEnd();
    }
    this.#told = live;
    const media = this.#media;
    if (live && media?.video && media.client === client && media.picture !== this.#mayHavePicture()) this.#show(media);
    // Nobody asked for a certain camera: show one that performs.
    const other = this.#watcher.space?.streams.find((stream) => stream.live);
    if (!live && !this.#choice && other && client?.state !== 'live' && !this.playback) this.#turnTo(other.name);
    this.#consider();
    this.#changed();
  }

  #turnTo(/** @type {string} */ stream) {
    if (this.#client) return this.#watch(stream);
    this.#stream = stream;
    return this.#begin();
  }

  /** Leaves WebRTC for HLS where there is a reason to. @returns {boolean} whether it did */
  #consider() {
    const client = this.#client;
    clearTimeout(this.#silentTimer);
    if (!client || this.#closing || this.playback || this.#switching === 'hls' || performance.now() - this.#hlsFailedAt < HLS_PAUSE_MS) return false;
    if (this.#wish === 'hls' && this.#isLive(this.#stream) && this.#hlsOf(this.#stream)) {
      // There was no HLS yet when the performance began.
      this.#play(null);
      return true;
    }
    const works = client.state === 'live' && this.#shown === client;
    if (works || !this.#isLive(this.#stream)) this.#silentSince = 0;
    else this.#silentSince ||= performance.now();
    const silent_ms = this.#silentSince ? performance.now() - this.#silentSince : 0;
    const reason = reasonToLeave({
      full: this.#full && !works, jerky: this.#isJerky(), refusal: client.state === 'live' ? null : client.refusal, canSeePicture: client.canSeePicture, live: this.#isLive(this.#stream),
      hls: this.#hlsOf(this.#stream) !== null, reachable: this.#watcher.reachable, silent_ms,
    });
    if (reason) {
      keepReason(reason);
      this.#reason = reason;
      // Another way that might still work may win; a seat that somebody else should have must not.
      if (reason === 'seats') this.#dropClients();
      this.#play(null);
    } else if (this.#silentSince && silent_ms < SILENT_MAX_MS) {
      this.#silentTimer = setTimeout(() => this.#consider(), SILENT_MAX_MS - silent_ms + 10);
    }
    return reason !== null;
  }

  /** A browser takes the connection for alive half a minute longer: the session ends here and now, and the next one waits for whoever answers. */
  #leaveClosing() {
    this.#closing = true;
    this.#client?.session?.end('the venue is closing');
    this.#changed();
  }

  #expectEnd() {
    this.#darkTimer ??= setTimeout(() => this.#end(), HICCUP_MAX_MS);
  }

  /** The stage stays dark: a new session waits for the next performance, and the last picture goes. */
  #end() {
    this.#darkTimer = undefined;
    const client = this.#client;
    if (!client || this.#isLive(this.#stream)) return;
    // The venue says what happens, and ends the session when it does so no longer.
    if (client.state === 'live' && this.#hasSlate(this.#stream)) return this.#expectEnd();
    this.#clear();
    if (client.state === 'live') client.renew();
    else client.forget();
    this.#changed();
  }

  #clear() {
    this.#shown = null;
    this.#switching = null;
    this.#screen.clear();
  }

  #watch(/** @type {string} */ stream) {
    this.#previous?.stop();
    this.#previous = this.#client;
    this.#stream = stream;
    clearTimeout(this.#darkTimer);
    this.#darkTimer = undefined;
    const client = new WhepClient(endpoint('whep', this.#space, stream), { key: this.token || null });
    this.#client = client;
    this.#media = null;
    this.#silentSince = 0;
    this.#told = this.#isLive(stream);
    this.#instruct();
    client.addEventListener('stream', (event) => this.#show({ client, .../** @type {CustomEvent} */ (event).detail }));
    client.addEventListener('state', () => client === this.#client && client.state === 'live' && this.qualities.restore(client));
    client.addEventListener('state', (event) => this.#changeState(client, /** @type {CustomEvent} */ (event).detail.state));
    // Whoever changes the camera has a seat. The question is under way before the offer is, and takes no time of its own.
    this.#full = false;
    if (!this.#previous) this.#askForSeat(client);
    client.start();
    if (this.playback) setTimeout(() => client === this.#client && this.#stay('silent'), SWITCH_MAX_MS);
    this.#changed();
  }

  async #askForSeat(/** @type {WhepClient} */ client) {
    const free = await freeSeats();
    if (client !== this.#client || this.#shown === client) return;
    this.#full = free === 0;
    if (this.#full && !this.#stay('seats')) this.#consider();
  }

  /**
   * Shows what a session brings. Without a picture only the sound is given to the screen: a video element waits for ever for the first picture
   * of a track that has none. When the venue learns of a picture, or of its end, this is called again.
   */
  async #show(/** @type {Media} */ media) {
    if (media.client !== this.#client) return;
    if (!media.client.canSeePicture && (this.#stay('codec') || this.#consider())) return;
    const picture = media.video && this.#mayHavePicture();
    this.#media = { ...media, picture };
    const shown = await this.#screen.show(picture ? media.stream : new MediaStream(media.stream.getAudioTracks()), { video: picture });
    if (!shown || media.client !== this.#client) return;
    this.#shown = media.client;
    this.#wasLive = true;
    this.#silentSince = 0;
    media.client.forget();
    this.#retire();
    this.#dropPlayback();
    this.#changed();
  }

  #changeState(/** @type {WhepClient} */ client, /** @type {import('./states.js').State} */ state) {
    if (client !== this.#client) return;
    if (this.playback && this.#shown === this.playback) {
      // HLS is on the stage and stays there if this is no better.
      const reason = reasonToLeave({ full: false, refusal: client.refusal, canSeePicture: client.canSeePicture, live: true, hls: true, reachable: true, silent_ms: 0 });
      if (reason || state === 'failed' || state === 'waiting') this.#stay(reason);
      return;
    }
    if (state === 'waiting' && this.#shown === client) {
      // The performer may be back in a moment: the last picture stays that long.
      this.#expectEnd();
    } else if ((state === 'waiting' || state === 'failed') && !this.playback) {
      this.#retire();
      this.#clear();
      client.forget();
    }
    this.#consider();
    this.#changed();
  }

  /** WebRTC was asked for and did not come: HLS plays on. @returns {boolean} false where there is no HLS on the stage */
  #stay(/** @type {import('./ways.js').Reason | null} */ reason) {
    if (!this.playback || this.#shown !== this.playback) return false;
    if (this.#client) {
      this.#dropClients();
      this.#screen.abandon();
    }
    this.#switching = null;
    this.#reason = reason;
    this.#changed();
    return true;
  }

  #retire() {
    this.#previous?.stop();
    this.#previous = null;
  }

  /** @param {{leaving?: boolean}} [options] */
  #dropClients(options) {
    for (const client of [this.#client, this.#previous]) client?.stop(options);
    this.#client = null;
    this.#previous = null;
    this.#media = null;
  }

  /**
   * Plays the chosen stream, or the chosen film, by HLS. Whatever is shown stays until it has a picture.
   * @param {import('./hls-player.js').Start} start where it begins; null: live, or at the beginning of the film
   * @param {{paused?: boolean, view?: import('./playback.js').View}} [options]
   */
  async #play(start, { paused = false, view = start === null ? 'live' : 'dvr' } = {}) {
    const turn = ++this.#turn;
    const [film, hls] = [this.#recording, this.#hlsOf(this.#stream)];
    const address = film?.playlist ?? hls?.url;
    if (!address) return;
    if (!this.playback || this.#shown !== this.playback) this.#switching = 'hls';
    this.#changed();
    // Who only ever watches by WebRTC does not load a line of this.
    const [loaded] = await Promise.all([import('./playback.js').catch(() => null), admit(this.#space, this.token)]);
    if (turn !== this.#turn || !this.#running) return;
    if (!loaded) {
      this.#switching = null;
      return this.#changed();
    }
    const playback = this.playback ?? this.#adopt(new loaded.Playback(this.#screen));
    this.#inform();
    const shown = await playback.begin({ address, view: film ? 'recording' : view, start, video: film !== null || this.#mayHavePicture(), paused });
    if (!shown || playback !== this.playback) return;
    this.#dropClients();
    this.#shown = playback;
    this.#wasLive ||= film === null;
    this.#switching = null;
    this.#changed();
  }

  #adopt(/** @type {import('./playback.js').Playback} */ playback) {
    this.playback = playback;
    playback.addEventListener('state', () => playback === this.playback && this.#changePlayback(playback));
    this.dispatchEvent(new CustomEvent('playback'));
    return playback;
  }

  /** Tells the player how far back the venue goes. */
  #inform() {
    const stream = this.#watcher.space?.streams.find(({ name }) => name === this.#stream);
    if (this.playback && stream) this.playback.kept = { since: stream.since?.getTime() ?? null, dvr_s: stream.hls?.dvr_s ?? null };
  }

  #changePlayback(/** @type {import('./playback.js').Playback} */ playback) {
    const { state } = playback;
    const shown = this.#shown === playback;
    if (this.#recording && (state === 'failed' || state === 'waiting')) {
      this.#recording = null;
      this.#dropPlayback();
      if (!this.#client) this.#restart();
    } else if (state === 'failed' && !shown) {
      this.#hlsFailedAt = performance.now();
      if (this.#client) this.#dropPlayback();
    } else if (shown && !this.#recording && (state === 'ended' || state === 'waiting')) {
      // The end was seen, or nothing is at this address any more: a performer who is only gone for a moment keeps it.
      this.#restart();
    }
    this.#changed();
  }

  #dropPlayback() {
    this.#turn += 1;
    const { playback } = this;
    this.playback = null;
    this.#switching = null;
    if (!playback) return;
    playback.stop();
    this.dispatchEvent(new CustomEvent('playback'));
  }

  #changed() {
    this.dispatchEvent(new CustomEvent('change'));
  }
}
