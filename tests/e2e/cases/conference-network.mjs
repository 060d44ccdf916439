// Staying met: a network that goes away and comes back, one that becomes narrow, a signalling connection that is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { enter, outline, pictures, sound } from '../lib/conference.mjs';
import { figure } from '../lib/figures.mjs';
import { cutRoad, houseAddress, openRoadBrowser, repairRoad, throttleRoad } from '../lib/road.mjs';
import { startServer } from '../lib/server.mjs';

const CAMERA = { width: 320, height: 180, rate: 10 };
/** The second one is longer than a browser hopes, and shorter than the server waits. */
const CUTS_MS = [10_000, 25_000];
const RETURN_MS_MAX = 30_000;
const THROTTLED_KBITS = 300;
const THROTTLED_MS = 20_000;
/** Where something is broken, on a machine that others use as well; how fast it is, the figures say. */
const GAP_MS_MAX = 2000;
/** The narrow network is no news any more. */
const USED_TO_MS = 10_000;
const RECOVERY_MS_MAX = 60_000;

const leftOf = async (one) => (await one.heard('participants')).flatMap((event) => event.left ?? []);

for (const cutMs of CUTS_MS) {
  test(`a tab whose network is cut for ${cutMs / 1000} s returns as the same person`, { timeout: 180_000 }, async (t) => {
    const server = await startServer(t, { address: houseAddress() });
    const ada = await enter(t, server, 'tour', { name: 'Ada', camera: { ...CAMERA, hue: 0 } });
    const bob = await enter(t, server, 'tour', { name: 'Bob', camera: { ...CAMERA, hue: 120 } });
    const cem = await enter(t, server, 'tour', { name: 'Cem', camera: { ...CAMERA, hue: 240 }, browser: await openRoadBrowser(t) });
    await Promise.all([ada.meets([bob, cem]), bob.meets([ada, cem]), cem.meets([ada, bob])]);

    cutRoad();
    const cutAt = Date.now();
    await sleep(cutMs);
    const alone = await Promise.all([cem.report(), ada.report()]);
    const before = { ada: alone[1], cem: alone[0] };
    repairRoad();
    const repairedAt = Date.now();
    figure(`network cut for ${cutMs / 1000} s: by then`, `the tab says ${before.cem.state}, media ${before.cem.media}; the others say reachable ${before.ada.people.find(({ id }) => id === cem.id)?.reachable}, quality ${new Map(before.ada.quality).get(cem.id)}`);

    const back = (one, before, other) => one.until(`meeting ${other.name} again`, (report) => pictures(report, other.id) > pictures(before, other.id) + 5 && sound(report, other.id) > sound(before, other.id) + 1e-3, RETURN_MS_MAX).then(() => Date.now() - repairedAt);
    const [sees, seen] = await Promise.all([back(cem, before.cem, ada), back(ada, before.ada, cem)]);
    const joined = await cem.until('joined', ({ state, media }) => state === 'joined' && media === 'connected', RETURN_MS_MAX);
    figure(`network cut for ${cutMs / 1000} s: after it was back`, `sees and hears the others after ${sees} ms, is seen and heard after ${seen} ms, signalling and media stand after ${Date.now() - repairedAt} ms`);
    const turns = [...await cem.heard('state'), ...await cem.heard('media')].filter(({ at }) => at > cutAt).sort((a, b) => a.at - b.at);
    figure(`network cut for ${cutMs / 1000} s: what the tab said, since the cut`, turns.map(({ at, state, media }) => `${((at - cutAt) / 1000).toFixed(1)} s ${state ?? media}`).join(', '));
    assert.equal(joined.id, cem.id);
    for (const one of [ada, bob]) assert.deepEqual(await leftOf(one), [], `${one.name} saw somebody leave`);
    for (const one of [ada, bob, cem]) assert.equal((await one.report()).people.length, 3);
    await Promise.all([bob, ada].map((one) => one.until('told that Cem is there', ({ people }) => people.find(({ id }) => id === cem.id).reachable)));
  });
}

/** Runs in the page: notes what reaches it of somebody, five times a second. */
function follow(id) {
  window.samples = [];
  setInterval(async () => {
    const { inbound } = await window.conference.stats();
    const of = (kind) => inbound.find((entry) => entry.id === id && entry.kind === kind) ?? {};
    const [audio, video] = [of('audio'), of('video')];
    window.samples.push({ at: Date.now(), packets: audio.packets ?? 0, energy: audio.energy ?? 0, frames: video.frames ?? 0, height: video.height ?? 0 });
  }, 200);
}

/** The longest time in which a count did not grow, in ms. */
function gap(samples, name) {
  let [longest, last] = [0, samples[0]];
  for (const sample of samples) {
    longest = Math.max(longest, sample.at - last.at);
    if (sample[name] > last[name]) last = sample;
  }
  return longest;
}

/** Heights over time, in a line. */
function heights(samples, since) {
  const turns = samples.filter(({ height }, place) => height !== samples[place - 1]?.height);
  return turns.map(({ at, height }) => `${((at - since) / 1000).toFixed(1)} s ${height || '-'}`).join(', ');
}

test(`a tab throttled to ${THROTTLED_KBITS} kbit/s keeps sound and a thumbnail, and recovers`, { timeout: 240_000 }, async (t) => {
  const server = await startServer(t, { address: houseAddress() });
  const ada = await enter(t, server, 'tour', { name: 'Ada', camera: { width: 960, height: 540, rate: 12, isBusy: true } });
  const cem = await enter(t, server, 'tour', { name: 'Cem', camera: { ...CAMERA, hue: 240 }, browser: await openRoadBrowser(t) });
  await Promise.all([ada.meets([cem]), cem.meets([ada])]);
  await cem.call('watch', [{ id: ada.id, width: 960, height: 540 }]);
  const heightOf = (report) => report.inbound.find(({ id, kind }) => id === ada.id && kind === 'video')?.height ?? 0;
  // A processor with too much to do may keep Ada's browser from sending her picture in full.
  await cem.until('seeing Ada in full', (report) => heightOf(report) === 540, 40_000).catch(() => {});
  const full = heightOf(await cem.until('seeing Ada larger than a thumbnail', (report) => heightOf(report) > 135));
  figure(`throttled to ${THROTTLED_KBITS} kbit/s: before that`, `${full} lines; Ada sends ${(await ada.report()).outbound.filter(({ kind }) => kind === 'video').map(({ rid, height, active, limitation }) => `${rid} ${height ?? '-'}${active ? '' : ' rests'} (limit: ${limitation})`).join(', ')}`);
  await cem.page.evaluate(follow, ada.id);

  throttleRoad(THROTTLED_KBITS);
  const throttledAt = Date.now();
  await sleep(THROTTLED_MS);
  repairRoad();
  const liftedAt = Date.now();
  const low = heightOf(await cem.report());
  const recovered = await cem.until('seeing a higher layer', (report) => heightOf(report) > low, RECOVERY_MS_MAX).then(() => Date.now() - liftedAt, () => Infinity);
  const samples = await cem.page.evaluate(() => window.samples);
  const narrow = samples.filter(({ at }) => at >= throttledAt && at <= liftedAt);
  const gaps = { packets: gap(narrow, 'packets'), energy: gap(narrow, 'energy'), frames: gap(narrow, 'frames') };
  const [first, last] = [narrow[0], narrow.at(-1)];
  figure(`throttled to ${THROTTLED_KBITS} kbit/s: height of the picture since`, heights(samples.filter(({ at }) => at >= throttledAt - 1000), throttledAt));
  figure(`throttled to ${THROTTLED_KBITS} kbit/s: longest gaps`, `sound ${gaps.packets} ms, energy ${gaps.energy} ms, pictures ${gaps.frames} ms; ${last.frames - first.frames} frames in ${THROTTLED_MS / 1000} s, the last of ${low} lines`);
  figure(`throttled to ${THROTTLED_KBITS} kbit/s: a higher layer after it was lifted`, `${recovered} ms`);
  assert.equal((await cem.report()).id, cem.id);
  assert.ok(Math.max(gaps.packets, gaps.energy) <= GAP_MS_MAX, `sound was gone for ${JSON.stringify(gaps)}`);
  const late = narrow.filter(({ at }) => at > throttledAt + USED_TO_MS);
  assert.ok(late.at(-1).frames > late[0].frames + 3, `the picture stands still: ${late.at(-1).frames - late[0].frames} frames in the last ${THROTTLED_MS - USED_TO_MS} ms`);
  assert.ok(low < full, `${low} lines in the end: the limit was not felt`);
  assert.ok(recovered <= RECOVERY_MS_MAX, `a higher layer only after ${recovered} ms`);
  assert.deepEqual(await leftOf(ada), []);
});

test('pictures and sound go on while the WebSocket is lost', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const ada = await enter(t, server, 'tour', { name: 'Ada', camera: { ...CAMERA, hue: 0 } });
  const bob = await enter(t, server, 'tour', { name: 'Bob', camera: { ...CAMERA, hue: 120 } });
  await Promise.all([ada.meets([bob]), bob.meets([ada])]);
  // No server answers until `window.signalling` is open again.
  await bob.page.evaluate(() => { window.signalling.isOpen = false; window.signalling.sockets.at(-1).close(4999); });
  const lost = await bob.until('reconnecting', ({ state }) => state === 'reconnecting');
  const base = { ada: await ada.report(), bob: lost };
  const more = (one, report, before, other) => pictures(report, other.id) > pictures(before, other.id) + 20 && sound(report, other.id) > sound(before, other.id) + 1e-2;
  const [during] = await Promise.all([
    bob.until('still meeting Ada', (report) => more(bob, report, base.bob, ada)), ada.until('still meeting Bob', (report) => more(ada, report, base.ada, bob)),
  ]);
  assert.equal(during.state, 'reconnecting');
  figure('lost WebSocket: pictures decoded meanwhile', `${pictures(during, ada.id) - pictures(base.bob, ada.id)} in ${during.now - lost.now} ms`);
  const opened = await bob.page.evaluate(() => { window.signalling.isOpen = true; return Date.now(); });
  const joined = await bob.until('joined', ({ state }) => state === 'joined', 30_000);
  figure('lost WebSocket: joined again after it was possible', `${joined.now - opened} ms`);
  assert.equal(joined.id, bob.id);
  assert.deepEqual((await bob.heard('media')).map(({ media }) => media), ['connecting', 'connected'], outline(joined));
  assert.deepEqual(await leftOf(ada), []);
  const after = [await ada.report(), joined];
  await Promise.all([ada.until('meeting Bob', (report) => more(ada, report, after[0], bob)), bob.until('meeting Ada', (report) => more(bob, report, after[1], ada))]);
});

test('a tab that only TCP reaches takes part', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const ada = await enter(t, server, 'tour', { name: 'Ada', camera: { ...CAMERA, hue: 0 } });
  const bob = await enter(t, server, 'tour', { name: 'Bob', camera: { ...CAMERA, hue: 120 }, isTcpOnly: true });
  await Promise.all([ada.meets([bob]), bob.meets([ada])]);
  const protocols = await bob.page.evaluate(async () => {
    const report = [...(await window.connections.at(-1).getStats()).values()];
    const pairs = report.filter(({ type, nominated, state }) => type === 'candidate-pair' && nominated && state === 'succeeded');
    return pairs.map(({ remoteCandidateId }) => report.find(({ id }) => id === remoteCandidateId).protocol);
  });
  assert.deepEqual([...new Set(protocols)], ['tcp']);
});
