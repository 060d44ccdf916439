// The message bus over data channels: two tabs in a conference, a WebSocket of the space and one that hears everything.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { envelope, openBus } from '../lib/bus.mjs';
import { enter } from '../lib/conference.mjs';
import { figure } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

/** Somebody walks for so long, at the rate at which a page may move somebody. */
const WALK_MS = 4000;
const HZ = 20;

/** Runs in the page: keeps what is said and where others are. */
function listen() {
  window.bus = { messages: [], errors: [], steps: [] };
  conference.on('message', ({ seq, envelope, own }) => window.bus.messages.push({ seq, own, envelope }));
  conference.on('error', (error) => window.bus.errors.push(error));
  conference.on('positions', (all) => window.bus.steps.push({ at: Date.now(), all: Object.fromEntries(all) }));
}

/** Runs in the page: walks along X, where each place is its own time. */
async function walk(ms) {
  const steps = [];
  const began = performance.now();
  for (let x = 1; performance.now() - began < ms; x += 1) {
    conference.move({ x, y: 2, rz: 0.5 });
    steps.push({ x, at: Date.now() });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return steps;
}

const camera = (hue) => ({ hue, width: 320, height: 180, rate: 10 });

/** Two who are in the conference, a WebSocket of the space, and one that hears everything. */
async function gather(t, space) {
  const server = await startServer(t);
  const ada = await enter(t, server, space, { name: 'Ada', camera: camera(0), userId: 'ada' });
  const bob = await enter(t, server, space, { name: 'Bob', camera: camera(120) });
  for (const { page } of [ada, bob]) {
    await page.evaluate(listen);
    await page.waitForFunction(() => conference.isOnBus, undefined, { timeout: 20_000 });
  }
  const address = server.url.replace('http', 'ws');
  const [root, ws] = [await openBus(t, `${address}/`), await openBus(t, `${address}/ws/${space}`)];
  await ws.until('a welcome', ({ message }) => message?.welcome?.space === space);
  return { server, ada, bob, root, ws };
}

const heardBy = (tab, value) => tab.page.waitForFunction((wanted) => window.bus.messages.some(({ envelope }) => envelope.value === wanted), value, { timeout: 10_000 });
const say = (tab, said) => tab.page.evaluate((one) => conference.say(one), said);

test('what is said anywhere is heard everywhere in the space', { timeout: 120_000 }, async (t) => {
  const { ada, bob, root, ws } = await gather(t, 'residence');
  const speakers = {
    'a tab': () => say(ada, { type: 'CUE', value: 'from a tab' }),
    'the other tab': () => say(bob, { type: 'CHAT', value: 'from the other tab' }),
    'the space': () => ws.say(envelope('CUE', 'from the space')),
    everything: () => root.say(Buffer.from(envelope('CHAT', 'from everything')), { binary: true }),
  };
  for (const [name, speak] of Object.entries(speakers)) {
    const value = `from ${name === 'everything' ? 'everything' : name}`;
    const began = Date.now();
    await speak();
    await Promise.all([
      heardBy(ada, value),
      heardBy(bob, value),
      root.until(value, ({ message }) => message?.value === value),
      ws.until(value, ({ message }) => message?.message?.value === value && message.seq > 0),
    ]);
    figure(`bus over data channels: said by ${name}, heard by two tabs and two WebSockets after`, `${Date.now() - began} ms`);
  }
  const [first] = await ada.page.evaluate(() => window.bus.messages.filter(({ own }) => own));
  assert.deepEqual([first.envelope.userId, first.envelope.userName, first.envelope.channel], ['ada', 'Ada', 'residence']);
  // A picture of an audience's face, and what is too long.
  const picture = `data:image/jpeg;base64,${'A'.repeat(55_000)}`;
  assert.match(await say(ada, { type: 'IMAGE', value: picture }), /^[a-z]{16}$/);
  await heardBy(bob, picture);
  assert.equal(await say(ada, { type: 'IMAGE', value: 'A'.repeat(70_000) }), '');
  for (const tab of [ada, bob]) {
    const { messages, errors } = await tab.page.evaluate(() => window.bus);
    assert.deepEqual(errors, []);
    const seqs = messages.map(({ seq }) => seq);
    assert.equal(new Set(seqs).size, seqs.length, 'nothing twice');
  }
});

test('who walks is seen walking in the other tab and over WebSocket', { timeout: 120_000 }, async (t) => {
  const { ada, bob, root, ws } = await gather(t, 'walk');
  await say(ada, { type: 'CUE', value: 'I go' });
  await heardBy(bob, 'I go');
  const steps = await ada.page.evaluate(walk, WALK_MS);
  await sleep(500);
  const at = new Map(steps.map((step) => [step.x, step.at]));
  const seen = (await bob.page.evaluate(() => window.bus.steps)).filter(({ all }) => all.ada).map(({ at: when, all }) => ({ when, ...all.ada }));
  const ages = seen.filter(({ x }, place) => place === 0 || x !== seen[place - 1].x).map(({ x, when }) => when - at.get(x)).sort((a, b) => a - b);
  const rate = ages.length / (WALK_MS / 1000);
  figure('positions over data channels: seen by the other tab per second, and their age in the median and at worst', `${rate.toFixed(1)}, ${ages[ages.length >> 1]} ms, ${ages.at(-1)} ms`);
  assert.ok(rate > HZ * 0.7, `${rate} positions a second`);
  const { x, ...rest } = steps.at(-1);
  assert.ok(rest);
  assert.deepEqual(await bob.page.evaluate(() => conference.positions.get('ada')), { x, y: 2, z: 0, rx: 0, ry: 0, rz: 0.5 });
  const overSpace = ws.heard.filter(({ message }) => message?.positions?.ada);
  assert.ok(overSpace.length > (HZ * 0.7 * WALK_MS) / 1000, `${overSpace.length} over /ws/walk`);
  assert.deepEqual(overSpace.at(-1).message.positions.ada, [x, 2, 0, 0, 0, 0.5]);
  const overRoot = root.heard.filter(({ message }) => message?.type === 'CHANNEL_USER_UPDATE' && message.userId === 'ada');
  assert.ok(overRoot.length > (HZ * 0.7 * WALK_MS) / 1000, `${overRoot.length} over /`);
  assert.equal(overRoot.at(-1).message.value.userX, x);
  // Over the WebSocket somebody moves, too, and who leaves is gone.
  ws.say(envelope('POSITION', [7, 8, 9, 0, 0, 1], { userId: 'max', channel: 'walk' }));
  await bob.page.waitForFunction(() => conference.positions.get('max')?.x === 7, undefined, { timeout: 10_000 });
  await ada.page.close();
  await bob.page.waitForFunction(() => !conference.positions.has('ada'), undefined, { timeout: 20_000 });
});
