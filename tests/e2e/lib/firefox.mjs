// Firefox ESR, spoken to in WebDriver BiDi: no program stands between it and the tests.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import { labUrl } from './browser.mjs';
import { firefox } from './paths.mjs';
import { start } from './process.mjs';

const ANSWER_MS_MAX = 60_000;
const READY_MS_MAX = 30_000;

const PREFERENCES = {
  'media.autoplay.default': 0,
  'media.autoplay.blocking_policy': 0,
  // A microphone that beeps, on pages without TLS too: without a loudspeaker no AudioContext of Firefox runs.
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.devices.insecure.enabled': true,
  'media.getusermedia.insecure.enabled': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'toolkit.telemetry.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'app.update.disabledForTesting': true,
};

/** A connection on which commands are answered by their numbers. */
class Session {
  #socket;
  #waiting = new Map();
  #last = 0;

  constructor(socket) {
    this.#socket = socket;
    socket.on('message', (text) => {
      const { id, type, result, error, message } = JSON.parse(text);
      const waits = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (type === 'error') waits?.reject(new Error(`${error}: ${message}`));
      else waits?.resolve(result);
    });
    const lost = () => { for (const { reject } of this.#waiting.values()) reject(new Error('Firefox has ended')); };
    socket.on('close', lost).on('error', lost);
  }

  call(method, params) {
    return new Promise((resolve, reject) => {
      const id = ++this.#last;
      const timer = setTimeout(() => reject(new Error(`${method}: no answer within ${ANSWER_MS_MAX} ms`)), ANSWER_MS_MAX);
      const done = (settle) => (value) => { clearTimeout(timer); settle(value); };
      this.#waiting.set(id, { resolve: done(resolve), reject: done(reject) });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }
}

/** A Firefox that shows `url`. Its `evaluate` runs a function in the page, as a page of Chromium does. */
export async function openFirefox(t, url) {
  const profile = mkdtempSync(join(tmpdir(), 'proscenium-firefox-'));
  writeFileSync(join(profile, 'user.js'), Object.entries(PREFERENCES).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`).join(''));
  const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0', 'about:blank'];
  const browser = start(t, 'firefox', firefox(), args, { env: { MOZ_HEADLESS: '1', HOME: process.env.HOME ?? '/root' } });
  t.after(() => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
  const [, address] = await browser.line(/WebDriver BiDi listening on (ws:\S+)/, READY_MS_MAX);
  const socket = new WebSocket(`${address}/session`);
  await new Promise((resolve, reject) => { socket.once('open', resolve).once('error', reject); });
  const session = new Session(socket);
  await session.call('session.new', { capabilities: {} });
  const { contexts: [{ context }] } = await session.call('browsingContext.getTree', {});
  await session.call('browsingContext.navigate', { context, url, wait: 'complete' });
  const evaluate = async (work, argument) => {
    // An argument that is not there would arrive as null, which is no default for a parameter.
    const functionDeclaration = `async (text) => JSON.stringify({ value: await (${work})(JSON.parse(text) ?? undefined) })`;
    const called = await session.call('script.callFunction', {
      functionDeclaration, awaitPromise: true, target: { context }, arguments: [{ type: 'string', value: JSON.stringify(argument ?? null) }],
    });
    if (called.type === 'exception') throw new Error(`Firefox: ${called.exceptionDetails.text}`);
    return JSON.parse(called.result.value).value;
  };
  return { evaluate, messages: [] };
}

/** A Firefox that shows the test page. `lab(name, ...arguments)` calls `window.lab[name]` in it. */
export async function openFirefoxLab(t) {
  const { evaluate } = await openFirefox(t, await labUrl());
  return (name, ...args) => evaluate(async ([method, values]) => {
    while (!window.lab) await new Promise((resolve) => setTimeout(resolve, 50));
    return window.lab[method](...values);
  }, [name, args]);
}
