// A performer with simulcast layers becomes an adaptive stream, without transcoding.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLab } from '../lib/browser.mjs';
import { figure, median } from '../lib/figures.mjs';
import { edge, media, multivariant } from '../lib/hls.mjs';
import { latencies } from '../lib/latency.mjs';
import { describe, fatal, openPlayer } from '../lib/player.mjs';
import { startServer } from '../lib/server.mjs';

/** Half a segment. */
const APART_MS_MAX = 1000;
const SETTLED_MS_MAX = 30_000;
const LAYERS = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
  // Without a mode Chromium makes one scalable stream of VP9.
].map((layer) => ({ ...layer, scalabilityMode: 'L1T1' }));

/** The codec string that an initialisation segment itself asks for. */
async function codecOf(playlist, url) {
  const bytes = Buffer.from(await (await fetch(new URL(playlist.segments.at(-1).map, url))).arrayBuffer());
  const at = bytes.indexOf('avcC');
  return at < 0 ? null : `avc1.${bytes.subarray(at + 5, at + 8).toString('hex')}`;
}

/** How far from each of the lowest layer's last segments those of the others begin, in ms, once that is not far, or after a while. */
async function settled(urls) {
  const deadline = Date.now() + SETTLED_MS_MAX;
  for (;;) {
    const starts = [];
    for (const url of urls) starts.push((await media(url)).segments.filter((segment) => segment.uri).map((segment) => segment.date));
    const apart = starts[0].slice(-4, -1).map((date) => Math.max(...starts.map((dates) => Math.min(...dates.map((other) => Math.abs(other - date))))));
    if ((apart.length > 1 && Math.max(...apart) <= APART_MS_MAX) || Date.now() > deadline) return apart;
    await sleep(500);
  }
}

for (const codec of ['H264', 'VP9']) {
  test(`each simulcast layer of a ${codec} performer is a variant, and a player switches between them`, { timeout: 180_000 }, async (t) => {
    const server = await startServer(t);
    const performer = await openLab(t);
    const sent = await performer.whip(server.whip('stage'), { codec, encodings: LAYERS, picture: { width: 960, height: 544, rate: 25 } });
    await performer.until(sent, 'sending three layers', (s) => s.streams.filter((r) => r.kind === 'video' && r.framesEncoded > 30).length === 3, 30_000);
    const playlist = await multivariant(server.hls('stage'), (p) => new Set(p.variants.map((v) => v.url)).size === 3, 40_000);
    const layers = [...new Map(playlist.variants.map((variant) => [variant.url, variant])).values()].sort((a, b) => a.width - b.width);
    figure(`HLS, ${codec} simulcast`, layers.map((v) => `${v.RESOLUTION} ${v.CODECS} ${Math.round(v.bandwidth / 1000)} kbit/s ${v['FRAME-RATE']}/s`).join('; '));
    assert.deepEqual(layers.map((v) => v.RESOLUTION), ['240x136', '480x272', '960x544']);
    assert.ok(layers[0].bandwidth < layers[1].bandwidth && layers[1].bandwidth < layers[2].bandwidth, 'the bandwidths do not rise');
    for (const variant of playlist.variants) {
      const rendition = await media(variant.url, (p) => p.segments.length > 2);
      assert.ok(rendition.independent, `${variant.RESOLUTION}: segments begin with keyframes, which is not said`);
      if (codec === 'H264') assert.equal(variant.codecs[0].toLowerCase(), await codecOf(rendition, variant.url));
      else assert.match(variant.codecs[0], /^vp09\.00\.\d\d\.08/);
      assert.match(variant.codecs[1], /^(opus|mp4a\.40\.2)$/);
      assert.ok(playlist.audio.some((audio) => audio['GROUP-ID'] === variant.AUDIO), `no audio group ${variant.AUDIO}`);
    }
    // Cut where each layer's own keyframe came, all of which were asked for at once: once the layers have settled.
    const apart = await settled(layers.map(({ url }) => url));
    figure(`HLS, ${codec} simulcast: the layers' segments begin within`, `${Math.max(...apart)} ms`);
    assert.ok(Math.max(...apart) <= APART_MS_MAX, `segments begin ${apart} ms apart`);

    const player = await openPlayer(t);
    await player.play(server.hls('stage'), { config: { startLevel: 0 } });
    await player.until('playing', (s) => s.count > 60, 30_000);
    const { levels } = await player.seen();
    assert.equal(new Set(levels.map((level) => level.width)).size, 3);
    for (const width of [960, 240, 480]) {
      const { count } = await player.seen();
      await player.level(levels.findIndex((level) => level.width === width));
      const seen = await player.until(`showing ${width} pixels`, (s) => s.frames.slice(count).filter((frame) => frame.width === width).length > 30, 20_000);
      assert.deepEqual(fatal(seen), [], describe(seen));
    }
    await sleep(3000);
    const seen = await player.seen();
    const delays = latencies(seen.frames.slice(-60));
    figure(`HLS, ${codec} simulcast: pixel-clock latency after three switches`, `median ${median(delays)} ms over ${delays.length} pictures; stalls ${seen.stalls}`);
    const newest = edge(await media(layers[0].url));
    assert.ok(newest.msn > 1);
  });
}
