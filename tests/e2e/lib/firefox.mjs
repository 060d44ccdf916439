// Firefox ESR through geckodriver, spoken to in plain WebDriver.
import { freePort } from './server.mjs';
import { firefox, geckodriver } from './paths.mjs';
import { start } from './process.mjs';
import { labUrl } from './browser.mjs';

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
};

/** A Firefox that shows `url`. Its `evaluate` runs a function in the page, as a page of Chromium does. */
export async function openFirefox(t, url) {
  const port = await freePort();
  const websocketPort = await freePort();
  const marionettePort = await freePort();
  const driver = start(t, 'geckodriver', geckodriver(), ['--port', String(port), '--websocket-port', String(websocketPort),
    '--marionette-port', String(marionettePort), '--binary', firefox()], { env: { MOZ_HEADLESS: '1', HOME: process.env.HOME ?? '/root' } });
  await driver.line(/Listening on/, 15_000);

  const call = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body), signal: AbortSignal.timeout(60_000) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  };
  const capabilities = { alwaysMatch: { browserName: 'firefox', 'moz:firefoxOptions': { args: ['-headless'], prefs: PREFERENCES } } };
  const { sessionId } = await call('POST', '/session', { capabilities });
  t.after(() => call('DELETE', `/session/${sessionId}`).catch(() => {}));
  await call('POST', `/session/${sessionId}/timeouts`, { script: 60_000 });
  await call('POST', `/session/${sessionId}/url`, { url });
  const evaluate = async (work, argument) => {
    // An argument that is not there would arrive as null, which is no default for a parameter.
    const script = `const [argument, done] = arguments; Promise.resolve().then(() => (${work})(argument ?? undefined)).then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const { value, error } = await call('POST', `/session/${sessionId}/execute/async`, { script, args: [argument ?? null] });
    if (error) throw new Error(`Firefox: ${error}`);
    return value;
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
