// WHEP's extensions with a page of another server, and what the event page makes of layers and of a venue that closes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { labUrl, openLab, openPage } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { observer } from '../lib/observer.mjs';
import { startServer } from '../lib/server.mjs';

const LAYERS = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
];
const WIDTHS = { q: 240, h: 480, f: 960 };

/** A performer with three layers, all of which come. */
async function perform(t, server) {
  const performer = await openLab(t);
  const sent = await performer.whip(server.whip('stage'), { codec: 'VP8', encodings: LAYERS, picture: { width: 960, height: 540 } });
  await server.live('stage');
  await performer.until(sent, 'sending three layers', (s) => s.streams.filter((r) => r.kind === 'video' && r.framesEncoded > 30).length === 3, 30_000);
}

async function until(page, what, read, enough, timeoutMs = 15_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const seen = await page.evaluate(read);
    if (enough(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`not ${what} within ${timeoutMs} ms: ${JSON.stringify(seen)}\n${page.messages.join('\n')}`);
    await sleep(50);
  }
}

test('a page made for Broadcast Box plays, lists the layers and changes them', { timeout: 120_000 }, async (t) => {
  const server = await startServer(t);
  await perform(t, server);
  const look = () => window.box.look();
  for (const isOld of [false, true]) {
    const page = await openPage(t, `${await labUrl()}box.html`);
    await page.evaluate(([url, old]) => window.box.watch(url, old), [server.whep('stage'), isOld]);
    await until(page, 'playing with three layers', look, (seen) => seen.frames > 10 && seen.layers.length === 3);
    const { layers, events } = await page.evaluate(look);
    assert.deepEqual([...layers].sort(), ['f', 'h', 'q']);
    assert.ok(events.some(({ name, data }) => name === 'active' && data === '{}'));
    assert.ok(events.some(({ name, data }) => name === 'viewercount' && JSON.parse(data).viewercount >= 1));
    for (const id of isOld ? ['q'] : ['q', 'f', 'h']) {
      assert.equal(await page.evaluate((name) => window.box.choose(name), id), 200);
      await until(page, `showing layer ${id}`, look, ({ width }) => width === WIDTHS[id], 10_000);
    }
    assert.equal(await page.evaluate(() => window.box.choose('hd')), 422);
    if (!isOld) continue;
    const askedAt = Date.now();
    const ended = server.process.stop();
    const seen = await until(page, 'told that the server stops', look, (s) => s.ended, 10_000);
    const told = seen.events.find(({ name }) => name === 'reconnect');
    assert.ok(told, JSON.stringify(seen.events));
    figure('a server that stops: until its viewers are told', `${told.at - askedAt} ms`);
    assert.ok(told.at - askedAt < 3000);
    await ended;
  }
});

test('the event page chooses a layer by the menu that it has for HLS', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  await perform(t, server);
  const page = await openPage(t, `${server.url}/stage`, { init: observer, viewport: { width: 1200, height: 800 } });
  const width = () => Math.max(0, ...[...document.querySelectorAll('video')].map((video) => video.videoWidth));
  await until(page, 'playing', width, (seen) => seen > 0);
  await page.mouse.move(600, 400);
  await page.getByRole('button', { name: 'Quality and keys' }).click();
  await page.getByText('Low', { exact: true }).click();
  await until(page, 'showing the smallest layer', width, (seen) => seen === WIDTHS.q, 10_000);
  await page.getByText('High', { exact: true }).click();
  await until(page, 'showing the largest layer', width, (seen) => seen === WIDTHS.f, 10_000);
  assert.equal(await page.evaluate(() => document.querySelector('[data-way]').dataset.way), 'webrtc');
});

test('a page whose browser hears no good-bye learns from the venue that it closes, and plays when it is back', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t, { command: 'demo' });
  await server.live('demo');
  // A Chromium to which the connection is alive whatever DTLS says.
  const deaf = () => {
    const listen = EventTarget.prototype.addEventListener;
    RTCDtlsTransport.prototype.addEventListener = function (name, ...rest) {
      if (name !== 'statechange') listen.call(this, name, ...rest);
    };
    Object.defineProperty(RTCPeerConnection.prototype, 'connectionState', { get() { return this.iceConnectionState === 'closed' ? 'closed' : this.iceConnectionState === 'new' ? 'new' : this.iceConnectionState === 'checking' ? 'connecting' : 'connected'; } });
  };
  const page = await openPage(t, `${server.url}/demo`, { init: deaf });
  const state = () => document.querySelector('[data-state]').dataset.state;
  await until(page, 'live', state, (seen) => seen === 'live');
  await sleep(1000);
  const askedAt = Date.now();
  const ended = server.process.stop();
  await until(page, 'not live any more', state, (seen) => seen !== 'live', 10_000);
  const noticed = Date.now() - askedAt;
  figure('a venue that closes: until its page knows', `${noticed} ms`);
  assert.ok(noticed < 3000, `${noticed} ms`);
  await ended;
  const again = await startServer(t, { command: 'demo', port: server.port });
  await again.live('demo');
  const backAt = Date.now();
  await until(page, 'live again', state, (seen) => seen === 'live', 20_000);
  figure('a venue that is back: until its page plays', `${Date.now() - backAt} ms`);

  // Without a good-bye the page hears nothing; that the venue does not know its session any more it hears when the venue is back.
  await again.process.kill();
  const third = await startServer(t, { command: 'demo', port: server.port });
  await third.live('demo');
  const thirdAt = Date.now();
  const shown = () => Math.max(0, ...[...document.querySelectorAll('video')].map((video) => video.getVideoPlaybackQuality().totalVideoFrames));
  const before = await page.evaluate(shown);
  const seen = await until(page, 'showing pictures again', shown, (frames) => frames > 0 && (frames < before || frames > before + 20), 20_000);
  figure('a venue that crashed and is back: until its page plays', `${Date.now() - thirdAt} ms, ${seen} pictures`);
});
