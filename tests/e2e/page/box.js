// What Broadcast Box's page does when somebody watches: data channels that nobody answers, sound first and then the picture, an offer that is
// changed as text, and both extensions of WHEP found in one Link header. Without either of them it shows nothing.
const video = document.querySelector('video');
let layerAddress = '';

/** The addresses of a Link header by their `rel`. */
function addresses(header) {
  const found = {};
  for (const link of header.split(/,\s*</)) {
    const [address, ...parameters] = link.split(';');
    const rel = parameters.map((parameter) => /^\s*rel="?([^"]+)"?\s*$/.exec(parameter)?.[1]).find(Boolean);
    if (rel) found[rel] = address.trim().replace(/^<|>$/g, '');
  }
  return found;
}

/** @param {boolean} isOld the older pages put the scheme and two slashes before the address */
async function watch(endpoint, isOld) {
  const pc = new RTCPeerConnection();
  const seen = { events: [], layers: [], ended: false, refused: '' };
  window.box.seen = seen;
  pc.createDataChannel('chat');
  pc.createDataChannel('bb-data-v1');
  pc.addTransceiver('audio', { direction: 'recvonly' });
  pc.addTransceiver('video', { direction: 'recvonly' });
  const stream = new MediaStream();
  pc.ontrack = ({ track }) => {
    stream.addTrack(track);
    video.srcObject = stream;
  };
  const offer = await pc.createOffer({ iceRestart: true });
  offer.sdp = offer.sdp.replace('useinbandfec=1', 'useinbandfec=1;stereo=1');
  await pc.setLocalDescription(offer);
  const response = await fetch(endpoint, { method: 'POST', headers: { Authorization: 'Bearer stage', 'Content-Type': 'application/sdp' }, body: offer.sdp });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const links = addresses(response.headers.get('Link') ?? '');
  const address = (name) => `${isOld ? `${location.protocol}//` : ''}${links[`urn:ietf:params:whep:ext:core:${name}`]}`;
  layerAddress = address('layer');
  const source = new EventSource(address('server-sent-events'));
  source.onerror = () => {
    seen.ended = true;
    source.close();
    pc.close();
  };
  for (const name of ['active', 'inactive', 'viewercount', 'reconnect']) source.addEventListener(name, ({ data }) => seen.events.push({ name, data, at: Date.now() }));
  source.addEventListener('layers', ({ data }) => {
    seen.layers = JSON.parse(data)['1'].layers.map(({ encodingId }) => encodingId);
  });
  await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
}

async function choose(encodingId) {
  const response = await fetch(layerAddress, { method: 'POST', body: JSON.stringify({ mediaId: '1', encodingId }), headers: { 'Content-Type': 'application/json' } });
  return response.status;
}

window.box = { watch, choose, look: () => ({ ...window.box.seen, width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames }) };
