// From drawing to seeing by HLS: Proscenium and nginx-rtmp, one encoder, one player.
import { closeBrowser } from '../e2e/lib/browser.mjs';
import { startFfmpegTee } from '../e2e/lib/ffmpeg.mjs';
import { median, quantile } from '../e2e/lib/figures.mjs';
import { media, multivariant } from '../e2e/lib/hls.mjs';
import { startServer } from '../e2e/lib/server.mjs';
import { startNginxRtmp } from './rtmp.mjs';
import { scope } from './scope.mjs';
import { watch } from './watch.mjs';

const smoke = process.argv.includes('--smoke');
const [ROUNDS, SETTLE_MS, WATCH_MS] = smoke ? [1, 4000, 4000] : [3, 10_000, 10_000];
const PARTS = smoke ? [500] : [500, 200];
const FRAGMENTS = smoke ? [1] : [5, 1];
/** Seconds, of Proscenium with parts of so many milliseconds. */
const BARS = { 500: 2.0, 200: 1.2 };

await scope(async (t) => {
  const ways = [];
  const whip = [];
  for (const part of PARTS) {
    const server = await startServer(t, { env: { RUST_LOG: 'warn', PROSCENIUM_HLS_PART_MS: String(part) } });
    whip.push(server.whip('stage'));
    ways.push({ name: `Proscenium, parts of ${part / 1000} s`, url: server.hls('stage'), bar: BARS[part], isOurs: true });
  }
  const rtmp = await startNginxRtmp(t, FRAGMENTS);
  for (const seconds of FRAGMENTS) ways.push({ name: `nginx-rtmp, fragments of ${seconds} s`, url: rtmp.play(seconds) });
  const encoder = startFfmpegTee(t, { whip, rtmp: FRAGMENTS.map(rtmp.publish) });
  await encoder.line(/frame= *[1-9]/, 20_000);
  for (const way of ways) {
    if (way.isOurs) {
      const { variants } = await multivariant(way.url);
      await media(variants[0].url, (playlist) => playlist.segments.some((segment) => segment.uri));
    } else {
      await media(way.url, (playlist) => playlist.segments.length >= 3, 40_000);
    }
    Object.assign(way, { delays: [], medians: [], stalls: 0, starts: [] });
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of ways) {
      const { delays, stalls, start } = await watch(way.url, SETTLE_MS, WATCH_MS);
      way.delays.push(...delays);
      way.medians.push(median(delays));
      way.stalls += stalls;
      way.starts.push(start);
    }
  }
  console.log(`\n640x360 at 30 pictures/s, a keyframe a second, hls.js, ${ROUNDS} rounds in turns, ${WATCH_MS / 1000} s each after ${SETTLE_MS / 1000} s`);
  for (const { name, delays, medians, stalls, starts, bar } of ways) {
    console.log(`  ${name.padEnd(28)} median ${(median(delays) / 1000).toFixed(2)} s, p95 ${(quantile(delays, 0.95) / 1000).toFixed(2)} s `
      + `(medians of the rounds: ${medians.map((ms) => (ms / 1000).toFixed(2)).join(' ')}); first picture after ${starts.join(' ')} ms; ${stalls} stalls${bar ? `; at most ${bar} s is the aim` : ''}`);
  }
  const [ours] = ways;
  const theirs = ways.filter((way) => !way.isOurs).at(-1);
  console.log(`  ratio ${(median(ours.delays) / median(theirs.delays)).toFixed(2)} of ${ours.name} to ${theirs.name}`);
});
await closeBrowser();
