// The chat of the event page, each message when the viewer sees its moment: at once over WebRTC, later over HLS, again after going back.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPage } from '../lib/browser.mjs';
import { openBus } from '../lib/bus.mjs';
import { figure } from '../lib/figures.mjs';
import { get, media, multivariant, parseMedia } from '../lib/hls.mjs';
import { outputDir } from '../lib/paths.mjs';
import { startServer } from '../lib/server.mjs';

const SECRET = 'only-for-this-test-and-long-enough-to-be-one';
const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
/** A message is shown in the first tick after its moment, and a busy machine's ticks are late. */
const LATE_MAX_MS = 3000;
/** What is on the screen is as old as this at most when the page is asked for it. */
const EARLY_MAX_MS = 300;
/** How far the arrow keys go on the page. */
const SKIP_MS = 10_000;

/** An event page whose chat is open, that plays in this way, and remembers when which message appeared and where the picture was. */
async function openChat(t, server, { way, name, hash = '', ...options }) {
  const init = `localStorage.setItem('proscenium.way', '${way}'); localStorage.setItem('proscenium.name', '${name}'); sessionStorage.setItem('proscenium.chat', 'yes');`;
  const page = await openPage(t, `${server.url}/demo${hash}`, { init, ...options });
  await page.evaluate(async () => {
    const { viewer } = await import('/web/pages/early.js');
    window.moment = () => viewer.playback?.moment ?? null;
    window.way = () => viewer.snapshot().way;
    window.shown = [];
    let before = null;
    setInterval(() => { before = window.moment() ?? before; }, 50);
    const look = () => {
      const texts = [...document.querySelectorAll('.chat-text')].map((element) => element.textContent);
      for (const one of window.shown) one.gone ||= !texts.includes(one.text);
      for (const text of texts) {
        if (!window.shown.some((one) => one.text === text && !one.gone)) window.shown.push({ text, at: Date.now(), moment: window.moment(), before, gone: false });
      }
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
    look();
  });
  await page.getByPlaceholder('Say something').waitFor({ timeout: 10_000 });
  return page;
}

async function until(page, what, probe, argument, timeoutMs = 15_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await page.evaluate(probe, argument);
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not ${what} within ${timeoutMs} ms: ${JSON.stringify(await page.evaluate(() => [window.shown, window.moment(), window.way()]))}\n${page.messages.join('\n')}`);
    await sleep(50);
  }
}

/** The last time at which `text` appeared on a page. */
const shown = (page, text) => until(page, `shown: ${text}`, (wanted) => window.shown.findLast((one) => one.text === wanted && !one.gone), text);
const gone = (page, text, timeoutMs) => until(page, `gone: ${text}`, (wanted) => window.shown.some((one) => one.text === wanted && one.gone), text, timeoutMs);

async function say(page, text) {
  await page.getByPlaceholder('Say something').fill(text);
  await page.keyboard.press('Enter');
}

/** Sets a page's picture back by one press of a key, as far as there is something to go back to. */
async function back(page) {
  const before = await page.evaluate(() => {
    document.activeElement?.blur();
    return window.moment();
  });
  await page.keyboard.press('ArrowLeft');
  await until(page, 'set back', (then) => window.moment() !== null && window.moment() < then, before - SKIP_MS / 2);
}

/** A player that is behind jumps: what counts is that the message was not missing while the picture was past its moment. */
function checkTiming(what, { moment, before }, { media: { time_ms } }) {
  figure(`bus: a message on a page with HLS, ${what}`, `shown ${Math.round(moment - time_ms)} ms after the picture had its moment`);
  assert.ok(moment >= time_ms - EARLY_MAX_MS, `shown ${time_ms - moment} ms before its moment`);
  assert.ok((before ?? moment) <= time_ms + LATE_MAX_MS, `shown ${moment - time_ms} ms after its moment; the picture was ${before - time_ms} ms after it without the message`);
}

test('a chat is in time with the picture: at once over WebRTC, later over HLS, again in a replay', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t, { command: 'demo', env: { PROSCENIUM_SECRET: SECRET } });
  const { since } = await server.live('demo');
  const bus = server.url.replace(/^http/, 'ws');
  const [old, wire] = [await openBus(t, `${bus}/`), await openBus(t, `${bus}/ws/demo`)];
  // A page that opens before there is HLS begins with WebRTC, whatever was chosen.
  await multivariant(server.hls('demo'));
  const [live, late] = await Promise.all([openChat(t, server, { way: 'webrtc', name: 'Ada' }), openChat(t, server, { way: 'hls', name: 'Ben' })]);
  await until(late, 'playing by HLS', () => window.way() === 'hls' && window.moment() !== null, undefined, 30_000);

  // Whoever goes back later must have something to go back to.
  await sleep(Math.max(0, Date.parse(since) + SKIP_MS + 4000 - Date.now()));
  await say(live, 'bravo');
  const { message: frame } = await wire.until('bravo with its moment', ({ message }) => message?.message?.value === 'bravo');
  const { message: relayed } = await old.until('bravo on the old wire', ({ message }) => message?.value === 'bravo');
  assert.deepEqual(relayed, frame.message, 'nothing is added for old clients');
  const [atOnce, inTime] = [await shown(live, 'bravo'), await shown(late, 'bravo')];
  figure('bus: a message of one page on a page with HLS', `${inTime.at - atOnce.at} ms later than on one with WebRTC`);
  assert.ok(atOnce.at - frame.seq / 1000 < LATE_MAX_MS, `shown ${atOnce.at - frame.seq / 1000} ms after it came`);
  checkTiming('live', inTime, frame);

  // One's own is there at once, however far behind the picture is.
  await say(late, 'from Ben');
  const { message: own } = await wire.until('from Ben', ({ message }) => message?.message?.value === 'from Ben');
  const early = await shown(late, 'from Ben');
  assert.ok(early.moment < own.media.time_ms, 'it waited for the picture');

  wire.say(JSON.stringify({ id: 'cuecuecuecuecuec', type: 'CUE', userId: 'desk', userName: 'Desk', value: { light: 'blue, "soft"' } }));
  const { message: cue } = await wire.until('the cue', ({ message }) => message?.message?.type === 'CUE');
  await checkCue(server, live, cue);

  // Whoever goes back sees the chat as it was, and the message again at its moment. Another page knows it only from the history.
  const replay = await openChat(t, server, { way: 'hls', name: 'Cleo', ...PHONE });
  await Promise.all([shown(replay, 'bravo'), until(replay, 'playing', () => window.moment() !== null, undefined, 20_000)]);
  await replay.screenshot({ path: join(outputDir('screenshots'), 'chat-phone.png') });
  await live.screenshot({ path: join(outputDir('screenshots'), 'chat-desktop.png') });
  while (await replay.evaluate((time) => window.moment() > time - 1000, frame.media.time_ms)) await back(replay);
  await gone(replay, 'bravo');
  checkTiming('in a replay', await shown(replay, 'bravo'), frame);

  await checkDeletion(server, frame, [live, late]);
});

/** The cue is in every playlist, and hls.js sees it. */
async function checkCue(server, page, { seq, media: { time_ms } }) {
  const both = await Promise.all(['', '?audio=opus'].map((query) => multivariant(`${server.hls('demo')}${query}`)));
  const urls = [...new Set(both.flatMap(({ variants, audio }) => [...variants, ...audio]).map(({ url }) => url))];
  assert.ok(urls.length >= 3, urls.join(' '));
  const isThere = (playlist) => playlist.dateRanges.some(({ ID }) => ID === String(seq));
  for (const url of urls) {
    const { dateRanges } = await media(url, isThere, 5000);
    const range = dateRanges.find(({ ID }) => ID === String(seq));
    assert.deepEqual([range.CLASS, Date.parse(range['START-DATE']), range.DURATION], ['proscenium.cue', time_ms, '0']);
    assert.deepEqual(JSON.parse(decodeURIComponent(range['X-PROSCENIUM-VALUE'])), { light: 'blue, "soft"' });
    assert.ok(isThere(parseMedia(await get(`${url}?dvr`))), `${url}?dvr does not have it`);
  }
  const seen = await page.evaluate(async ([url, id]) => {
    const { default: Hls } = await import('/web/vendor/hls.min.mjs');
    const hls = new Hls({ lowLatencyMode: true, enableWorker: false });
    const found = new Promise((resolve) => {
      hls.on(Hls.Events.LEVEL_UPDATED, (_, { details }) => {
        const range = details.dateRanges[id];
        if (range) resolve({ kind: range.class, at: range.startDate.getTime(), duration: range.duration });
      });
    });
    hls.loadSource(url);
    hls.attachMedia(document.createElement('video'));
    const result = await Promise.race([found, new Promise((resolve) => { setTimeout(resolve, 10_000, 'nothing'); })]);
    hls.destroy();
    return result;
  }, [server.hls('demo'), String(seq)]);
  assert.deepEqual(seen, { kind: 'proscenium.cue', at: time_ms, duration: 0 });
}

/** What a moderator deletes leaves every page. */
async function checkDeletion(server, { seq }, pages) {
  const headers = { Authorization: `Bearer ${SECRET}`, 'Content-Type': 'application/json' };
  const asked = await fetch(`${server.url}/api/token`, { method: 'POST', headers, body: JSON.stringify({ space: 'demo', role: 'moderator', expires_in: 600 }) });
  const { token } = await asked.json();
  const response = await fetch(`${server.url}/api/spaces/demo/messages/${seq}`, { method: 'DELETE', headers: { Authorization: `Bearer ${token}` } });
  assert.equal(response.status, 204);
  for (const page of pages) await gone(page, 'bravo');
}
