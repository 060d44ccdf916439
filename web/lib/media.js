/**
 * Cameras, microphones and screens: what is asked of them, and what to say when they refuse.
 * @module
 */

/**
 * @typedef {object} Preset
 * @property {string} id
 * @property {string} label
 * @property {number} width pixels
 * @property {number} height
 * @property {number} fps
 * @property {number} bitrate_bps of the picture
 */

/** @type {Preset[]} */
export const PRESETS = [
  { id: '360p', label: '360p · 24 fps · 0.6 Mbit/s', width: 640, height: 360, fps: 24, bitrate_bps: 600_000 },
  { id: '540p', label: '540p · 30 fps · 1.4 Mbit/s', width: 960, height: 540, fps: 30, bitrate_bps: 1_400_000 },
  { id: '720p', label: '720p · 30 fps · 2.5 Mbit/s', width: 1280, height: 720, fps: 30, bitrate_bps: 2_500_000 },
  { id: '720p60', label: '720p · 60 fps · 4 Mbit/s', width: 1280, height: 720, fps: 60, bitrate_bps: 4_000_000 },
  { id: '1080p', label: '1080p · 30 fps · 5 Mbit/s', width: 1920, height: 1080, fps: 30, bitrate_bps: 5_000_000 },
  { id: '1080p60', label: '1080p · 60 fps · 8 Mbit/s', width: 1920, height: 1080, fps: 60, bitrate_bps: 8_000_000 },
];

/** The preset of a performer who has not chosen: what most uplinks and laptops carry. */
export const PRESET_DEFAULT = '720p';

/**
 * @param {string} id
 * @returns {Preset}
 */
export function presetOf(id) {
  return PRESETS.find((preset) => preset.id === id) ?? /** @type {Preset} */ (PRESETS.find((preset) => preset.id === PRESET_DEFAULT));
}

/**
 * What is asked of a camera. Sizes are wishes: a camera that has less still performs.
 * @param {Preset} preset
 * @param {string} [deviceId]
 * @returns {MediaTrackConstraints}
 */
export function cameraConstraints({ width, height, fps }, deviceId) {
  return {
    ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
    width: { ideal: width },
    height: { ideal: height },
    frameRate: { ideal: fps, max: fps },
  };
}

/**
 * What is asked of a microphone. Speech is cleaned by the browser; music must reach the audience as it was played.
 * @param {boolean} music
 * @param {string} [deviceId]
 * @returns {MediaTrackConstraints}
 */
export function microphoneConstraints(music, deviceId) {
  return {
    ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
    echoCancellation: !music,
    noiseSuppression: !music,
    autoGainControl: !music,
    channelCount: { ideal: music ? 2 : 1 },
    sampleRate: { ideal: 48_000 },
  };
}

/**
 * What is asked of a screen. Its own sound is taken unprocessed: it is music or a film as often as speech.
 * @param {Preset} preset
 * @returns {DisplayMediaStreamOptions}
 */
export function screenConstraints({ width, height, fps }) {
  return {
    video: { width: { max: width }, height: { max: height }, frameRate: { ideal: fps, max: fps } },
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  };
}

/**
 * The encodings of a picture: one, or three layers that share the preset's bit rate, lowest first.
 * @param {Preset} preset
 * @param {boolean} simulcast
 * @returns {RTCRtpEncodingParameters[]}
 */
export function encodings({ bitrate_bps, fps }, simulcast) {
  if (!simulcast) return [{ maxBitrate: bitrate_bps, maxFramerate: fps }];
  const quarter = Math.max(100_000, Math.round(bitrate_bps / 16));
  const half = Math.max(250_000, Math.round(bitrate_bps / 4));
  return [
    { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: quarter, maxFramerate: fps },
    { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: half, maxFramerate: fps },
    { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: Math.max(half, bitrate_bps - half - quarter), maxFramerate: fps },
  ];
}

/**
 * @typedef {object} Problem
 * @property {string} title what happened
 * @property {string} advice what to do
 */

/**
 * What to say when a device cannot be had.
 * @param {{name?: string, message?: string}} error as `getUserMedia` or `getDisplayMedia` throws it
 * @param {'camera' | 'microphone' | 'screen'} what
 * @returns {Problem | null} null when the person only changed their mind
 */
export function explain(error, what) {
  switch (error.name) {
    case 'NotAllowedError':
    case 'SecurityError':
      if (what === 'screen') return /system/i.test(error.message ?? '') ? { title: 'The system does not allow sharing the screen', advice: 'Allow this browser to record the screen in the system’s privacy settings, then choose the screen again.' } : null;
      return { title: `This page may not use the ${what}`, advice: `Allow it with the ${what} or lock symbol beside the address, then try again.` };
    case 'NotFoundError':
    case 'DevicesNotFoundError':
      return { title: `No ${what} was found`, advice: what === 'screen' ? 'This device cannot share its screen. Use a camera.' : `Plug one in and try again, or perform without a ${what}.` };
    case 'NotReadableError':
    case 'TrackStartError':
    case 'AbortError':
      return { title: `The ${what} is in use`, advice: 'Close the other program or tab that uses it, then try again.' };
    case 'OverconstrainedError':
      return { title: `The chosen ${what} is gone`, advice: 'Choose another one.' };
    default:
      return { title: `The ${what} does not start`, advice: `${error.message || 'The browser gives no reason'}. Choose another one, or reload the page.` };
  }
}

/**
 * What to say when the page cannot capture at all.
 * @param {{isSecureContext: boolean, navigator: {mediaDevices?: unknown}, RTCPeerConnection?: unknown, location: {host: string, pathname: string}}} context the window
 * @returns {Problem | null}
 */
export function contextProblem({ isSecureContext, navigator, RTCPeerConnection, location }) {
  if (!RTCPeerConnection) {
    return { title: 'This browser cannot perform', advice: 'It has no WebRTC, or it is switched off. Use a current Chrome, Edge, Firefox or Safari.' };
  }
  if (!isSecureContext) {
    return {
      title: 'Camera and microphone need a secure address',
      advice: `Browsers give them only to https:// or to localhost. Open https://${location.host}${location.pathname}, or perform on the machine that runs the venue.`,
    };
  }
  if (!navigator.mediaDevices) return { title: 'This browser gives no access to cameras', advice: 'Open this page in a current Chrome, Edge, Firefox or Safari.' };
  return null;
}
