// What a moderator does: mutes, stops pictures, makes a feed a stream, removes, locks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, distinct, inbound, openLab } from '../lib/browser.mjs';
import { enter, outline, pictures, sound } from '../lib/conference.mjs';
import { figure } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

const SECRET = 'only-for-this-test-0123456789abcdef';
const CAMERA = { width: 320, height: 180, rate: 10 };

async function tokenFor(server, space, role) {
  const headers = { Authorization: `Bearer ${SECRET}`, 'Content-Type': 'application/json' };
  const response = await fetch(`${server.url}/api/token`, { method: 'POST', headers, body: JSON.stringify({ space, role }) });
  assert.equal(response.status, 200, `a token for a ${role}`);
  return (await response.json()).token;
}

const peopleOf = (report, id) => report.people.find((person) => person.id === id);
const feedOf = (report, id, source = 'camera') => peopleOf(report, id)?.feeds.find((feed) => feed.source === source);

/** Waits until `count(report)` has not grown for `quietMs`; returns the report. Sound of a muted microphone does not count for its rests. */
async function silent(one, what, count, quietMs = 1500) {
  let [last, since] = [-1, 0];
  return one.until(what, (report) => {
    if (count(report) > last + 1e-4) [last, since] = [count(report), report.now];
    return report.now - since >= quietMs;
  });
}

test('a moderator mutes somebody, stops their picture and removes them', { timeout: 180_000 }, async (t) => {
  const server = await startServer(t, { env: { PROSCENIUM_SECRET: SECRET } });
  const token = await tokenFor(server, 'stage', 'moderator');
  const ada = await enter(t, server, 'stage', { name: 'Ada', token, camera: { ...CAMERA, hue: 0 } });
  const bob = await enter(t, server, 'stage', { name: 'Bob', camera: { ...CAMERA, hue: 120 } });
  const cem = await enter(t, server, 'stage', { name: 'Cem', camera: { ...CAMERA, hue: 240 } });
  await Promise.all([ada.meets([bob, cem]), bob.meets([ada, cem]), cem.meets([ada, bob])]);
  assert.deepEqual([(await ada.report()).role, (await bob.report()).permissions.moderate], ['moderator', false]);

  // Whoever may not moderate is told so, and nothing happens.
  await bob.call('moderate', 'mute', { id: cem.id, source: 'camera', audio: true });
  await bob.until('refused', () => bob.heard('error').then((errors) => errors.some(({ code }) => code === 'forbidden')));
  assert.equal(feedOf(await ada.report(), cem.id).muted.audio, false);

  let asked = Date.now();
  await ada.call('moderate', 'mute', { id: bob.id, source: 'camera', audio: true });
  const [told] = await Promise.all([cem, bob, ada].map((one) => one.until('told that Bob is muted', (report) => feedOf(report, bob.id)?.muted.audio)));
  figure('moderator: muted somebody everywhere after', `${Date.now() - asked} ms`);
  assert.equal(feedOf(told, bob.id).muted.video, false);
  const quiet = await silent(cem, 'without sound of Bob', (report) => sound(report, bob.id));
  const before = pictures(quiet, bob.id);
  const seen = await cem.until('still seeing Bob and hearing Ada', (report) => pictures(report, bob.id) > before + 5 && sound(report, ada.id) > sound(quiet, ada.id));
  assert.ok(sound(seen, bob.id) - sound(quiet, bob.id) < 1e-3, outline(seen));
  assert.deepEqual((await bob.heard('muted')).map(({ audio, video, by }) => ({ audio, video, by })), [{ audio: true, video: false, by: ada.id }]);

  await ada.call('moderate', 'mute', { id: bob.id, source: 'camera', video: true });
  await cem.until('told that Bob shows nothing', (report) => feedOf(report, bob.id)?.muted.video);
  await silent(cem, 'without pictures of Bob', (report) => pictures(report, bob.id));

  // The person unmutes, nobody else.
  await bob.call('mute', { audio: false, video: false });
  const still = await cem.report();
  await cem.until('seeing and hearing Bob again', (report) => pictures(report, bob.id) > pictures(still, bob.id) + 5 && sound(report, bob.id) > sound(still, bob.id) + 1e-3);

  await ada.call('moderate', 'unpublish', { id: bob.id, source: 'camera' });
  await cem.until('without Bob’s feed', (report) => peopleOf(report, bob.id) && !feedOf(report, bob.id));
  await bob.until('told', () => bob.heard('unpublished').then((all) => all.some(({ source, by }) => source === 'camera' && by === ada.id)));

  asked = Date.now();
  await ada.call('moderate', 'remove', { id: bob.id, reason: 'The rehearsal is over for you' });
  await bob.until('removed', ({ state }) => state === 'removed');
  figure('moderator: removed somebody after', `${Date.now() - asked} ms`);
  const words = (await bob.heard('participants')).flatMap(({ left = [] }) => left).find(({ id }) => id === bob.id);
  assert.deepEqual([words.reason, words.message], ['removed', 'The rehearsal is over for you']);
  for (const one of [ada, cem]) {
    await one.until('without Bob', (report) => !peopleOf(report, bob.id));
    const left = (await one.heard('participants')).flatMap((event) => event.left ?? []);
    assert.deepEqual(left.map(({ id, reason }) => ({ id, reason })), [{ id: bob.id, reason: 'removed' }]);
  }
  await Promise.all([ada.meets([cem]), cem.meets([ada])]);
});

test('into a locked space nobody comes', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t, { env: { PROSCENIUM_SECRET: SECRET } });
  const token = await tokenFor(server, 'stage', 'moderator');
  const ada = await enter(t, server, 'stage', { name: 'Ada', token, camera: CAMERA });
  const bob = await enter(t, server, 'stage', { name: 'Bob', camera: CAMERA });
  await Promise.all([ada.meets([bob]), bob.meets([ada])]);
  await ada.call('moderate', 'lock', { on: true });
  await bob.until('told that it is locked', () => bob.page.evaluate(() => window.conference.space.locked));
  const refused = await enter(t, server, 'stage', { name: 'Late', camera: null }).then(() => null, (error) => error);
  assert.equal(refused?.code, 'locked', String(refused));
  figure('moderator: what a newcomer reads at a locked space', refused.message);
  // Who is in may reload.
  await bob.page.reload();
  assert.equal(await bob.page.evaluate(() => window.enter('stage', { name: 'Bob', camera: { width: 320, height: 180 } })), bob.id);
  await Promise.all([ada.meets([bob]), bob.meets([ada])]);
  await ada.call('moderate', 'lock', { on: false });
  await bob.until('told that it is open', () => bob.page.evaluate(() => !window.conference.space.locked));
  const late = await enter(t, server, 'stage', { name: 'Late', camera: CAMERA });
  await late.meets([ada, bob]);
});

test('a participant’s feed made a stream of the space is watched by WHEP', { timeout: 120_000 }, async (t) => {
  const server = await startServer(t, { env: { PROSCENIUM_SECRET: SECRET } });
  const ada = await enter(t, server, 'stage', { name: 'Ada', token: await tokenFor(server, 'stage', 'moderator'), camera: null });
  const bob = await enter(t, server, 'stage', { name: 'Bob', camera: { ...CAMERA, width: 640, height: 360 } });
  await ada.until('told of Bob', (report) => feedOf(report, bob.id));
  await ada.call('moderate', 'stream', { id: bob.id, source: 'camera', stream: 'guest' });
  await bob.until('told of the stream', (report) => feedOf(report, bob.id)?.stream === 'guest');
  const stream = await server.live('stage', 'guest');
  figure('moderator: a participant as stream', JSON.stringify(stream.tracks));
  const lab = await openLab(t);
  const id = await lab.whep(server.whep('stage/guest'));
  const seen = await lab.until(id, 'showing 30 frames', (s) => s.frames.length > 30 && inbound(s, 'audio')?.totalAudioEnergy > 0.001, 30_000);
  assert.ok(distinct(seen.frames) > 10, describe(seen));
  figure('moderator: WHEP of a participant, from asking to the first frame', `${seen.frames[0].at - seen.askedAt} ms; energy ${inbound(seen, 'audio').totalAudioEnergy.toFixed(3)}`);
  await ada.call('moderate', 'stream', { id: bob.id, source: 'camera', stream: null });
  await bob.until('no longer a stream', (report) => feedOf(report, bob.id)?.stream === null);
  const deadline = Date.now() + 10_000;
  while ((await server.space('stage')).streams.some(({ name, live }) => name === 'guest' && live)) {
    assert.ok(Date.now() < deadline, 'the stream goes on without its name');
  }
});
