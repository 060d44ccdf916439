// Who has a stage, and who gets it: pages with one key, and an offer that never connects.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLab, openPage } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

const KEY = 'open-sesame-1234';
const locked = { config: `[[space]]\nname = "stage"\nkey = "${KEY}"\n` };

/** In a page of ours: performs with our own client, as the stage door does, and remembers its states. */
async function perform([address, key]) {
  const { WhipClient } = await import('/web/lib/whip.js');
  const { PRESETS } = await import('/web/lib/media.js');
  const context = Object.assign(document.createElement('canvas'), { width: 320, height: 180 }).getContext('2d');
  setInterval(() => {
    context.fillStyle = `hsl(${Date.now() % 360} 80% 50%)`;
    context.fillRect(0, 0, 320, 180);
  }, 40);
  const client = new WhipClient(address, { key, preset: PRESETS[0] });
  window.states = [];
  client.addEventListener('state', ({ detail }) => window.states.push({ state: detail.state, kind: detail.refusal?.kind ?? null }));
  await client.setTracks({ video: context.canvas.captureStream(25).getVideoTracks()[0], audio: null });
  client.start();
  window.client = client;
}

async function reached(page, what, holds, timeoutMs = 15_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const states = await page.evaluate(() => window.states);
    if (holds(states)) return states;
    if (Date.now() > deadline) throw new Error(`not ${what}: ${JSON.stringify(states)}`);
    await sleep(50);
  }
}

const last = (states) => states.at(-1) ?? {};

test('of two pages with one key the later one has the stage and the earlier one stops', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t, locked);
  const [first, second] = [await openPage(t, `${server.url}/stage`), await openPage(t, `${server.url}/stage`)];
  await first.evaluate(perform, [server.whip('stage'), KEY]);
  await reached(first, 'live', (states) => last(states).state === 'live');
  await server.track('stage', 'video');
  await second.evaluate(perform, [server.whip('stage'), KEY]);
  const stopped = await reached(first, 'replaced', (states) => last(states).state === 'failed');
  assert.equal(last(stopped).kind, 'replaced', JSON.stringify(stopped));
  // Longer than any page waits before it tries again for the first times.
  await sleep(4000);
  const states = await second.evaluate(() => window.states);
  assert.equal(last(states).state, 'live', JSON.stringify(states));
  assert.equal(states.filter(({ state }) => state === 'live').length, 1, JSON.stringify(states));
  assert.equal(last(await first.evaluate(() => window.states)).state, 'failed');
});

test('an offer with the right key that never connects changes nothing for who watches', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t, locked);
  const performer = await openLab(t);
  const viewer = await openLab(t);
  const sent = await performer.whip(server.whip('stage'), { token: KEY, codec: 'VP8' });
  await server.track('stage', 'video');
  const id = await viewer.whep(server.whep('stage'), {});
  const before = await viewer.until(id, 'showing', (seen) => seen.frames.length >= 30);
  // A peer connection that is gone when its answer comes.
  const status = await performer.page.evaluate(async ([url, key]) => {
    const pc = new RTCPeerConnection();
    pc.addTransceiver('video', { direction: 'sendonly' });
    await pc.setLocalDescription();
    const { sdp } = pc.localDescription;
    pc.close();
    const response = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${key}` }, body: sdp });
    return response.status;
  }, [server.whip('stage'), KEY]);
  assert.equal(status, 201);
  await sleep(3000);
  const seen = await viewer.seen(id);
  const frames = seen.frames.slice(before.frames.length);
  const gaps = frames.slice(1).map(({ at }, place) => at - frames[place].at);
  figure('a POST that never connects: longest time without a picture', `${Math.max(...gaps)} ms`);
  assert.ok(frames.length > 40, `${frames.length} pictures in 3 s`);
  assert.ok(Math.max(...gaps) < 1000, `${Math.max(...gaps)} ms without a picture`);
  assert.equal(await performer.close(sent), 200);
});
