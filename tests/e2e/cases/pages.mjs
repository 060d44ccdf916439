// The pages, as people open them.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLab, openPage } from '../lib/browser.mjs';
import { figure, median } from '../lib/figures.mjs';
import { movesAt, observed, observer } from '../lib/observer.mjs';
import { outputDir } from '../lib/paths.mjs';
import { startServer } from '../lib/server.mjs';

const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const screenshot = (page, name) => page.screenshot({ path: join(outputDir('screenshots'), `${name}.png`) });

async function until(page, what, holds, timeoutMs = 15_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const seen = await observed(page);
    if (holds(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`not ${what} within ${timeoutMs} ms: ${seen.frames.length} frames, energy ${seen.energy}\n${page.messages.join('\n')}`);
    await sleep(50);
  }
}

test('the demo shows a moving picture and gives sound at once', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t, { command: 'demo' });
  await server.live('demo');
  const [pictures, sounds] = [[], []];
  for (let round = 0; round < 3; round++) {
    const page = await openPage(t, `${server.url}/demo`, { init: observer });
    const unmute = page.getByRole('button', { name: 'Turn on sound' }).first();
    const heard = unmute.click({ timeout: 5000 }).catch(() => {}).then(() => until(page, 'audible', (s) => s.energy > 1e-5));
    const seen = await until(page, 'moving', (s) => movesAt(s) < Infinity);
    pictures.push(Math.round(movesAt(seen)));
    sounds.push(Math.round((await heard).now));
    if (round === 0) {
      await sleep(1500);
      await screenshot(page, 'demo-desktop');
      assert.deepEqual(page.messages.filter((text) => /error|refused|violat/i.test(text)), []);
    }
    await page.context().close();
  }
  figure('demo page: from opening to a moving picture', `${pictures.join(' ')} ms (bar 2000 ms)`);
  figure('demo page: from opening to sound, after pressing "Turn on sound"', `${sounds.join(' ')} ms (bar 2000 ms)`);
  const phone = await openPage(t, `${server.url}/demo`, { init: observer, ...PHONE });
  await until(phone, 'moving', (s) => movesAt(s) < Infinity);
  await sleep(1500);
  await screenshot(phone, 'demo-phone');
  const overflow = await phone.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} px wider than a phone`);
  assert.ok(median(pictures) < 6000, `${median(pictures)} ms to a moving picture`);
  assert.ok(median(sounds) < 6000, `${median(sounds)} ms to sound`);
});

test('who goes live on the perform page appears on an event page that was opened before', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const audience = await openPage(t, `${server.url}/stage`, { init: observer, ...PHONE });
  await audience.getByText(/not live yet/i).first().waitFor({ timeout: 10_000 });
  await screenshot(audience, 'waiting-phone');
  const performer = await openPage(t, `${server.url}/stage/perform`, { viewport: { width: 1280, height: 800 } });
  const goLive = performer.getByRole('button', { name: 'Go live' });
  const allow = performer.locator('button.secondary').first();
  // With the permissions granted beforehand the page may open the devices by itself.
  await allow.click({ timeout: 3000 }).catch(() => {});
  await goLive.click({ timeout: 15_000 });
  const wentLive = await observed(audience);
  await performer.getByText('You are live').waitFor({ timeout: 15_000 });
  const seen = await until(audience, 'moving', (s) => movesAt(s) < Infinity);
  figure('pages: from pressing "Go live" to a moving picture on a waiting event page', `${Math.round(movesAt(seen) - wentLive.now)} ms`);
  await sleep(4000);
  await screenshot(performer, 'perform-desktop');
  await screenshot(audience, 'event-phone');
  const small = await openPage(t, `${server.url}/stage/perform`, PHONE);
  await sleep(1500);
  await screenshot(small, 'perform-phone');
  const overflow = await small.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `the perform page is ${overflow} px wider than a phone`);
  await small.context().close();

  await performer.getByRole('button', { name: 'Stop' }).click();
  const deadline = Date.now() + 10_000;
  while ((await server.space('stage')).streams.some((stream) => stream.live)) {
    assert.ok(Date.now() < deadline, 'the stream is still live 10 s after Stop');
    await sleep(100);
  }
});

test('an event page with two cameras lets the audience choose', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const performer = await openLab(t);
  await performer.whip(server.whip('stage'), { codec: 'H264' });
  await performer.whip(server.whip('stage/camera-2'), { codec: 'H264', picture: { width: 360, height: 360 } });
  await server.live('stage');
  await server.live('stage', 'camera-2');
  const page = await openPage(t, `${server.url}/stage`, { init: observer, ...PHONE });
  await until(page, 'moving', (s) => movesAt(s) < Infinity);
  const buttons = page.getByRole('group', { name: 'Cameras' }).getByRole('button');
  assert.equal(await buttons.count(), 2);
  await screenshot(page, 'cameras-phone');
  // By their shapes: a busy browser sends fewer pixels, but never another shape.
  const shapes = () => page.evaluate(() => [...document.querySelectorAll('video')].filter((v) => v.readyState > 1 && !v.ended && v.srcObject?.active).map((v) => (v.videoWidth > v.videoHeight ? 'wide' : 'square')));
  assert.deepEqual(new Set(await shapes()), new Set(['wide']));
  await buttons.nth(1).click();
  const pressed = Date.now();
  while (!(await shapes()).includes('square')) {
    assert.ok(Date.now() - pressed < 10_000, `the second camera is not shown; shapes ${await shapes()}`);
    await sleep(20);
  }
  figure('pages: from pressing a camera button to its picture', `${Date.now() - pressed} ms`);
  assert.equal(await buttons.nth(1).getAttribute('aria-pressed'), 'true');
});

test('who chose to watch a little behind does so from the first segment on', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t);
  const page = await openPage(t, `${server.url}/stage`, { init: "localStorage.setItem('proscenium.way', 'hls');" });
  await page.getByText(/not live yet/i).first().waitFor({ timeout: 10_000 });
  const lab = await openLab(t);
  await lab.whip(server.whip('stage'));
  await page.locator('[data-way="hls"][data-state="live"]').waitFor({ state: 'attached', timeout: 20_000 });
});
