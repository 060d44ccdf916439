// WebKitGTK on a screen of its own: the nearest thing to Safari that plays HLS through a library.
import { existsSync } from 'node:fs';
import { start } from './process.mjs';
import { freePort } from './server.mjs';
import { openByDriver } from './webdriver.mjs';

const DRIVER = '/usr/bin/WebKitWebDriver';
const BROWSER = '/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser';

/** A WebKitGTK that shows `url`. Its `evaluate` runs a function in the page. */
export async function openWebkit(t, url) {
  for (const path of [DRIVER, BROWSER]) if (!existsSync(path)) throw new Error(`${path} is missing; run tests/run once, it installs everything`);
  // The server picks a free display number by itself and says which.
  const screen = start(t, 'xvfb', 'Xvfb', ['-displayfd', '1', '-screen', '0', '1280x800x24', '-nolisten', 'tcp']);
  const [, display] = await screen.line(/^(\d+)$/m, 15_000);
  const port = await freePort();
  // Without a loudspeaker the sinks that want one wait for it; what is left drops the sound in time.
  const ranks = ['alsasink', 'openalsink', 'pulsesink', 'jackaudiosink', 'osssink', 'oss4sink'].map((sink) => `${sink}:0`).join();
  const env = { DISPLAY: `:${display}`, NO_AT_BRIDGE: '1', GST_PLUGIN_FEATURE_RANK: ranks };
  start(t, 'webkit', DRIVER, [`--port=${port}`, '--host=127.0.0.1'], { env });
  const capabilities = { 'webkitgtk:browserOptions': { binary: BROWSER, args: ['--automation', '--autoplay-policy=allow'] } };
  return openByDriver(t, 'WebKitGTK', port, capabilities, url);
}
