/**
 * HLS on the stage: live, rewound and recorded, with one player after another. Each new one is made ready behind the picture and comes forward with
 * its first frame, at the moment that was shown.
 * @module
 */
import { HlsPlayer } from './hls-player.js';
import { LIVE_WITHIN_S, MARGIN_S, windowOf } from './moments.js';

/** A stall shorter than this, in ms, is nobody's business. */
const STALL_SAID_AFTER_MS = 1500;
/** A live viewer who fell this far behind live, in seconds, is brought back: catching up would take minutes. */
const JUMP_AFTER_S = 5;
/** Who pauses within this time of a first picture, in ms, is the browser (WebKit, when a muted element changes its place), not a person. */
const SETTLED_AFTER_MS = 3000;
/** WebKit stops one managed player for another, which then waits for ever: there the new one takes the place of the old one at once. */
const PLAYS_ONE = 'ManagedMediaSource' in globalThis;
/** A new picture this far, in ms, from where it should begin is elsewhere. */
const ASTRAY_MS = 3000;
/** How often the clock on the page moves while the picture stands, in ms. */
const TICK_MS = 500;

/**
 * @typedef {'live' | 'dvr' | 'recording'} View live: the playlist of the last seconds; dvr: the one of everything that the venue kept; recording: a film
 *
 * @typedef {object} Show what is to be played
 * @property {string} address of the multivariant playlist of the live view or of the film
 * @property {View} view
 * @property {import('./hls-player.js').Start} [start]
 * @property {boolean} [video] whether it has a picture
 * @property {boolean} [paused]
 *
 * @typedef {object} Timeline
 * @property {View} view
 * @property {number} start the first moment that can be sought to, ms
 * @property {number} end the last one
 * @property {number} now the one shown
 * @property {boolean} live whether the viewer is where live viewers are
 * @property {number | null} latency_s behind the performance; null for a film
 * @property {boolean} paused
 * @property {boolean} ended
 * @property {boolean} busy whether another moment is on its way
 */

/**
 * Events: `state` when `state` or `refusal` changed; `time` when the timeline did; `tracks` when levels or captions did.
 */
export class Playback extends EventTarget {
  /** Shown. @type {HlsPlayer | null} */ player = null;
  /** @type {Show | null} */ show = null;
  /** What the venue says about rewinding: when the stream began, ms, and how much is kept, seconds. @type {{since: number | null, dvr_s: number | null}} */
  kept = { since: null, dvr_s: null };
  /** Coming. @type {{player: HlsPlayer, show: Show} | null} */ #next = null;
  #screen;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #ticker;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #stall;
  #stalled = false;
  #shownAt = 0;

  /** @param {import('./screen.js').Screen} screen */
  constructor(screen) {
    super();
    this.#screen = screen;
  }

  /**
   * Plays something else; what is shown stays until it has a picture.
   * @param {Show} show
   * @returns {Promise<boolean>} whether it is shown; false when another call came in between
   */
  async begin(show) {
    const address = show.view === 'dvr' ? `${show.address}?dvr` : show.address;
    const player = new HlsPlayer(address, { start: show.start ?? null });
    player.following = show.view !== 'dvr' && (show.start ?? null) === null;
    this.#next = { player, show };
    player.addEventListener('state', () => this.#turn(player));
    player.addEventListener('time', () => player === this.player && this.#tell('time'));
    player.addEventListener('tracks', () => player === this.player && this.#tell('tracks'));
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS);
    this.#tell('state');
    const alone = PLAYS_ONE && this.player !== null;
    if (alone) this.player = null;
    const shown = await this.#screen.show(player, { video: show.video ?? true, paused: show.paused ?? false, alone });
    if (!shown || this.#next?.player !== player) return false;
    this.#next = null;
    this.player = player;
    this.show = show;
    this.#stalled = false;
    this.#shownAt = performance.now();
    if (player.state === 'paused' && !this.#screen.held) this.#screen.resume();
    // hls.js begins live if its second playlist is there before its first fragment.
    if (typeof player.start === 'number' && Math.abs((player.moment ?? player.start) - player.start) > ASTRAY_MS) player.seek(player.start);
    for (const event of ['state', 'time', 'tracks']) this.#tell(event);
    return true;
  }

  /** Plays no more; the screen lets the picture go by itself. */
  stop() {
    clearInterval(this.#ticker);
    clearTimeout(this.#stall);
    if (this.#next) this.#screen.abandon();
    this.#next = null;
    this.player = null;
  }

  /** @returns {import('./hls-player.js').PlayerState} */
  get state() {
    const state = this.player?.state ?? this.#next?.player.state ?? 'loading';
    return state === 'stalled' && this.player && !this.#stalled ? 'playing' : state;
  }

  get refusal() {
    return (this.player ?? this.#next?.player)?.refusal ?? null;
  }

  /** The moment that is shown, or is on its way, in ms. @returns {number | null} */
  get moment() {
    const start = this.#next?.player.start;
    return (typeof start === 'number' ? start : this.player?.moment) ?? null;
  }

  /** Whether the viewer is where live viewers are. */
  get isLive() {
    const show = this.#next?.show ?? this.show;
    return show?.view === 'live' && (this.#next?.player ?? this.player)?.following === true;
  }

  /** @returns {Timeline | null} null while nothing is known */
  get timeline() {
    const { player, show } = this;
    const window = player?.window;
    const moment = this.moment;
    if (!player || !show || !window || moment === null) return null;
    const range = show.view === 'recording' ? window : windowOf({ ...this.kept, end: window.end, first: window.start, whole: show.view === 'dvr' });
    const now = Math.min(range.end, Math.max(range.start, moment));
    return {
      view: show.view, ...range, now, live: this.isLive, latency_s: player.latency_s,
      paused: this.#screen.held, ended: player.state === 'ended', busy: this.#next !== null,
    };
  }

  /** Shows another moment. @param {number} moment ms */
  seek(moment) {
    const { player, show, timeline } = this;
    if (!player || !show || !timeline) return;
    const wanted = Math.min(timeline.end, Math.max(timeline.start, moment));
    if (show.view === 'recording') return player.seek(wanted);
    if (player.live && wanted >= timeline.end - (player.target_s + LIVE_WITHIN_S) * 1000) return this.goLive();
    const window = player.window;
    if (show.view === 'dvr' || (window && wanted >= window.start + MARGIN_S * 1000)) {
      this.#forget();
      player.following = false;
      return player.seek(wanted);
    }
    return void this.begin({ ...show, view: 'dvr', start: wanted, paused: this.#screen.held });
  }

  /** @param {number} seconds forward, or back where negative */
  skip(seconds) {
    const { moment } = this;
    if (moment !== null) this.seek(moment + seconds * 1000);
  }

  /** Back to where live viewers are. */
  goLive() {
    const { player, show } = this;
    if (!player || !show || show.view === 'recording') return;
    if (show.view === 'dvr' && player.live) return void this.begin({ ...show, view: 'live', start: null, paused: false });
    this.#forget();
    player.following = true;
    player.seekLive();
    this.#screen.resume();
  }

  pause() {
    if (this.player) this.player.following = false;
    this.#screen.pause();
    this.#tell('time');
  }

  resume() {
    if (this.player?.state === 'ended' && this.timeline) this.player.seek(this.timeline.start);
    this.#screen.resume();
    this.#tell('time');
  }

  /** Gives up what is on its way. */
  #forget() {
    if (!this.#next) return;
    this.#next = null;
    this.#screen.abandon();
  }

  #turn(/** @type {HlsPlayer} */ player) {
    if (player === this.#next?.player && this.player && this.show?.address === this.#next.show.address && (player.state === 'failed' || player.state === 'waiting')) {
      // The long playlist is not to be had: the oldest moment of the short one has to do.
      this.#forget();
      this.player.following = false;
      this.player.seek((this.player.window?.start ?? 0) + MARGIN_S * 1000);
    }
    if (player !== this.player && player !== this.#next?.player) return;
    if (player === this.player && player.state === 'paused' && !this.#screen.held) {
      // A key of the keyboard or the button of a small window pauses the element itself.
      if (performance.now() - this.#shownAt < SETTLED_AFTER_MS) this.#screen.resume();
      else this.pause();
    }
    clearTimeout(this.#stall);
    if (player.state === 'stalled') {
      this.#stall = setTimeout(() => {
        this.#stalled = true;
        this.#tell('state');
      }, STALL_SAID_AFTER_MS);
    } else if (player === this.player) {
      this.#stalled = false;
    }
    this.#tell('state');
  }

  #tick() {
    this.#tell('time');
    const { player, show } = this;
    const window = player?.window;
    const moment = player?.moment ?? null;
    if (!player || !show || !window || moment === null || this.#next || show.view !== 'live' || !player.live) return;
    if (player.following) {
      const behind_s = (window.end - moment) / 1000;
      if (player.state === 'playing' && !document.hidden && behind_s > player.target_s + JUMP_AFTER_S) player.seekLive();
    } else if (moment < window.start + MARGIN_S * 1000 / 2) {
      // What somebody who is behind looks at is about to leave the short playlist.
      this.begin({ ...show, view: 'dvr', start: moment, paused: this.#screen.held });
    }
  }

  #tell(/** @type {string} */ event) {
    this.dispatchEvent(new CustomEvent(event));
  }
}
