// Watches a page of the product from the inside, without its help: pictures of its video elements, energy of its sound.

/** Runs in the page before its own scripts. Times are milliseconds since the navigation began. */
function observe() {
  const frames = [];
  const connections = [];
  const canvas = new OffscreenCanvas(32, 18).getContext('2d', { willReadFrequently: true });
  const watched = new WeakSet();
  const onFrame = (video) => {
    canvas.drawImage(video, 0, 0, 32, 18);
    const { data } = canvas.getImageData(0, 0, 32, 18);
    let hash = 0;
    for (let i = 1; i < data.length; i += 4) hash = (hash * 31 + (data[i] >> 2)) | 0;
    if (frames.length < 20_000) frames.push({ at: performance.now(), hash, shown: video.checkVisibility() && video.getBoundingClientRect().width > 0 });
  };
  const look = () => {
    for (const video of document.querySelectorAll('video')) {
      if (watched.has(video)) continue;
      watched.add(video);
      const next = () => { onFrame(video); video.requestVideoFrameCallback(next); };
      video.requestVideoFrameCallback(next);
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...args) { super(...args); connections.push(this); }
  };
  const energy = async () => {
    let sum = 0;
    for (const connection of connections) {
      for (const report of (await connection.getStats()).values()) if (report.type === 'inbound-rtp' && report.kind === 'audio') sum += report.totalAudioEnergy ?? 0;
    }
    return sum;
  };
  window.observed = async () => ({ now: performance.now(), frames, energy: await energy() });
}

export const observer = `(${observe})()`;
export const observed = (page) => page.evaluate(() => window.observed());

/** When the second different picture was shown, in ms since the navigation: it moves. */
export function movesAt({ frames }) {
  return frames.find((frame) => frame.shown && frame.hash !== frames[0].hash)?.at ?? Infinity;
}
