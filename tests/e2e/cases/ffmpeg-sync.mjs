// Sound and picture of one moment, as large audiences and recordings get them: from FFmpeg with and without a pace of its own.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { figure, median } from '../lib/figures.mjs';
import { untilLive, whipsinkFile } from '../lib/gstreamer.mjs';
import { get, media, multivariant } from '../lib/hls.mjs';
import { e2eDir } from '../lib/paths.mjs';
import { start } from '../lib/process.mjs';
import { houseAddress } from '../lib/road.mjs';
import { freePort, startServer } from '../lib/server.mjs';
import { audioPackets, keepPlaylists, marksFile, performMarks, readMarks } from '../lib/sync.mjs';

const SECRET = 'only-for-this-test-and-long-enough-to-be-one';
const SECONDS = 6;
/** Without any pace that takes most of a second; a stream that is over before the server looks for live ones has no HLS. */
const UNPACED_SECONDS = 20;
/** Picture and sound: each read at its pace or as fast as it can be. */
const PACES = [[true, true], [true, false], [false, true], [false, false]];
/** Publications of each kind; one of each performs at a time. */
const ROUNDS = 5;
const SKEW_MS_MAX = 40;
/** What the encoder says of its own delay, and the packet at the end that has no sound. */
const PACKETS_SPARE = 2;

async function perform(t, server, space, paced) {
  const performer = performMarks(t, server.whip(space), { paced, seconds: paced.some(Boolean) ? SECONDS : UNPACED_SECONDS });
  await performer.end(40_000);
  return Number(/\(audio\):.*?(\d+) packets muxed/.exec(performer.output)?.[1]);
}

test('what FFmpeg sends in bursts is recorded whole, in step and in stereo', { timeout: 300_000 }, async (t) => {
  const server = await startServer(t, { env: { PROSCENIUM_SECRET: SECRET, PROSCENIUM_RECORD: 'true' } });
  const performances = [];
  for (let round = 0; round < ROUNDS; round++) {
    const together = PACES.map(async (paced, i) => {
      await sleep(150 * i);
      const space = `stage-${round}-${i}`;
      performances.push({ space, paced, sent: await perform(t, server, space, paced) });
    });
    await Promise.all(together);
  }
  const problems = [];
  const check = (name, { marks, skews, kept, sent, text }) => {
    if (skews.length < SECONDS - 1 || !skews.every((skew) => Math.abs(skew) <= SKEW_MS_MAX)) problems.push(`${name}: ${marks.beeps.length} beeps, ${marks.flashes.length} flashes, ${marks.skews} ms apart`);
    if (!(kept >= sent - PACKETS_SPARE)) problems.push(`${name}: ${kept} of ${sent} packets`);
    if (!(marks.left > -10 && marks.right > -10)) problems.push(`${name}: peaks of ${marks.left} and ${marks.right} dB`);
    if (!/CHANNELS="2"/.test(text)) problems.push(`${name}: ${text}`);
  };
  for (const { space, paced, sent } of performances) {
    const { text } = await multivariant(server.hls(space), (playlist) => playlist.variants.length > 0 && playlist.audio.length > 0, 40_000);
    // Whatever else the machine has to do, all of it is packaged in the end.
    const lasts = (playlist) => playlist.segments.reduce((sum, segment) => sum + (segment.duration ?? 0), 0);
    for (const name of ['video', 'audio', 'aac']) {
      await media(`${server.url}/hls/${space}/main/${name}.m3u8?dvr`, (playlist) => lasts(playlist) > sent / 50 - 0.5, 40_000);
    }
    const [video, opus, aac] = await keepPlaylists(t, `${server.url}/hls/${space}/main`, ['video', 'audio', 'aac']);
    const kept = await audioPackets(t, opus);
    for (const [format, path] of Object.entries({ Opus: opus, AAC: aac })) {
      const marks = await readMarks(t, video, path);
      // The last beep has no flash when the sound is longer than the picture by a packet.
      const skews = marks.skews.filter((skew) => Math.abs(skew) < 500);
      const pace = paced.map((is) => (is ? '-re' : 'no pace')).join(' and ');
      figure(`HLS, FFmpeg with ${pace}, ${format}`, `${kept} of ${sent} packets of sound, beeps ${skews.join(' ')} ms after their flashes, peaks ${marks.left.toFixed(0)} and ${marks.right.toFixed(0)} dB`);
      check(`${space} ${format}`, { marks, skews, kept, sent, text });
    }
  }
  assert.deepEqual(problems, []);
  const metrics = await get(`${server.url}/metrics`);
  assert.match(metrics, /proscenium_hls_sound_dropped_ms_total 0\b/);
});

test('who asks for AAC when all is over hears it whole and in step', { timeout: 120_000 }, async (t) => {
  // Nothing is recorded on purpose, and nobody asks while it lasts: all of it is made afterwards, of the Opus.
  const server = await startServer(t);
  const sent = await perform(t, server, 'stage', [true, true]);
  await sleep(1000);
  assert.match(await get(`${server.url}/metrics`), /proscenium_hls_aac_made_total 0\b/);
  const [video, aac] = await keepPlaylists(t, `${server.url}/hls/stage/main`, ['video', 'aac']);
  const marks = await readMarks(t, video, aac);
  const kept = await audioPackets(t, aac);
  const skews = marks.skews.filter((skew) => Math.abs(skew) < 500);
  figure('HLS, AAC that is made when all is over', `${kept} units, beeps ${skews.join(' ')} ms after their flashes, peaks ${marks.left.toFixed(0)} and ${marks.right.toFixed(0)} dB`);
  assert.ok(skews.length >= SECONDS - 1 && skews.every((skew) => Math.abs(skew) <= SKEW_MS_MAX), `${marks.skews} ms`);
  assert.ok(kept >= ((sent - PACKETS_SPARE) * 960) / 1024 - 2, `${kept} units of ${sent} packets`);
  assert.ok(marks.left > -10 && marks.right > -10, `peaks of ${marks.left} and ${marks.right} dB`);
  assert.doesNotMatch(await get(`${server.url}/metrics`), /proscenium_hls_aac_made_total 0\b/);
});

test('the sound of a camera, which is encoded anew, is in step with its picture', { timeout: 120_000 }, async (t) => {
  const [port, file] = [await freePort(), await marksFile(t)];
  const camera = start(t, 'camera-aac', '/usr/bin/python3', [join(e2eDir, 'clients', 'rtsp_camera.py'), String(port), '--audio', 'aac', '--file', file]);
  await camera.line(/camera ready/, 30_000);
  const config = `[[space]]\nname = "stage"\n[[space.stream]]\nname = "main"\nrtsp = "rtsp://127.0.0.1:${port}/camera"\n`;
  const server = await startServer(t, { config });
  await server.live('stage', 'main', 20_000);
  await sleep(9000);
  const [video, sound] = await keepPlaylists(t, `${server.url}/hls/stage/main`, ['video', 'audio']);
  const marks = await readMarks(t, video, sound);
  const skews = marks.skews.filter((skew) => Math.abs(skew) < 500);
  figure('HLS, a camera with AAC', `beeps ${skews.join(' ')} ms after their flashes, peak ${marks.left.toFixed(0)} dB`);
  assert.ok(skews.length >= 4 && skews.every((skew) => Math.abs(skew) <= SKEW_MS_MAX), `${marks.skews} ms`);
});

test('G.711 that is published alone has sound in HLS, in step with its picture', { timeout: 120_000 }, async (t) => {
  const file = await marksFile(t, { seconds: 40, codec: 'pcm_s16le' });
  const server = await startServer(t, { address: houseAddress() });
  const kinds = ['pcma', 'pcmu'];
  for (const kind of kinds) await untilLive(server, kind, () => whipsinkFile(t, server.whip(kind), file, kind));
  await sleep(9000);
  for (const kind of kinds) {
    const [video, ...sounds] = await keepPlaylists(t, `${server.url}/hls/${kind}/main`, ['video', 'audio', 'aac']);
    for (const [place, format] of ['Opus', 'AAC'].entries()) {
      const marks = await readMarks(t, video, sounds[place]);
      const skews = marks.skews.filter((skew) => Math.abs(skew) < 500);
      figure(`HLS, GStreamer with ${kind}, ${format}`, `beeps ${skews.join(' ')} ms after their flashes, peak ${marks.left.toFixed(0)} dB`);
      const apart = skews.map(Math.abs);
      // GStreamer reads the file as fast as the machine lets it.
      assert.ok(apart.length >= 4 && median(apart) <= SKEW_MS_MAX && Math.max(...apart) <= 1.5 * SKEW_MS_MAX, `${kind}, ${format}: ${marks.skews} ms`);
    }
  }
});
