// People meet on the page: from the lobby into the room, seen, muted, pinned, gone.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPage } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { outputDir } from '../lib/paths.mjs';
import { startServer } from '../lib/server.mjs';

const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const SECRET = 'only-for-this-test-0123456789abcdef';
const screenshot = (page, name) => page.screenshot({ path: join(outputDir('screenshots'), `meet-real-${name}.png`) });

/** Waits until `holds` does; the page's messages are in the error. */
async function until(page, what, holds, timeoutMs = 15_000) {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) {
      await screenshot(page, 'failed');
      throw new Error(`not ${what} within ${timeoutMs} ms\n${page.messages.join('\n')}`);
    }
    await sleep(50);
  }
}

/** Through the lobby into the room. */
async function enter(t, url, name, options = DESKTOP) {
  const page = await openPage(t, url, options);
  await page.getByLabel('Your name').fill(name);
  // With the permissions granted beforehand the page opens the devices by itself.
  if (!options.audience) await until(page, 'seeing oneself in the lobby', () => page.evaluate(() => document.querySelector('.preview video')?.videoWidth > 0));
  await page.getByRole('button', { name: 'Join', exact: true }).click();
  await page.locator('.room').waitFor({ timeout: 15_000 });
  return page;
}

const tileOf = (page, name) => page.locator(`.tile[data-name="${name}"]:not(.screen)`);

/** How many frames of somebody's picture have been shown. */
const framesOf = (page, name) => page.evaluate((whose) => {
  const video = document.querySelector(`.tile[data-name="${whose}"]:not(.screen) video.seen`);
  return video?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
}, name);

async function untilMoving(page, name, timeoutMs) {
  const began = await framesOf(page, name);
  await until(page, `seeing ${name} move`, async () => (await framesOf(page, name)) > began + 5, timeoutMs);
}

async function tokenFor(server, role, space = 'stage') {
  const response = await fetch(`${server.url}/api/token`, {
    method: 'POST', headers: { Authorization: `Bearer ${SECRET}`, 'Content-Type': 'application/json' }, body: JSON.stringify({ space, role }),
  });
  assert.ok(response.ok, `a token for a ${role}: ${response.status} ${await response.clone().text()}`);
  return (await response.json()).token;
}

test('two people meet on the page: both pictures move, muting shows, a picture is pinned, and who leaves is gone', { timeout: 120_000 }, async (t) => {
  const server = await startServer(t);
  const ada = await enter(t, `${server.url}/stage/meet`, 'Ada');
  // With the headers of every answer, as a browser with an empty cache pays for it.
  const transfer = await ada.evaluate(() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].reduce((sum, entry) => sum + entry.transferSize, 0));
  figure('meet page: cold load', `${Math.round(transfer / 1000)} kB`);
  assert.ok(transfer > 50_000 && transfer < 200_000, `${transfer} bytes`);
  const began = Date.now();
  const bert = await enter(t, `${server.url}/stage/meet`, 'Bert', PHONE);
  await Promise.all([untilMoving(ada, 'Bert'), untilMoving(bert, 'Ada'), untilMoving(ada, 'Ada')]);
  figure('meet page: from opening the lobby to both pictures moving', `${Date.now() - began} ms`);
  await screenshot(ada, 'two-desktop');
  await screenshot(bert, 'two-phone');
  for (const page of [ada, bert]) {
    const overflow = await page.evaluate(() => [document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]);
    assert.ok(overflow.every((pixels) => pixels <= 0), `the page is larger than the screen by ${overflow} px`);
  }

  await ada.keyboard.press('m');
  await until(bert, 'seeing that Ada is muted', async () => /microphone off/.test(await tileOf(bert, 'Ada').textContent()));
  await ada.keyboard.press('m');
  await until(bert, 'seeing that Ada speaks again', async () => !/microphone off/.test(await tileOf(bert, 'Ada').textContent()));
  await bert.getByRole('button', { name: 'Turn the camera off' }).click();
  await until(ada, 'seeing that Bert is dark', async () => /camera off/.test(await tileOf(ada, 'Bert').textContent()));
  await bert.getByRole('button', { name: 'Turn the camera on' }).click();
  await untilMoving(ada, 'Bert');

  await tileOf(ada, 'Bert').dblclick();
  await until(ada, 'showing Bert large', async () => (await tileOf(ada, 'Bert').boundingBox()).width > 800);
  await tileOf(ada, 'Bert').dblclick();
  await until(ada, 'showing both alike', async () => (await tileOf(ada, 'Bert').boundingBox()).width < 800);

  await bert.getByRole('button', { name: 'Raise your hand' }).click();
  await until(ada, 'seeing the hand', async () => /hand raised/.test(await tileOf(ada, 'Bert').textContent()));
  await bert.getByRole('button', { name: 'Leave the room' }).click();
  await bert.getByText('You left the room').waitFor({ timeout: 5000 });
  await tileOf(ada, 'Bert').waitFor({ state: 'detached', timeout: 10_000 });
  assert.deepEqual([...ada.messages, ...bert.messages].filter((message) => /refused to|violat|TypeError|ReferenceError/i.test(message)), []);
});

test('a page that is loaded anew is back in the room without a second self', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const ada = await enter(t, `${server.url}/stage/meet`, 'Ada');
  const bert = await enter(t, `${server.url}/stage/meet`, 'Bert');
  await untilMoving(ada, 'Bert');
  await bert.reload();
  await bert.locator('.room').waitFor({ timeout: 15_000 });
  await Promise.all([untilMoving(ada, 'Bert'), untilMoving(bert, 'Ada')]);
  assert.equal(await tileOf(ada, 'Bert').count(), 1);
});

test('a moderator calls somebody from the audience on stage, mutes and removes them', { timeout: 120_000 }, async (t) => {
  const server = await startServer(t, { env: { PROSCENIUM_SECRET: SECRET } });
  const moderator = await enter(t, `${server.url}/stage/meet#token=${await tokenFor(server, 'moderator')}`, 'Mona');
  assert.ok(!moderator.url().includes('token'), 'the invitation leaves the address');
  const guest = await enter(t, `${server.url}/stage/meet#token=${await tokenFor(server, 'viewer')}`, 'Gil', { ...PHONE, audience: true });
  await untilMoving(guest, 'Mona');
  assert.equal(await tileOf(guest, 'Gil').count(), 0, 'the audience is not on stage');
  await screenshot(guest, 'audience-phone');

  await guest.getByRole('button', { name: 'Raise your hand' }).click();
  await moderator.getByText('Gil raised a hand').waitFor({ timeout: 5000 });
  await moderator.getByRole('button', { name: 'Call on stage' }).first().click();
  await guest.getByRole('heading', { name: 'You were invited on stage' }).waitFor({ timeout: 5000 });
  await screenshot(guest, 'invited-phone');
  await guest.getByRole('button', { name: 'Camera and microphone' }).click();
  await untilMoving(moderator, 'Gil');
  await screenshot(moderator, 'stage-desktop');

  const act = async (label) => {
    await tileOf(moderator, 'Gil').hover();
    await moderator.getByRole('button', { name: 'Actions for Gil' }).click();
    await moderator.getByRole('button', { name: label, exact: true }).click();
  };
  await act('Mute');
  await guest.getByText('turned your microphone off').waitFor({ timeout: 5000 });
  await until(moderator, 'seeing that Gil is muted', async () => /microphone off/.test(await tileOf(moderator, 'Gil').textContent()));
  await act('Send to the audience');
  await tileOf(moderator, 'Gil').waitFor({ state: 'detached', timeout: 5000 });
  await guest.getByText('You are in the audience now').waitFor({ timeout: 5000 });

  await moderator.getByRole('button', { name: /^People/ }).click();
  await moderator.getByRole('button', { name: 'Actions for Gil' }).click();
  await moderator.getByRole('button', { name: 'Remove from the room' }).click();
  await moderator.getByRole('button', { name: 'Remove', exact: true }).click();
  await guest.getByText('You were removed from the room').waitFor({ timeout: 5000 });

  await moderator.getByRole('button', { name: /^More/ }).click();
  await moderator.getByRole('button', { name: /Lock the room/ }).click();
  await moderator.getByText('Locked', { exact: true }).waitFor({ timeout: 5000 });
  const late = await openPage(t, `${server.url}/stage/meet`, DESKTOP);
  await late.getByLabel('Your name').fill('Lars');
  await late.getByRole('button', { name: 'Join', exact: true }).click();
  await late.getByText('The room is locked').waitFor({ timeout: 5000 });
  await screenshot(late, 'locked-desktop');
});

test('a shared screen is large at the others, with everybody beside it, until it is stopped', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  // Without a desktop there is no screen to choose: a drawn one stands for it.
  const screen = `navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
    const paint = canvas.getContext('2d');
    let turn = 0;
    setInterval(() => { paint.fillStyle = turn++ % 2 ? '#fff' : '#eee'; paint.fillRect(0, 0, 1280, 720); paint.fillStyle = '#222'; paint.font = '60px serif'; paint.fillText('Act two ' + turn, 80, 200); }, 100);
    return canvas.captureStream(10);
  };`;
  const ada = await enter(t, `${server.url}/stage/meet`, 'Ada', { ...DESKTOP, init: screen });
  const bert = await enter(t, `${server.url}/stage/meet`, 'Bert');
  await untilMoving(bert, 'Ada');
  await ada.keyboard.press('s');
  const shared = bert.locator('.tile.screen[data-name="Ada"]');
  await shared.waitFor({ timeout: 10_000 });
  await until(bert, 'seeing the screen', () => shared.locator('video.seen').evaluate((video) => video.videoWidth > 320).catch(() => false));
  assert.ok((await shared.boundingBox()).width > 800, 'the screen is large');
  assert.equal(await ada.locator('.tile.screen').count(), 0, 'one does not see one’s own screen');
  await untilMoving(bert, 'Ada');
  await screenshot(bert, 'screen-desktop');
  await ada.getByRole('button', { name: 'Stop', exact: true }).click();
  await shared.waitFor({ state: 'detached', timeout: 5000 });
});

test('a performer is shown on the event page from within the room', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t, { env: { PROSCENIUM_SECRET: SECRET } });
  const performer = await enter(t, `${server.url}/stage/meet#token=${await tokenFor(server, 'performer')}`, 'Pia');
  await performer.locator('.tile').hover();
  await performer.getByRole('button', { name: 'Actions for Pia' }).click();
  await performer.getByRole('button', { name: 'Show on the event page' }).click();
  await performer.getByRole('button', { name: 'Camera 1' }).click();
  await until(performer, 'seeing that it is shown', async () => /on the event page/.test(await tileOf(performer, 'Pia').textContent()));
  const audience = await openPage(t, `${server.url}/stage`, PHONE);
  await until(audience, 'seeing the performer move', () => audience.evaluate(() => [...document.querySelectorAll('video')].some((video) => video.getVideoPlaybackQuality().totalVideoFrames > 5)));
});

test('who came in with everything off turns it on later, and is seen', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const ada = await enter(t, `${server.url}/stage/meet`, 'Ada');
  const off = `localStorage.setItem('proscenium.meet', '{"cameraOn":false,"microphoneOn":false}');`;
  const bert = await enter(t, `${server.url}/stage/meet`, 'Bert', { ...PHONE, init: off, audience: true });
  await until(ada, 'seeing that Bert is silent and dark', async () => /microphone off, camera off/.test(await tileOf(ada, 'Bert').textContent()));
  await bert.getByRole('button', { name: 'Turn the microphone on' }).click();
  await until(ada, 'seeing that Bert has a microphone', async () => !/microphone off/.test(await tileOf(ada, 'Bert').textContent()));
  await bert.getByRole('button', { name: 'Turn the camera on' }).click();
  await untilMoving(ada, 'Bert');
});

test('one joins without any device, and is told why there is none', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t);
  const page = await openPage(t, `${server.url}/stage/meet`, { ...PHONE, permissions: ['microphone'], init: `navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('Permission denied', 'NotAllowedError'); };` });
  await page.getByRole('button', { name: 'Turn on camera and microphone' }).click();
  await page.getByRole('alert').filter({ hasText: 'camera' }).first().waitFor({ timeout: 5000 });
  await screenshot(page, 'denied-phone');
  await page.getByLabel('Your name').fill('Nora');
  await page.getByRole('button', { name: 'Join', exact: true }).click();
  await page.locator('.room').waitFor({ timeout: 15_000 });
  await tileOf(page, 'Nora').waitFor({ timeout: 5000 });
  await sleep(500);
  assert.deepEqual(await page.locator('.note').allTextContents(), [], 'nothing of it is refused by the venue');
});
