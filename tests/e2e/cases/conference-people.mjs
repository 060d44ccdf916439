// A room full of people: everybody sees and hears everybody, and who speaks is known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter, enterFirefox, outline, pictures, sound } from '../lib/conference.mjs';
import { figure } from '../lib/figures.mjs';
import { houseAddress } from '../lib/road.mjs';
import { startServer } from '../lib/server.mjs';

const TABS = 6;
const MEETING_MS_MAX = 90_000;
const SPEAKER_MS_MAX = 8000;

test(`${TABS} tabs of Chromium and a Firefox see and hear each other`, { timeout: 300_000 }, async (t) => {
  const server = await startServer(t, { address: houseAddress() });
  const camera = (place) => ({ hue: place * 50, hz: 300 + place * 60, width: 320, height: 180, rate: 10 });
  const people = await Promise.all([
    enterFirefox(t, server, 'company', { name: 'Firefox', camera: camera(0) }),
    ...Array.from({ length: TABS }, (_, place) => enter(t, server, 'company', { name: `Tab ${place + 1}`, camera: camera(place + 1) })),
  ]);
  const began = Date.now();
  const others = (one) => people.filter((other) => other !== one);
  const met = people.map((one) => one.meets(others(one), MEETING_MS_MAX).then((report) => ({ one, report, ms: Date.now() - began })));
  const results = await Promise.all(met);
  figure(`conference of ${people.length}: all ${people.length * (people.length - 1)} pairs see and hear each other after the last has joined`, `${Math.max(...results.map(({ ms }) => ms))} ms`);
  for (const { one, report } of results) {
    const frames = others(one).map(({ id }) => pictures(report, id));
    const energies = others(one).map(({ id }) => sound(report, id).toFixed(3));
    figure(`conference of ${people.length}: ${one.name} decoded frames and heard energy of each other one`, `${frames.join(' ')}; ${energies.join(' ')}`);
    assert.equal(report.people.length, people.length, outline(report));
  }
});

/** Lets only one be heard. */
async function speak(people, speaker) {
  await Promise.all(people.filter((one) => one !== speaker).map(({ page }) => page.evaluate(() => { window.loudness.gain.value = 0; })));
  return speaker.page.evaluate(() => { window.loudness.gain.value = 0.4; return Date.now(); });
}

/** How long, in ms after `since`, until this one was told that `speaker` dominates, and nobody else until now. */
async function toldOf(one, speaker, since) {
  await one.until(`told that ${speaker.name} speaks`, ({ speakers }) => speakers.dominant === speaker.id, 10_000);
  const turns = (await one.heard('speakers')).filter(({ at }) => at >= since);
  // The message may have come before the moment was noted: the change was on its way already.
  return Math.max(0, (turns.find(({ dominant }) => dominant === speaker.id)?.at ?? since) - since);
}

test('the active speaker follows the one who speaks', { timeout: 180_000 }, async (t) => {
  const server = await startServer(t);
  const people = [];
  for (const [place, name] of ['Ada', 'Bob', 'Cem'].entries()) {
    people.push(await enter(t, server, 'talk', { name, camera: { hue: place * 90, hz: 300 + place * 100, width: 320, height: 180, rate: 10 } }));
  }
  await Promise.all(people.map((one) => one.meets(people.filter((other) => other !== one))));
  const delays = [];
  for (const speaker of [people[0], people[1], people[2], people[0]]) {
    const since = await speak(people, speaker);
    const told = await Promise.all(people.map((one) => toldOf(one, speaker, since)));
    delays.push(told);
    figure(`active speaker: ${speaker.name} is it everywhere after`, `${Math.max(...told)} ms (${told.join(' ')})`);
  }
  // Whoever was dominant when all hummed may stay it: the first turn is none.
  for (const told of delays) assert.ok(Math.max(...told) <= SPEAKER_MS_MAX, `told of the speaker after ${told} ms`);
});
