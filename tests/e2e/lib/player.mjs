// A page that plays HLS, in whichever browser.
import { setTimeout as sleep } from 'node:timers/promises';
import { labUrl, openPage } from './browser.mjs';
import { openFirefox } from './firefox.mjs';
import { openWebkit } from './webkit.mjs';

const BROWSERS = { Chromium: openPage, Firefox: openFirefox, WebKitGTK: openWebkit };

/** A player in a fresh page of `browser`. */
export async function openPlayer(t, browser = 'Chromium') {
  const page = await BROWSERS[browser](t, `${await labUrl()}player.html`);
  const deadline = Date.now() + 15_000;
  while (!(await page.evaluate(() => Boolean(window.player)))) {
    if (Date.now() > deadline) throw new Error(`the player's page does not load in ${browser}: ${page.messages.join('\n')}`);
    await sleep(50);
  }
  return new Player(page);
}

class Player {
  constructor(page) { this.page = page; }

  play(url, options) { return this.page.evaluate(([u, o]) => window.player.play(u, o), [url, options ?? {}]); }
  seen(from) { return this.page.evaluate((f) => window.player.seen(f), from ?? 0); }
  level(number) { return this.page.evaluate((n) => window.player.level(n), number); }
  /** Of shaka-player: shows keyframes at this rate, or plays again without one. */
  trick(rate) { return this.page.evaluate((r) => window.player.trick(r), rate ?? null); }
  /** Of hls.js: the keyframe at a time, in a picture of its own. */
  peek(seconds) { return this.page.evaluate((s) => window.player.peek(s), seconds); }
  seek(seconds) { return this.page.evaluate((s) => window.player.seek(s), seconds); }

  /** Waits until `enough(what was seen)` holds and returns that. */
  async until(what, enough, timeoutMs = 20_000) {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const seen = await this.seen();
      if (enough(seen)) return seen;
      if (Date.now() > deadline) throw new Error(`not ${what} within ${timeoutMs} ms: ${describe(seen)}\n${this.page.messages.slice(-10).join('\n')}`);
      await sleep(100);
    }
  }
}

/** What a player saw, in a line. */
export function describe(seen) {
  const errors = seen.errors.slice(-6).map((e) => `${e.type} ${e.details}${e.fatal ? ' FATAL' : ''} ${e.reason ?? ''}`);
  return `${seen.count} frames, at ${seen.position?.toFixed(2)} s, buffered ${JSON.stringify(seen.buffered)}, paused ${seen.paused}, latency ${seen.latency?.toFixed?.(2)}, `
    + `energy ${seen.energy.toFixed(4)} (${seen.sound}), stalls ${seen.stalls}, errors: ${errors.join('; ') || 'none'}`;
}

export const fatal = (seen) => seen.errors.filter((error) => error.fatal);

/** The longest time between two different pictures from `from` to `to`, in ms. */
export function longestFreeze(frames, from = 0, to = Infinity) {
  const shown = frames.filter((frame, i) => frame.at >= from && frame.at <= to && (i === 0 || frame.hash !== frames[i - 1].hash));
  return Math.max(0, ...shown.slice(1).map((frame, i) => frame.at - shown[i].at));
}
