// GStreamer's whipsink and whepsrc: libnice and OpenSSL, with an RSA certificate.
import { join } from 'node:path';
import { e2eDir, gstPluginDir, outputDir } from './paths.mjs';
import { runJson, start } from './process.mjs';
import { onTheRoad } from './road.mjs';

/** GStreamer's elements sometimes wait for ever for their own candidates, without a request to the server, or link a pad too late: they may try again. */
export const TRIES = 4;

const environment = () => ({ GST_PLUGIN_PATH: gstPluginDir(), GST_REGISTRY: join(outputDir('e2e'), 'gst-registry.bin'), GST_DEBUG: process.env.GST_DEBUG ?? '2' });

/** Publishes a bouncing ball (H.264, a keyframe every 10 s) and a tone (Opus) from the road. */
export function startWhipsink(t, url, { bFrames = 0 } = {}) {
  const encoder = bFrames > 0 ? `b-adapt=false bframes=${bFrames} rc-lookahead=5` : 'tune=zerolatency';
  const profile = bFrames > 0 ? 'main' : 'constrained-baseline';
  const pipeline = `whipsink name=whip whip-endpoint=${url}
    videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=30/1
      ! x264enc ${encoder} speed-preset=veryfast key-int-max=300 bitrate=1000 ! video/x-h264,profile=${profile}
      ! rtph264pay config-interval=-1 aggregate-mode=zero-latency ! application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000 ! whip.sink_0
    audiotestsrc is-live=true freq=440 volume=0.3 ! audio/x-raw,rate=48000,channels=2
      ! opusenc ! rtpopuspay ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,encoding-params=(string)2 ! whip.sink_1`;
  return launch(t, pipeline);
}

const SOUNDS = {
  opus: { encode: 'opusenc', pay: 'rtpopuspay ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,encoding-params=(string)2' },
  pcma: { encode: 'audio/x-raw,rate=8000,channels=1 ! alawenc', pay: 'rtppcmapay min-ptime=20000000 max-ptime=20000000 ! application/x-rtp,media=audio,encoding-name=PCMA,payload=8,clock-rate=8000' },
  pcmu: { encode: 'audio/x-raw,rate=8000,channels=1 ! mulawenc', pay: 'rtppcmupay min-ptime=20000000 max-ptime=20000000 ! application/x-rtp,media=audio,encoding-name=PCMU,payload=0,clock-rate=8000' },
};

/** Publishes a file of H.264 and PCM at its pace, the sound as Opus or G.711. */
export function whipsinkFile(t, url, file, sound = 'opus') {
  const { encode, pay } = SOUNDS[sound];
  const pipeline = `whipsink name=whip whip-endpoint=${url} filesrc location=${file} ! matroskademux name=file
    file.video_0 ! queue ! h264parse ! identity sync=true
      ! rtph264pay config-interval=-1 aggregate-mode=zero-latency ! application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000 ! whip.sink_0
    file.audio_0 ! queue ! audioconvert ! audioresample ! ${encode} ! identity sync=true
      ! ${pay} ! whip.sink_1`;
  return launch(t, pipeline);
}

function launch(t, pipeline) {
  const [command, args] = onTheRoad('gst-launch-1.0', pipeline.split(/\s+/));
  return start(t, 'whipsink', command, args, { env: environment(), stopSignal: 'SIGINT' });
}

/** Begins a performance of whipsink's in a space again and again until it is live. */
export async function untilLive(server, space, begin) {
  for (let count = 1; ; count += 1) {
    const performer = begin();
    const stream = await server.live(space, 'main', 7000).catch((error) => { if (count === TRIES) throw error; });
    if (stream) return { performer, stream, count };
    await performer.stop();
  }
}

/** Views from the road and returns what was decoded within `seconds`. */
export function viewWithWhepsrc(t, url, seconds) {
  // Debian's own Python has the introspection bindings.
  const [command, args] = onTheRoad('/usr/bin/python3', [join(e2eDir, 'clients', 'whepsrc_client.py'), url, String(seconds)]);
  return runJson(t, 'whepsrc', command, args, seconds * 1000 + 20_000, { env: environment() });
}
