// The performer goes away without a word and comes back: what a player shows meanwhile, and what it is answered.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startFfmpegWhip } from '../lib/ffmpeg.mjs';
import { figure } from '../lib/figures.mjs';
import { media, multivariant, nextPart, parseMedia } from '../lib/hls.mjs';
import { describe, fatal, openPlayer } from '../lib/player.mjs';
import { startServer } from '../lib/server.mjs';

const AWAY_MS = 8000;
/** What a viewer would call a picture that stands still. */
const STILL_MS_MAX = 2000;
/** As patient as a player has to be when a server is away for some seconds. */
const RETRY = { maxNumRetry: 20, retryDelayMs: 500, maxRetryDelayMs: 2000 };
const lifeOf = (playlist) => playlist.segments.at(-1).map.split('-')[0];
const PICTURE = { gop: 30, picture: { width: 640, height: 360 } };

/** Asks for each next part as soon as the one before is there, until told to stop. */
function follow(url) {
  const answers = { statuses: new Map(), longest: 0, isOver: false };
  const ask = async () => {
    let { msn, part } = nextPart(await media(url));
    while (!answers.isOver) {
      const began = Date.now();
      const response = await fetch(`${url}?_HLS_msn=${msn}&_HLS_part=${part}`, { signal: AbortSignal.timeout(45_000) });
      const text = await response.text();
      answers.longest = Math.max(answers.longest, Date.now() - began);
      answers.statuses.set(response.status, (answers.statuses.get(response.status) ?? 0) + 1);
      if (response.ok) ({ msn, part } = nextPart(parseMedia(text)));
      else await sleep(100);
    }
  };
  answers.done = ask();
  return answers;
}

/** Watches where a player is, and says for how long at most it did not move. */
function watch(player) {
  const seen = { still: 0, at: 0, isOver: false };
  const look = async () => {
    let [position, since] = [null, Date.now()];
    while (!seen.isOver) {
      const now = await player.seen(1 << 30);
      if (position === null || now.position > position) [position, since] = [now.position, Date.now()];
      seen.still = Math.max(seen.still, Date.now() - since);
      await sleep(100);
    }
  };
  seen.done = look();
  return seen;
}

test('hls.js in Chromium plays on while its performer is away for eight seconds', { timeout: 120_000 }, async (t) => {
  const server = await startServer(t);
  const performer = startFfmpegWhip(t, server.whip('stage'), PICTURE);
  const { variants, audio, text } = await multivariant(server.hls('stage'));
  const lists = [variants[0].url, ...audio.map((one) => one.url)];
  await media(lists[0], (playlist) => playlist.segments.filter((one) => one.uri).length >= 4);
  const player = await openPlayer(t);
  await player.play(server.hls('stage'));
  const first = await player.until('playing', (s) => s.count > 60, 30_000);
  const [followed, watched] = [lists.map(follow), watch(player)];
  await sleep(1500);
  await performer.kill();
  await sleep(AWAY_MS);
  startFfmpegWhip(t, server.whip('stage'), PICTURE);
  await player.until('showing the performer again', (s) => s.count > first.count + 300, 40_000);
  for (const one of [...followed, watched]) one.isOver = true;
  await Promise.all([...followed, watched].map((one) => one.done));
  const seen = await player.seen();
  figure('HLS, performer away for 8 s: longest time without movement in hls.js', `${watched.still} ms; longest wait for a part ${Math.max(...followed.map((one) => one.longest))} ms`);
  assert.deepEqual(fatal(seen), [], describe(seen));
  assert.ok(watched.still < STILL_MS_MAX, `${watched.still} ms without movement: ${describe(seen)}`);
  for (const one of followed) assert.deepEqual([...one.statuses.keys()], [200]);
  const breaks = lists.map(async (url) => (await media(url)).segments.filter((one) => one.discontinuity).length);
  assert.deepEqual(await Promise.all(breaks), lists.map(() => 2), 'the slate begins and ends in every rendition');
  assert.equal((await multivariant(server.hls('stage'))).variants[0].CODECS, multivariantCodecs(text));
});

const multivariantCodecs = (text) => /CODECS="([^"]*)"/.exec(text)[1];

for (const [way, stop] of [['stopped', (server) => server.process.stop()], ['killed', (server) => server.process.kill()]]) {
  test(`hls.js in Chromium plays on when its server is ${way} and started again`, { timeout: 180_000 }, async (t) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'proscenium-e2e-restart-'));
    t.after(() => rmSync(dataDir, { recursive: true, force: true }));
    const server = await startServer(t, { command: 'demo', dataDir });
    await server.live('demo');
    const { variants } = await multivariant(server.hls('demo'));
    const before = await media(variants[0].url, (playlist) => playlist.segments.filter((one) => one.uri).length >= 4);
    const player = await openPlayer(t);
    const policy = { default: { maxTimeToFirstByteMs: 10_000, maxLoadTimeMs: 20_000, timeoutRetry: RETRY, errorRetry: RETRY } };
    await player.play(server.hls('demo'), { config: { playlistLoadPolicy: policy, fragLoadPolicy: policy } });
    const first = await player.until('playing', (s) => s.count > 60, 30_000);
    await stop(server);
    await startServer(t, { command: 'demo', dataDir, port: server.port });
    const seen = await player.until('playing on', (s) => s.count > first.count + 150, 60_000);
    assert.deepEqual(fatal(seen), [], describe(seen));
    assert.equal(seen.manifests, 1, 'it was not loaded anew');
    const after = await media(variants[0].url);
    assert.equal(lifeOf(after), lifeOf(before), 'the life is the same');
    const last = before.segments.filter((one) => one.uri).at(-1);
    assert.ok(after.segments.some((one) => one.msn === last.msn && one.uri === last.uri), 'no number means something else');
    figure(`HLS, server ${way} and started again: in hls.js`, `${seen.latency?.toFixed(2)} s behind, ${seen.stalls} stalls`);
  });
}
