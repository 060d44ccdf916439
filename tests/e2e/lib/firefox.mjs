// Firefox ESR through geckodriver.
import { freePort } from './server.mjs';
import { firefox, geckodriver } from './paths.mjs';
import { start } from './process.mjs';
import { labUrl } from './browser.mjs';
import { openByDriver } from './webdriver.mjs';

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
  const capabilities = { browserName: 'firefox', 'moz:firefoxOptions': { args: ['-headless'], prefs: PREFERENCES } };
  return openByDriver(t, 'Firefox', port, capabilities, url);
}

/** A Firefox that shows the test page. `lab(name, ...arguments)` calls `window.lab[name]` in it. */
export async function openFirefoxLab(t) {
  const { evaluate } = await openFirefox(t, await labUrl());
  return (name, ...args) => evaluate(async ([method, values]) => {
    while (!window.lab) await new Promise((resolve) => setTimeout(resolve, 50));
    return window.lab[method](...values);
  }, [name, args]);
}
