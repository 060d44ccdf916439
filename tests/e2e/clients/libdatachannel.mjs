// libdatachannel with the same chain of media handlers, headers and silence about candidates as OBS Studio's WHIP output;
// or as a viewer that counts whole frames. Run as a process of its own, so that it can be ended like a power cut.
//
//   node libdatachannel.mjs publish URL KEY FFMPEG GOP [FILE]
//   node libdatachannel.mjs view URL SECONDS COUNT
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import rtc from 'node-datachannel';

const USER_AGENT = 'Mozilla/5.0 (OBS-Studio/32.2.2; Linux x86_64; en-US)';
const RATE = 30;

/** Offers without candidates and sends none later, so the server learns the address from the connectivity checks. */
async function connect(pc, url, key) {
  const offered = new Promise((resolve) => pc.onLocalDescription(resolve));
  pc.setLocalDescription('offer');
  const sdp = await offered;
  if (sdp.includes('a=candidate')) throw new Error('the offer was meant to have no candidates');
  const headers = { 'Content-Type': 'application/sdp', 'User-Agent': USER_AGENT, ...(key && { Authorization: `Bearer ${key}` }) };
  const deadline = Date.now() + 10_000;
  for (;;) {
    const response = await fetch(url, { method: 'POST', headers, body: sdp });
    const body = await response.text();
    if (response.status === 201) {
      pc.setRemoteDescription(body, 'answer');
      return new URL(response.headers.get('location'), url).href;
    }
    if (response.status !== 409 || Date.now() > deadline) throw new Error(`POST ${url}: ${response.status} ${body}`);
    await sleep(100);
  }
}

function encoder(ffmpeg, gop, file) {
  const input = (source) => ['-re', '-f', 'lavfi', '-i', source];
  const inputs = file ? ['-re', '-i', file] : [...input(`testsrc2=s=640x360:r=${RATE}`), ...input('sine=frequency=440:sample_rate=48000')];
  const video = ['-map', '0:v', '-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-bf', '0', '-g', gop, '-sc_threshold', '0',
    '-pix_fmt', 'yuv420p', '-b:v', '1M', '-bsf:v', 'h264_metadata=aud=insert', '-f', 'h264', 'pipe:1'];
  const audio = ['-map', file ? '0:a' : '1:a', '-c:a', 'libopus', '-ac', '2', '-page_duration', '20000', '-f', 'ogg', 'pipe:3'];
  const args = ['-loglevel', 'error', '-nostdin', ...inputs, ...video, ...audio];
  return spawn(ffmpeg, args, { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
}

const DELIMITER = Buffer.from([0, 0, 0, 1, 9]);

/** Calls `take` with each access unit of an Annex B stream that has delimiters. */
function splitAccessUnits(stream, take) {
  let pending = Buffer.alloc(0);
  stream.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    for (let next; (next = pending.indexOf(DELIMITER, 5)) > 0; pending = pending.subarray(next)) take(pending.subarray(0, next));
  });
}

/** Calls `take` with each packet of an Ogg stream whose pages hold whole packets, after the two header packets. */
function splitOgg(stream, take) {
  let pending = Buffer.alloc(0);
  stream.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      if (pending.length < 27) return;
      const segments = pending.subarray(27, 27 + pending[26]);
      const end = 27 + pending[26] + segments.reduce((sum, size) => sum + size, 0);
      if (segments.length < pending[26] || pending.length < end) return;
      let start = 27 + pending[26], length = 0;
      for (const size of segments) {
        length += size;
        if (size === 255) continue;
        const packet = pending.subarray(start, start + length);
        if (!packet.subarray(0, 4).equals(Buffer.from('Opus'))) take(packet);
        [start, length] = [start + length, 0];
      }
      pending = pending.subarray(end);
    }
  });
}

async function publish(url, key, ffmpeg, gop, file) {
  const pc = new rtc.PeerConnection('obs', { iceServers: [] });
  const audio = new rtc.Audio('0', 'SendOnly');
  audio.addOpusCodec(111, 'minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1');
  audio.addSSRC(1001, 'obs', 'obs-stream', 'obs-audio');
  const video = new rtc.Video('1', 'SendOnly');
  video.addH264Codec(96, 'profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1');
  video.addSSRC(1002, 'obs', 'obs-stream', 'obs-video');
  const chain = (track, ssrc, payloadType, clockRate, packetizer, ...last) => {
    const config = new rtc.RtpPacketizationConfig(ssrc, 'obs', payloadType, clockRate);
    const head = packetizer(config);
    // What is behind the pacing sees no packet.
    for (const next of [new rtc.RtcpSrReporter(config), new rtc.RtcpNackResponder(), ...last]) head.addToChain(next);
    track.setMediaHandler(head);
    return { track, config };
  };
  const sound = chain(pc.addTrack(audio), 1001, 111, 48_000, (config) => new rtc.RtpPacketizer(config));
  const picture = chain(pc.addTrack(video), 1002, 96, 90_000, (config) => new rtc.H264RtpPacketizer('StartSequence', config, 1188), new rtc.PacingHandler(20_000_000, 5));
  const connected = new Promise((resolve) => pc.onStateChange((state) => state === 'connected' && resolve()));
  const resource = await connect(pc, url, key);
  await connected;

  const { stdio, pid } = encoder(ffmpeg, gop, file);
  console.log(`encoder ${pid}`);
  // Like the original, nothing is sent before there are a picture and a sound.
  const waiting = new Map([[picture, []], [sound, []]]);
  const send = (to, ticks, sample) => {
    waiting.get(to)?.push([to, ticks, Buffer.from(sample)]);
    if (waiting.size === 0) return sendNow(to, ticks, sample);
    if ([...waiting.values()].some((samples) => samples.length === 0)) return undefined;
    const all = [...waiting.values()].flat();
    waiting.clear();
    return all.forEach((one) => sendNow(...one));
  };
  const sendNow = ({ track, config }, ticks, sample) => {
    config.timestamp = (config.timestamp + ticks) >>> 0;
    if (track.isOpen()) track.sendMessageBinary(Buffer.from(sample));
  };
  splitAccessUnits(stdio[1], (unit) => send(picture, 90_000 / RATE, unit));
  // As late as a picture, whose end is known when the next one begins.
  splitOgg(stdio[3], (packet) => setTimeout(() => send(sound, 960, packet), 1000 / RATE));

  // The original's order: the connection first, the resource after it.
  process.once('SIGTERM', async () => {
    process.kill(pid);
    pc.close();
    await sleep(50);
    const { status } = await fetch(resource, { method: 'DELETE', headers: { 'User-Agent': USER_AGENT, Authorization: `Bearer ${key}` } });
    console.log(`deleted ${status}`);
    process.exit(0);
  });
}

/** One viewer: counts packets with the marker bit, that is whole frames, on its video track. */
async function viewOnce(url, seconds) {
  const pc = new rtc.PeerConnection('viewer', { iceServers: [] });
  const seen = { first_ms: null, frames: 0, packets: 0, audio_packets: 0 };
  const asked = Date.now();
  const audio = new rtc.Audio('0', 'RecvOnly');
  audio.addOpusCodec(111);
  const video = new rtc.Video('1', 'RecvOnly');
  video.addH264Codec(96, 'profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1');
  video.addVP8Codec(97);
  const listen = (track, take) => {
    track.setMediaHandler(new rtc.RtcpReceivingSession());
    track.onMessage(take);
    return track;
  };
  const tracks = [
    listen(pc.addTrack(audio), () => { seen.audio_packets++; }),
    listen(pc.addTrack(video), (packet) => {
      seen.packets++;
      if (!(packet[1] & 0x80)) return;
      seen.frames++;
      seen.first_ms ??= Date.now() - asked;
    }),
  ];
  const resource = await connect(pc, url);
  await sleep(seconds * 1000);
  const state = pc.state();
  const { status } = await fetch(resource, { method: 'DELETE' });
  pc.close();
  return { ...seen, state, delete: status, tracks: tracks.length };
}

const [role, url, ...rest] = process.argv.slice(2);
if (role === 'publish') {
  await publish(url, ...rest);
} else {
  const [seconds, count] = rest.map(Number);
  const viewers = await Promise.all(Array.from({ length: count }, () => viewOnce(url, seconds)));
  console.log(JSON.stringify({ viewers }));
  rtc.cleanup();
  process.exit(0);
}
