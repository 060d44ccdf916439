// Browsers that play the built-in performer by HLS, each through a library that people use.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distinct } from '../lib/browser.mjs';
import { figure, median } from '../lib/figures.mjs';
import { describe, fatal, longestFreeze, openPlayer } from '../lib/player.mjs';
import { startServer } from '../lib/server.mjs';
import { media, multivariant } from '../lib/hls.mjs';

const WAYS = [
  { browser: 'Chromium', by: 'hls' },
  { browser: 'Chromium', by: 'shaka' },
  { browser: 'Firefox', by: 'hls' },
  // Its Web Audio takes sound faster than it is played when nothing has a loudspeaker's clock.
  { browser: 'WebKitGTK', by: 'hls', deaf: true },
];
const NAMES = { hls: 'hls.js', shaka: 'shaka-player' };
/** shaka-player stumbles over a playlist with fewer. */
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
