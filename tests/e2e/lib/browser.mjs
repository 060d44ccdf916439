// Chromium, one for all tests of a run, and the page that turns it into a WHIP or WHEP client.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium as playwright } from 'playwright-core';
import { bundle } from './bundle.mjs';
import { chromium, e2eDir } from './paths.mjs';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', '--mute-audio',
  '--autoplay-policy=no-user-gesture-required', '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding', '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks',
];
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', mjs: 'text/javascript; charset=utf-8' };
/** Libraries of others, under the names by which the test pages know them. */
const LIBRARIES = {
  'hls.mjs': 'hls.js/dist/hls.mjs', 'shaka.js': 'shaka-player/dist/shaka-player.compiled.js', 'video.js': 'video.js/dist/video.min.js',
  'reconnecting-websocket.mjs': 'reconnecting-websocket/dist/reconnecting-websocket-mjs.js',
};
/** Libraries of others that are no modules of a browser's by themselves: what a page takes of them, and where it is. */
const BUNDLES = {
  'foreign-clients.mjs': `
    export { WHIPClient as EyevinnPublisher } from '@eyevinn/whip-web-client';
    export { WebRTCPlayer as EyevinnPlayer } from '@eyevinn/webrtc-player';
    export { WHIPClient as MedoozePublisher } from 'whip-whep/whip.js';
    export { WHEPClient as MedoozeViewer } from 'whip-whep/whep.js';`,
};
const pageFile = (name) => (LIBRARIES[name] ? join(e2eDir, 'node_modules', LIBRARIES[name]) : join(e2eDir, 'page', name));
const IDLE_MS_MAX = 20_000;
let shared, idle;
let pages = 0;

/**
 * Another Chromium, or one that `executablePath` starts somewhere else. It is closed after test `t`, which may end while it is opening:
 * Node calls no hook that is named after that.
 */
export async function launch(t, executablePath) {
  refuseAfterEnd(t);
  const opening = start(executablePath);
  t.after(async () => { await (await opening.catch(() => null))?.close(); });
  return opening;
}

const start = async (executablePath = chromium()) => playwright.launch({ executablePath, headless: true, args: FLAGS });

/** Who begins something when its case has ended would leave it behind. */
function refuseAfterEnd(t) {
  if (t.signal.aborted) throw new Error('the case has ended meanwhile');
}

async function open() {
  const browser = await start();
  const files = createServer(async (request, response) => {
    const name = new URL(request.url, 'http://localhost').pathname.slice(1) || 'index.html';
    const body = BUNDLES[name] ? bundle(BUNDLES[name]) : await readFile(pageFile(name)).catch(() => null);
    response.writeHead(body ? 200 : 404, { 'Content-Type': TYPES[name.split('.').at(-1)] ?? 'text/plain' }).end(body ?? 'not found');
  });
  await new Promise((resolve) => files.listen(0, '127.0.0.1', resolve));
  return { browser, files, url: `http://localhost:${files.address().port}/` };
}

/** The one Chromium, opened if it is not yet. One that cannot be opened is tried again by the next case. */
async function sharedBrowser() {
  const opening = (shared ??= open());
  try {
    return await opening;
  } catch (error) {
    if (shared === opening) shared = undefined;
    throw error;
  }
}

/** Ends Chromium, if it was started. */
export async function closeBrowser() {
  if (!shared) return;
  const was = shared;
  shared = undefined;
  const opened = await was.catch(() => null);
  await opened?.browser.close();
  opened?.files.close();
}

/** Nobody may be there to end it: where cases are left out Node runs its last hook before the first case. */
function closeWhenIdle() {
  clearTimeout(idle);
  if (pages === 0) idle = setTimeout(closeBrowser, IDLE_MS_MAX).unref();
}

/** The address of the test page, for browsers other than Chromium. */
export async function labUrl() {
  const { url } = await sharedBrowser();
  // The case may have ended meanwhile, and no page may come.
  closeWhenIdle();
  return url;
}

/** A fresh page in a context of its own, closed after test `t`. Its console is printed when the test fails by an error of the page. */
export async function openPage(t, url, { init, browser, ...options } = {}) {
  refuseAfterEnd(t);
  // Cases without a browser may have been between the last page and this one.
  clearTimeout(idle);
  pages += 1;
  const opening = (async () => {
    const chosen = browser ?? (await sharedBrowser()).browser;
    return chosen.newContext({ permissions: ['camera', 'microphone'], ...options });
  })();
  // Before it is waited for: the case may end while its page is opening.
  t.after(async () => {
    await (await opening.catch(() => null))?.close();
    pages -= 1;
    closeWhenIdle();
  });
  const context = await opening;
  if (init) await context.addInitScript(init);
  const page = await context.newPage();
  page.messages = [];
  page.on('console', (message) => page.messages.push(message.text()));
  page.on('pageerror', (error) => page.messages.push(String(error)));
  await page.goto(url);
  return page;
}

/** A page that acts as WHIP and WHEP clients. */
export async function openLab(t) {
  const page = await openPage(t, await labUrl());
  await page.waitForFunction(() => window.lab);
  return new Lab(page);
}

/** A page that acts as page clients of others do, beside what `openLab` gives. */
export async function openForeign(t) {
  const page = await openPage(t, `${await labUrl()}foreign.html`);
  await page.waitForFunction(() => window.lab?.foreign);
  return new Foreign(page);
}

class Lab {
  constructor(page) { this.page = page; }

  whip(url, options) { return this.page.evaluate(([u, o]) => window.lab.whip(u, o), [url, options ?? {}]); }
  whep(url, options) { return this.page.evaluate(([u, o]) => window.lab.whep(u, o), [url, options ?? {}]); }
  seen(id) { return this.page.evaluate((i) => window.lab.seen(i), id); }
  choose(id, layer) { return this.page.evaluate(([i, l]) => window.lab.choose(i, l), [id, layer]); }
  close(id) { return this.page.evaluate((i) => window.lab.close(i), id); }

  /** Waits until `enough(what the session saw)` holds and returns that. */
  async until(id, what, enough, timeoutMs = 15_000) {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const seen = await this.seen(id);
      if (enough(seen)) return seen;
      if (Date.now() > deadline) throw new Error(`not ${what} within ${timeoutMs} ms: ${describe(seen)}\n${this.page.messages.join('\n')}`);
      await sleep(100);
    }
  }
}

class Foreign extends Lab {
  publish(by, url, options) { return this.page.evaluate(([b, u, o]) => window.lab.foreign.publish(b, u, o), [by, url, options ?? {}]); }
  view(by, url) { return this.page.evaluate(([b, u]) => window.lab.foreign.view(b, u), [by, url]); }
  heard(id) { return this.page.evaluate((i) => window.lab.foreign.heard(i), id); }
  restart(id) { return this.page.evaluate((i) => window.lab.foreign.restart(i), id); }
  stop(id) { return this.page.evaluate((i) => window.lab.foreign.stop(i), id); }
  errors(id) { return this.page.evaluate((i) => window.lab.foreign.errors(i), id); }
  /** What went over the wire, and which promises of the client's broke. */
  wire() { return this.page.evaluate(() => window.lab.foreign.wire()); }
}

/** What a session saw, in a line. */
export function describe(seen) {
  const streams = seen.streams.map((s) => `${s.type} ${s.codec} packets=${s.packetsReceived ?? s.packetsSent} frames=${s.framesDecoded ?? s.framesEncoded ?? '-'}`);
  const frames = seen.frames ?? [];
  return `${frames.length} frames, ${distinct(frames)} distinct, state ${seen.state}, ${streams.join('; ')}`;
}

/** How many different pictures are among `frames`. */
export const distinct = (frames) => new Set(frames.map((frame) => frame.hash)).size;
export const inbound = (seen, kind) => seen.streams.find((s) => s.type === 'inbound-rtp' && s.kind === kind);
