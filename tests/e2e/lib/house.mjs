// Five performers who differ in what players stumble over, all live in one server.
import { join } from 'node:path';
import { openLab } from './browser.mjs';
import { startFfmpegWhip } from './ffmpeg.mjs';
import { media, multivariant } from './hls.mjs';
import { e2eDir } from './paths.mjs';
import { start } from './process.mjs';
import { freePort, startServer } from './server.mjs';

const RATE = 20;
const PICTURE = { width: 480, height: 270, rate: RATE };
const READY_MS_MAX = 45_000;
/** The left is ten times as strong as the right. */
const SIDES = [0.3, 0.03];

/**
 * `sound`: its channels, none of `silent`. `clock`: whether the pictures tell when they were drawn. `segments`: with how many complete
 * ones a player begins. `keyframes`: seconds between them, where the server cannot choose.
 */
export const PERFORMERS = {
  layers: { what: 'H.264 of a browser in two layers', sound: 2, clock: true, segments: 3 },
  vp9: { what: 'VP9 of a browser', sound: 2, clock: true, segments: 3 },
  stereo: { what: "FFmpeg by the README's recipe, in stereo", sound: 2, isStereo: true, clock: true, segments: 3, keyframes: 2 },
  deaf: { what: 'FFmpeg with a keyframe every ten seconds', sound: 2, clock: true, segments: 1, keyframes: 10 },
  silent: { what: 'a camera without sound', sound: 0, clock: false, segments: 3, keyframes: 2 },
};

const readmes = (t, url) => startFfmpegWhip(t, url, { gop: 2 * RATE, profile: 'baseline', preset: 'ultrafast', picture: { ...PICTURE, clock: true, sides: SIDES } });

async function browser(t, url, options) {
  const lab = await openLab(t);
  const id = await lab.whip(url, { picture: { ...PICTURE, height: 272 }, ...options });
  await lab.until(id, 'sending', (s) => s.streams.some((r) => r.kind === 'video' && r.framesEncoded > 5), 20_000);
}

/** Waits until `stream` of `server` can be played, and returns the target duration of each of its playlists. */
async function ready(server, space, { segments }) {
  const { variants } = await multivariant(server.hls(space), undefined, READY_MS_MAX);
  return media(variants[0].url, (playlist) => playlist.segments.filter((segment) => segment.uri).length >= segments, READY_MS_MAX);
}

/** Starts the server and all performers at once, and waits until each can be played. */
export async function openHouse(t) {
  const port = await freePort();
  const camera = start(t, 'camera', '/usr/bin/python3', [join(e2eDir, 'clients', 'rtsp_camera.py'), String(port), '--audio', 'none']);
  await camera.line(/camera ready/, 30_000);
  const server = await startServer(t, { config: `[[space]]\nname = "silent"\n[[space.stream]]\nname = "main"\nrtsp = "rtsp://127.0.0.1:${port}/camera"\n` });
  startFfmpegWhip(t, server.whip('deaf'), { gop: 10 * RATE, picture: { ...PICTURE, clock: true } });
  readmes(t, server.whip('stereo'));
  await Promise.all([
    browser(t, server.whip('vp9'), { codec: 'VP9' }),
    browser(t, server.whip('layers'), { codec: 'H264', encodings: [{ rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 200_000 }, { rid: 'f', maxBitrate: 800_000 }] }),
  ]);
  const playlists = {};
  await Promise.all(Object.entries(PERFORMERS).map(async ([space, performer]) => { playlists[space] = await ready(server, space, performer); }));
  return { server, targets: Object.fromEntries(Object.entries(playlists).map(([space, playlist]) => [space, playlist.targetDuration])) };
}

/** A server with one performer, whose program `restart` ends as a crash would and starts again. */
export async function openRestartable(t, awayMs) {
  const server = await startServer(t);
  let performer = readmes(t, server.whip('stage'));
  await ready(server, 'stage', { segments: 3 });
  const restart = async () => {
    await performer.kill();
    const goneAt = Date.now();
    await new Promise((resolve) => setTimeout(resolve, awayMs));
    performer = readmes(t, server.whip('stage'));
    await performer.line(/Output #0, whip/, 20_000);
    return { goneAt, backAt: Date.now() };
  };
  return { server, url: server.hls('stage'), restart };
}
