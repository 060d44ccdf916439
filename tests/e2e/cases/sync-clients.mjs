// Sound and picture of one moment, as large audiences get them, from programs that pace, date and encode in ways of their own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { publishWithAiortc } from '../lib/aiortc.mjs';
import { openLab } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { untilLive, whipsinkFile } from '../lib/gstreamer.mjs';
import { media } from '../lib/hls.mjs';
import { startLibdatachannel } from '../lib/libdatachannel.mjs';
import { houseAddress } from '../lib/road.mjs';
import { startServer } from '../lib/server.mjs';
import { keepPlaylists, marksFile, readMarks } from '../lib/sync.mjs';

const SECONDS = 9;
/** Beeps and flashes that lie further apart than this are not of one moment: one of the two was lost. */
const PAIR_MS_MAX = 200;
/** On a machine with other work sound comes late, and is played up to 100 ms late for a while: a third has to be better than the first of these. */
const SKEW_MS_MAX = [40, 120];
/** A page of Chromium sends its sound late by 15 to 45 ms, the more the busier the machine is; each track of aiortc begins when Python comes to it. */
const SKEW_MS_MAX_OF = { aiortc: [500, 500], Chromium: [60, 120] };

/** How each begins to perform flashes and beeps at an address. */
const PERFORMERS = {
  GStreamer: (t, url, file, server) => untilLive(server, 'gstreamer', () => whipsinkFile(t, url, file)),
  aiortc: (t, url, file) => { publishWithAiortc(t, url, SECONDS + 10, { file }); },
  libdatachannel: (t, url, file) => startLibdatachannel(t, url, '', 60, file),
  Chromium: async (t, url) => { await (await openLab(t)).whip(url, { picture: { marks: true } }); },
};

test('beeps are heard with their flashes, whoever performs', { timeout: 180_000 }, async (t) => {
  const file = await marksFile(t, { seconds: SECONDS + 10, codec: 'pcm_s16le', rate: 30 });
  const server = await startServer(t, { address: houseAddress() });
  for (const [name, perform] of Object.entries(PERFORMERS)) await perform(t, server.whip(name.toLowerCase()), file, server);
  await Promise.all(Object.keys(PERFORMERS).map((name) => server.live(name.toLowerCase(), 'main', 30_000)));
  await sleep(SECONDS * 1000);
  const problems = [];
  for (const name of Object.keys(PERFORMERS)) {
    const stage = `${server.url}/hls/${name.toLowerCase()}/main`;
    await media(`${stage}/audio.m3u8`, (playlist) => playlist.segments.length >= 3, 20_000);
    const [video, sound] = await keepPlaylists(t, stage, ['video', 'audio']);
    const marks = await readMarks(t, video, sound);
    const [third, worst] = SKEW_MS_MAX_OF[name] ?? SKEW_MS_MAX;
    const skews = marks.skews.filter((skew) => Math.abs(skew) < Math.max(PAIR_MS_MAX, worst));
    figure(`HLS, flashes and beeps of ${name}`, `beeps ${skews.join(' ')} ms after their flashes`);
    const sorted = skews.map(Math.abs).sort((a, b) => a - b);
    if (sorted.length < 3 || sorted[Math.floor(sorted.length / 3)] > third || sorted.at(-1) > worst) problems.push(`${name}: ${marks.beeps.length} beeps, ${marks.flashes.length} flashes, ${marks.skews} ms apart`);
  }
  assert.deepEqual(problems, []);
});
