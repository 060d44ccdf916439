/**
 * How a participant's sound and pictures are encoded: layers, bit rates, codecs.
 * @module
 */
import { preferFormats, preferredOrder, sections, startAt, tuneOpus } from './sdp.js';

/** Bit rate of speech, in bit/s. */
export const SPEECH_BPS = 48_000;
/** Bit rate of music in two channels, in bit/s. */
export const MUSIC_BPS = 256_000;
/** Bit rate of a shared screen's sound, in bit/s. */
export const SCREEN_SOUND_BPS = 128_000;
/** Most for a shared screen's picture, in bit/s: text that scrolls. */
export const SCREEN_BPS = 2_500_000;

/** What pictures begin with, in bit/s: two layers of a camera, which nearly every uplink carries until the browser has measured this one. */
const START_BPS = 700_000;

/** The layers of a camera, lowest first, with their bit rates for a picture of 1280 x 720. */
export const LAYERS = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
];
const LAYERS_PIXELS = 1280 * 720;
const RATE_MIN_BPS = 60_000;
const SIZE_UNKNOWN = { width: 1280, height: 720 };

/** @returns {RTCRtpEncodingParameters[]} what a camera's transceiver is made with */
export function cameraEncodings() {
  return LAYERS.map((layer) => ({ ...layer }));
}

/**
 * What a screen's transceiver is made with: one picture in full, whose frame rate can be thinned out on the way.
 * @param {boolean} layered whether the browser knows temporal layers
 * @returns {RTCRtpEncodingParameters[]}
 */
export function screenEncodings(layered) {
  return [{ maxBitrate: SCREEN_BPS, ...(layered ? { scalabilityMode: 'L1T3' } : {}) }];
}

/**
 * The bit rate of a layer for a picture of another size: a picture of a quarter of the pixels needs a little more than a quarter.
 * @param {number} maxBitrate at 1280 x 720, in bit/s
 * @param {{width?: number, height?: number}} size
 * @returns {number}
 */
export function rateFor(maxBitrate, { width, height }) {
  const pixels = (width ?? 0) * (height ?? 0) || LAYERS_PIXELS;
  return Math.max(RATE_MIN_BPS, Math.round(maxBitrate * (pixels / LAYERS_PIXELS) ** 0.75));
}

/**
 * What the server is told of a picture: its layers, lowest first.
 * @param {{width?: number, height?: number}} settings of the track
 * @param {'camera' | 'screen'} source
 * @returns {{rid: string, width: number, height: number}[]}
 */
export function layersOf({ width, height }, source) {
  const size = width && height ? { width: Math.round(width), height: Math.round(height) } : SIZE_UNKNOWN;
  if (source === 'screen') return [{ rid: '', ...size }];
  return LAYERS.map(({ rid, scaleResolutionDownBy }) => ({ rid, width: Math.max(1, Math.floor(size.width / scaleResolutionDownBy)), height: Math.max(1, Math.floor(size.height / scaleResolutionDownBy)) }));
}

/**
 * Puts the codecs that are preferred first; a browser that refuses the order keeps its own.
 * @param {RTCRtpTransceiver} transceiver of a picture
 * @param {string[]} names
 */
export function preferCodecs(transceiver, names) {
  const codecs = globalThis.RTCRtpSender?.getCapabilities?.('video')?.codecs;
  if (!codecs || !transceiver.setCodecPreferences || names.length === 0) return;
  try {
    transceiver.setCodecPreferences(preferredOrder(codecs, names));
  } catch {
    // Firefox before 128 and some Safari versions reject lists of their own capabilities.
  }
}

/**
 * @typedef {object} Rules how this connection's sections are sent
 * @property {string | null} microphone `mid`
 * @property {string | null} screen `mid` of the screen's sound
 * @property {boolean} music
 * @property {boolean} red
 * @property {string[]} codecs of pictures, best first
 */

/**
 * What is made of the server's description: it is the one that binds what a browser sends. Speech is silent when nobody speaks and repeats itself
 * against loss; music is neither cut nor mixed to one channel; pictures are in the codec that is preferred here.
 * @param {string} sdp
 * @param {Rules} rules
 * @returns {string}
 */
export function tuneRemote(sdp, { microphone, screen, music, red, codecs }) {
  const isMicrophone = (/** @type {string | null} */ mid) => mid !== null && mid === microphone;
  const isScreen = (/** @type {string | null} */ mid) => mid !== null && mid === screen;
  const sound = music ? { stereo: 1, maxaveragebitrate: MUSIC_BPS, usedtx: 0 } : { stereo: 0, maxaveragebitrate: SPEECH_BPS, usedtx: 1, useinbandfec: 1 };
  let tuned = tuneOpus(sdp, sound, isMicrophone);
  tuned = tuneOpus(tuned, { stereo: 1, maxaveragebitrate: SCREEN_SOUND_BPS, usedtx: 0 }, isScreen);
  if (red && !music) tuned = preferFormats(tuned, ['red'], isMicrophone);
  const pictures = new Set(sections(tuned).filter(({ kind, direction }) => kind === 'video' && direction === 'recvonly').map(({ mid }) => mid));
  return startAt(preferFormats(tuned, codecs, (mid) => pictures.has(mid)), START_BPS);
}

/**
 * What is made of our own description: whoever plays music is heard in two channels.
 * @param {string} sdp
 * @returns {string}
 */
export function tuneLocal(sdp) {
  const receiving = new Set(sections(sdp).filter(({ direction }) => direction === 'recvonly').map(({ mid }) => mid));
  return tuneOpus(sdp, { stereo: 1 }, (mid) => receiving.has(mid));
}
