// Browsers that play by HLS, each through a library that people use or by itself: five performers in Chromium, the built-in one in others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { distinct } from '../lib/browser.mjs';
import { figure, median } from '../lib/figures.mjs';
import { openHouse, openRestartable, PERFORMERS } from '../lib/house.mjs';
import { faults, restartFaults, summarise, throughRestart, words } from '../lib/judge.mjs';
import { describe, fatal, longestFreeze, openPlayer } from '../lib/player.mjs';
import { startServer } from '../lib/server.mjs';
import { media, multivariant } from '../lib/hls.mjs';

const WAYS = [
  { browser: 'Firefox', by: 'hls' },
  // Its Web Audio takes sound faster than it is played when nothing has a loudspeaker's clock.
  { browser: 'WebKitGTK', by: 'hls', deaf: true },
];
const NAMES = { hls: 'hls.js' };
/** So many are behind the live edge when it begins. */
const SEGMENTS_MIN = 4;
const SECONDS = 12;
/** Without low latency it would be three segments of two seconds. */
const LATENCY_MAX = 5;

for (const { browser, by, deaf = false } of WAYS) {
  test(`${browser} plays the demo with low latency by ${NAMES[by]}`, { timeout: 120_000 }, async (t) => {
    const server = await startServer(t, { command: 'demo' });
    await server.live('demo');
    const { variants } = await multivariant(server.hls('demo'));
    await media(variants[0].url, (playlist) => playlist.segments.filter((segment) => segment.uri).length >= SEGMENTS_MIN);
    const player = await openPlayer(t, browser);
    await player.play(server.hls('demo'), { by, deaf });
    const first = await player.until('showing a picture', (s) => s.count > 0, 30_000);
    figure(`HLS, ${browser} with ${NAMES[by]}: from asking to the first picture`, `${first.frames[0].at - first.askedAt} ms`);
    const latencies = [];
    const seen = await player.until(`playing for ${SECONDS} s`, (s) => {
      if (s.date) latencies.push(s.now - s.date);
      return s.frames.at(-1).at - s.frames[0].at > SECONDS * 1000;
    }, (SECONDS + 20) * 1000);
    assert.deepEqual(fatal(seen), [], describe(seen));
    assert.ok(distinct(seen.frames) > 3 * SECONDS, describe(seen));
    const settled = seen.frames[0].at + 4000;
    const freeze = longestFreeze(seen.frames, settled);
    const latency = median(latencies.slice(latencies.length >> 1)) / 1000;
    figure(`HLS, ${browser} with ${NAMES[by]}: behind the program date-time`, `${latency.toFixed(2)} s; longest freeze after 4 s: ${freeze} ms; stalls ${seen.stalls}`);
    if (deaf) assert.equal(seen.soundTracks, 1, describe(seen));
    else assert.ok(seen.energy > 0.001, `no sound is heard: ${describe(seen)}`);
    assert.ok(latency < LATENCY_MAX, `${latency} s behind`);
    assert.ok(freeze < 5000, `frozen for ${freeze} ms: ${describe(seen)}`);
  });
}

/** Of those who do not play with low latency. */
const BACK_S_MAX = 12;
const STILL_S_MAX = 6;

/**
 * Ways to play in Chromium; `behindMax` in seconds, where it is not three target durations; `unsure`: performers that it does not always play, which are
 * told and not judged.
 */
const LIBRARIES = {
  // First, because it has most trouble with a stream that has just begun. One hole, where it seeks at first.
  'shaka-player': { options: { by: 'shaka' }, behindMax: LATENCY_MAX, rangesMax: 2 },
  'hls.js with low latency': { options: { by: 'hls' }, behindMax: LATENCY_MAX },
  'hls.js without low latency': { options: { by: 'hls', config: { lowLatencyMode: false } } },
  // Its own low latency, which is what it begins with, takes up to ten seconds for the first picture and gives up now and then.
  'video.js without low latency': { options: { by: 'videojs', config: { llhls: false } }, behindMax: 10 },
  // Of VP9 it said once in two runs that it could not be parsed.
  "Chromium's own player": { options: { by: 'native' }, unsure: ['vp9'] },
};

test('every player for pages plays what five performers publish', { timeout: 300_000 }, async (t) => {
  const { server, targets } = await openHouse(t);
  const wrong = [];
  for (const [name, { options, unsure = [], ...limits }] of Object.entries(LIBRARIES)) {
    const all = await Promise.all(Object.entries(PERFORMERS).map(async ([space, performer]) => {
      const player = await openPlayer(t);
      await player.play(server.hls(space), options);
      await sleep(SECONDS * 1000);
      const seen = await player.seen();
      await player.page.close();
      const errors = fatal(seen);
      const found = faults({ ...seen, errors }, performer, targets[space], SECONDS, limits).map((fault) => `${name}, ${performer.what}: ${fault}`);
      if (found.length > 0) found.push(describe(seen));
      if (!unsure.includes(space)) wrong.push(...found);
      else if (found.length > 0) figure(`HLS, known of ${name}`, found.join('; '));
      return `${space} ${words(summarise(seen))}`;
    }));
    figure(`HLS, ${name}`, all.join('; '));
  }
  assert.deepEqual(wrong, []);
});

test('every player for pages plays on through the restart of a performer', { timeout: 120_000 }, async (t) => {
  const { url, restart } = await openRestartable(t, 5000);
  const players = await Promise.all(Object.entries(LIBRARIES).map(async ([name, { options }]) => {
    const player = await openPlayer(t);
    await player.play(url, options);
    return [name, player];
  }));
  await sleep(7000);
  const moments = await restart();
  await sleep(16_000);
  const wrong = [];
  for (const [name, player] of players) {
    const all = await player.seen();
    const seen = { ...all, errors: fatal(all) };
    const { back, still } = throughRestart(seen, moments);
    figure(`HLS, ${name} through a restart of ${((moments.backAt - moments.goneAt) / 1000).toFixed(1)} s`, `the performer's pictures ${back?.toFixed(1) ?? 'never'} s after the return, ${still.toFixed(1)} s without a picture`);
    wrong.push(...restartFaults(seen, moments, { behindMax: BACK_S_MAX, stillMax: STILL_S_MAX }).map((fault) => `${name} ${fault}`));
  }
  assert.deepEqual(wrong, []);
});
