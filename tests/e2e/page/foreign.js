// Page clients of others as WHIP and WHEP clients, beside the tests' own. What they send is kept: the tests judge it.
import { keep, scene, screen, session, show, viewer } from './client.js';
import { EyevinnPlayer, EyevinnPublisher, MedoozePublisher, MedoozeViewer } from './foreign-clients.mjs';
import { publishAsMediamtx, readAsMediamtx } from './mediamtx.js';

/** Requests of this page to the server: method, status, and what of their headers and text matters. */
const requests = [];
const failures = [];
const originalFetch = window.fetch;
window.fetch = async (input, options = {}) => {
  const entry = { at: Date.now(), method: options.method ?? 'GET', url: String(input), status: null, ifMatch: new Headers(options.headers).get('If-Match'), sent: typeof options.body === 'string' ? options.body : null };
  requests.push(entry);
  const response = await originalFetch(input, options).catch((error) => { entry.failure = String(error); throw error; });
  entry.status = response.status;
  entry.link = response.headers.get('Link');
  if (response.status === 201) entry.answer = await response.clone().text();
  return response;
};
window.addEventListener('unhandledrejection', ({ reason }) => failures.push(String(reason)));

/** How loud the left and the right of what a session shows are, as root mean squares. */
function loudness(session) {
  session.sides ??= ears(session.video.srcObject);
  const samples = new Float32Array(2048);
  return session.sides.map((analyser) => {
    analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  });
}

function ears(stream) {
  const audio = new AudioContext();
  const splitter = new ChannelSplitterNode(audio, { numberOfOutputs: 2 });
  audio.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(splitter);
  return [0, 1].map((side) => {
    const analyser = new AnalyserNode(audio, { fftSize: 2048 });
    splitter.connect(analyser, side);
    return analyser;
  });
}

const PUBLISHERS = {
  async eyevinn(url, stream, token) {
    const client = new EyevinnPublisher({ endpoint: url, opts: { authkey: token, iceServers: [] } });
    await client.setIceServersFromEndpoint();
    await client.ingest(stream);
    return { pc: client.peer, stop: () => client.destroy() };
  },
  async medooze(url, stream, token) {
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: 'sendonly' });
    const client = new MedoozePublisher();
    await client.publish(pc, url, token);
    return { pc, restart: () => client.restart(), stop: () => client.stop() };
  },
  mediamtx: (url, stream) => publishAsMediamtx(url, stream),
};

const VIEWERS = {
  async eyevinn(url) {
    const session = screen();
    const player = new EyevinnPlayer({ video: session.video, type: 'whep', iceServers: [] });
    await player.load(new URL(url));
    return Object.defineProperty(Object.assign(session, { stop: () => player.unload() }), 'pc', { get: () => player.peer });
  },
  async medooze(url) {
    const session = viewer();
    session.pc.addTransceiver('audio');
    session.pc.addTransceiver('video');
    const client = new MedoozeViewer();
    await client.view(session.pc, url);
    return Object.assign(session, { restart: () => client.restart(), stop: () => client.stop() });
  },
  async mediamtx(url) {
    const session = screen();
    return Object.assign(session, await readAsMediamtx(url, (track) => show(session, track)));
  },
};

async function publish(by, url, { token, picture } = {}) {
  const began = Date.now();
  const id = keep(await PUBLISHERS[by](url, scene({ ...picture, sides: [0.3, 0.03] }), token));
  return { id, ms: Date.now() - began };
}

const view = async (by, url) => keep(await VIEWERS[by](url));

Object.assign(window.lab, {
  foreign: {
    publish, view,
    heard: (id) => loudness(session(id)),
    restart: (id) => session(id).restart(),
    stop: (id) => session(id).stop(),
    errors: (id) => session(id).errors ?? [],
    wire: () => ({ requests, failures }),
  },
});
