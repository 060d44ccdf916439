// Players that are programs, against five performers at once and through a performer's restart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { figure } from '../lib/figures.mjs';
import { openHouse, openRestartable, PERFORMERS } from '../lib/house.mjs';
import { faults, restartFaults, summarise, throughRestart, words } from '../lib/judge.mjs';
import { playByProgram, PROGRAMS } from '../lib/programs.mjs';

const SECONDS = 14;
/** VLC 3 ends at the discontinuity: "no moov before mdat". */
const THROUGH = Object.keys(PROGRAMS).filter((name) => name !== 'VLC');
const [BEFORE_MS, AWAY_MS, THROUGH_SECONDS] = [5000, 4000, 27];
const BACK_S_MAX = 14;
const STILL_S_MAX = 4;
/** Those of a wave play at the same time. */
const WAVES = [['FFmpeg 5', 'FFmpeg 9', 'mpv'], ['VLC', 'playbin', 'playbin3']];

test('FFmpeg, mpv, VLC and GStreamer play what five performers publish', { timeout: 180_000 }, async (t) => {
  const { server, targets } = await openHouse(t);
  const wrong = [];
  for (const names of WAVES) {
    await Promise.all(names.map(async (name) => {
      const all = await Promise.all(Object.entries(PERFORMERS).map(async ([space, performer]) => {
        const seen = await playByProgram(t, name, server.hls(space), SECONDS, performer.sound > 0);
        wrong.push(...faults(seen, performer, targets[space], SECONDS, PROGRAMS[name]).map((fault) => `${name}, ${performer.what}: ${fault}`));
        return `${space} ${words(summarise(seen, PROGRAMS[name].settleMs))}`;
      }));
      figure(`HLS, ${name}`, all.join('; '));
    }));
  }
  assert.deepEqual(wrong, []);
});

test('FFmpeg, mpv and GStreamer play on through the restart of a performer', { timeout: 120_000 }, async (t) => {
  const { url, restart } = await openRestartable(t, AWAY_MS);
  const playing = THROUGH.map(async (name) => [name, await playByProgram(t, name, url, THROUGH_SECONDS)]);
  await sleep(BEFORE_MS);
  const moments = await restart();
  const wrong = [];
  for (const [name, seen] of await Promise.all(playing)) {
    const { back, still } = throughRestart(seen, moments);
    figure(`HLS, ${name} through a restart of ${((moments.backAt - moments.goneAt) / 1000).toFixed(1)} s`, `the performer's pictures ${back?.toFixed(1) ?? 'never'} s after the return, ${still.toFixed(1)} s without a picture`);
    wrong.push(...restartFaults(seen, moments, { behindMax: BACK_S_MAX, stillMax: STILL_S_MAX, pictures: PROGRAMS[name].pictures }).map((fault) => `${name} ${fault}`));
  }
  assert.deepEqual(wrong, []);
});
