// A minimal WHIP and WHEP client that remembers what it saw. The tests drive it through `window.lab`.
import { drawValue, MODULUS, Reader } from './clock.js';

const FRAMES_MAX = 20_000;
const GATHER_MS_MAX = 1000;
const sessions = new Map();
let lastId = 0;

/** A moving picture with a clock, and tones of 440 Hz and more whose strengths are those of `sides`: one, or left and right. */
export function scene({ width = 640, height = 360, rate = 30, sides = [0.3] } = {}) {
  const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d', { alpha: false });
  document.body.append(context.canvas);
  let frame = 0;
  const draw = () => {
    context.fillStyle = '#345';
    context.fillRect(0, 0, width, height);
    context.fillStyle = `hsl(${(frame * 3) % 360} 80% 60%)`;
    context.fillRect((frame * 5) % width, height * 0.4, width / 8, height / 3);
    drawValue(context, Date.now() % MODULUS);
    frame++;
  };
  draw();
  setInterval(draw, 1000 / rate);
  const audio = new AudioContext({ sampleRate: 48_000 });
  const merger = new ChannelMergerNode(audio, { numberOfInputs: sides.length });
  const destination = new MediaStreamAudioDestinationNode(audio);
  merger.connect(destination);
  sides.forEach((gain, side) => {
    const tone = new OscillatorNode(audio, { frequency: 440 + 220 * side });
    tone.connect(new GainNode(audio, { gain })).connect(merger, 0, side);
    tone.start();
  });
  return new MediaStream([...context.canvas.captureStream(rate).getVideoTracks(), ...destination.stream.getAudioTracks()]);
}

/** A white picture and a tone at the beginning of every second of one clock, that of the sound. */
export function marks({ width = 320, height = 180, rate = 60, length_s = 0.12 } = {}) {
  const context = Object.assign(document.createElement('canvas'), { width, height }).getContext('2d', { alpha: false });
  document.body.append(context.canvas);
  const audio = new AudioContext({ sampleRate: 48_000 });
  const gain = new GainNode(audio, { gain: 0.003 });
  const destination = new MediaStreamAudioDestinationNode(audio);
  const tone = new OscillatorNode(audio, { frequency: 880 });
  tone.connect(gain).connect(destination);
  tone.start();
  let next = Math.ceil(audio.currentTime + 0.5);
  setInterval(() => {
    const now = audio.currentTime;
    if (now > next - 0.5) {
      gain.gain.setValueAtTime(0.5, next);
      gain.gain.setValueAtTime(0.003, next + length_s);
      next += 1;
    }
    context.fillStyle = now % 1 < length_s ? '#fff' : '#000';
    context.fillRect(0, 0, width, height);
  }, 5);
  return new MediaStream([...context.canvas.captureStream(rate).getVideoTracks(), ...destination.stream.getAudioTracks()]);
}

export function prefer(transceiver, kind, codec) {
  const { codecs } = (transceiver.direction === 'sendonly' ? RTCRtpSender : RTCRtpReceiver).getCapabilities(kind);
  const helpers = ['video/rtx', 'video/red', 'video/ulpfec', 'video/flexfec-03'];
  const chosen = codecs.filter((c) => c.mimeType.toLowerCase() === `video/${codec}`.toLowerCase());
  if (chosen.length === 0) throw new Error(`this browser has no ${codec}: ${codecs.map((c) => c.mimeType)}`);
  transceiver.setCodecPreferences([...chosen, ...codecs.filter((c) => helpers.includes(c.mimeType))]);
}

export async function gathered(pc) {
  if (pc.iceGatheringState === 'complete') return;
  await new Promise((resolve) => {
    pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && resolve());
    setTimeout(resolve, GATHER_MS_MAX);
  });
}

async function post(url, token, sdp, patienceMs) {
  const headers = { 'Content-Type': 'application/sdp', ...(token && { Authorization: `Bearer ${token}` }) };
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const response = await fetch(url, { method: 'POST', headers, body: sdp });
    const text = await response.text();
    if (response.status === 201) return { answer: text, resource: new URL(response.headers.get('Location'), url).href };
    if (response.status !== 409 || Date.now() > deadline) throw new Error(`POST ${url}: ${response.status} ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Waits for candidates unless `trickleNothing`; the server learns the address from the checks then. */
async function connect(pc, url, { token, candidates = 'all', trickleNothing = false, patienceMs = 0 }) {
  await pc.setLocalDescription();
  if (!trickleNothing) await gathered(pc);
  const { answer, resource } = await post(url, token, pc.localDescription.sdp, patienceMs);
  const lines = answer.split('\r\n').filter((line) => candidates === 'all' || !/^a=candidate:\S+ \d+ udp/i.test(line));
  await pc.setRemoteDescription({ type: 'answer', sdp: lines.join('\r\n') });
  return { answer: lines.join('\r\n'), resource };
}

async function whip(url, { codec, encodings, picture, maxBitrate, ...options } = {}) {
  const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const stream = picture?.marks ? marks() : scene(picture);
  const sendEncodings = encodings ?? [{ maxBitrate: maxBitrate ?? 1_500_000 }];
  const video = pc.addTransceiver(stream.getVideoTracks()[0], { direction: 'sendonly', streams: [stream], sendEncodings });
  if (codec) prefer(video, 'video', codec);
  pc.addTransceiver(stream.getAudioTracks()[0], { direction: 'sendonly', streams: [stream] });
  const session = { pc, ...(await connect(pc, url, options)) };
  return keep(session);
}

/** Remembers a session for `seen` and `close`. */
export function keep(session) {
  sessions.set(++lastId, session);
  return lastId;
}

export const session = (id) => sessions.get(id);

function watch(session) {
  const reader = new Reader();
  const { video, frames } = session;
  const onFrame = () => {
    const at = Date.now();
    if (frames.length < FRAMES_MAX) frames.push({ at, value: reader.value(video), ...reader.picture(video), width: video.videoWidth, height: video.videoHeight });
    video.requestVideoFrameCallback(onFrame);
  };
  video.requestVideoFrameCallback(onFrame);
}

/** A video element that remembers what it showed. */
export function screen() {
  const video = Object.assign(document.createElement('video'), { autoplay: true, playsInline: true });
  document.body.append(video);
  const session = { video, frames: [], askedAt: Date.now(), ended: false };
  watch(session);
  return session;
}

/** Shows a track that arrived beside those that did before. */
export function show(session, track) {
  session.video.srcObject ??= new MediaStream();
  session.video.srcObject.addTrack(track);
  track.onended = () => { session.ended = true; };
}

/** A connection that shows what it receives. */
export function viewer() {
  const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const session = Object.assign(screen(), { pc });
  pc.ontrack = ({ track }) => show(session, track);
  return session;
}

/** Offers header extensions that the browser knows and keeps quiet about. */
function offerExtensions(transceiver, uris) {
  const all = transceiver.getHeaderExtensionsToNegotiate();
  for (const one of all) if (uris.includes(one.uri)) one.direction = 'sendrecv';
  transceiver.setHeaderExtensionsToNegotiate(all);
}

async function whep(url, { codec, video: wanted = true, audio = true, extensions, ...options } = {}) {
  const session = viewer();
  const { pc } = session;
  if (wanted) {
    const transceiver = pc.addTransceiver('video', { direction: 'recvonly' });
    if (codec) prefer(transceiver, 'video', codec);
    if (extensions) offerExtensions(transceiver, extensions);
  }
  if (audio) pc.addTransceiver('audio', { direction: 'recvonly' });
  Object.assign(session, await connect(pc, url, options));
  return keep(session);
}

/** Everything that a session saw so far. */
async function seen(id) {
  const { pc, frames, askedAt, ended, answer } = sessions.get(id);
  const stats = [...(await pc.getStats()).values()];
  const pair = stats.find((s) => s.type === 'candidate-pair' && s.nominated);
  const remote = pair && stats.find((s) => s.id === pair.remoteCandidateId);
  const streams = stats.filter((s) => s.type === 'inbound-rtp' || s.type === 'outbound-rtp')
    .map((s) => ({ ...s, codec: stats.find((c) => c.id === s.codecId)?.mimeType }));
  return { frames, askedAt, ended, answer, now: Date.now(), state: pc.connectionState, protocol: remote?.protocol, streams };
}

async function close(id) {
  const { pc, resource } = sessions.get(id);
  const { status } = await fetch(resource, { method: 'DELETE' });
  pc.close();
  return status;
}

/** Chooses layers (WHEP's `core:layer` extension). */
async function choose(id, layer) {
  const { resource } = sessions.get(id);
  const response = await fetch(`${resource}/layer`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(layer) });
  return response.status;
}

window.lab = { whip, whep, seen, close, choose };
