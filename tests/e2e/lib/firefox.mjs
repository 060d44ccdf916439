// Firefox ESR through geckodriver, spoken to in plain WebDriver.
import { freePort } from './server.mjs';
import { firefox, geckodriver } from './paths.mjs';
import { start } from './process.mjs';
import { labUrl } from './browser.mjs';

const PREFERENCES = {
  'media.autoplay.default': 0,
  'media.autoplay.blocking_policy': 0,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'toolkit.telemetry.enabled': false,
};

/** A Firefox that shows the test page. `lab(name, ...arguments)` calls `window.lab[name]` in it. */
export async function openFirefoxLab(t) {
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
  await call('POST', `/session/${sessionId}/url`, { url: await labUrl() });
  const script = `const done = arguments[arguments.length - 1]; const [name, args] = arguments;
    const ready = () => window.lab ? Promise.resolve(window.lab[name](...args)).then((value) => done({ value }), (error) => done({ error: String(error) })) : setTimeout(ready, 50);
    ready();`;
  return async (name, ...args) => {
    const { value, error } = await call('POST', `/session/${sessionId}/execute/async`, { script, args: [name, args] });
    if (error) throw new Error(`Firefox, ${name}: ${error}`);
    return value;
  };
}
