// Browsers that are not Chromium, through their drivers, spoken to in plain WebDriver.
import { setTimeout as sleep } from 'node:timers/promises';

const ANSWER_MS_MAX = 60_000;
const READY_MS_MAX = 15_000;

async function call(port, method, path, body) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method, headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body), signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
  return value;
}

async function answering(port) {
  const deadline = Date.now() + READY_MS_MAX;
  for (;;) {
    if (await call(port, 'GET', '/status').catch(() => null)) return;
    if (Date.now() > deadline) throw new Error(`no driver answers on port ${port}`);
    await sleep(50);
  }
}

/**
 * A browser that shows `url`, by the driver that listens on `port` of 127.0.0.1. Its `evaluate` runs a function in the page, as a
 * page of Chromium does.
 */
export async function openByDriver(t, name, port, capabilities, url) {
  await answering(port);
  const { sessionId } = await call(port, 'POST', '/session', { capabilities: { alwaysMatch: capabilities } });
  t.after(() => call(port, 'DELETE', `/session/${sessionId}`).catch(() => {}));
  await call(port, 'POST', `/session/${sessionId}/timeouts`, { script: ANSWER_MS_MAX });
  await call(port, 'POST', `/session/${sessionId}/url`, { url });
  const evaluate = async (work, argument) => {
    // An argument that is not there would arrive as null, which is no default for a parameter.
    const script = `const [argument, done] = arguments; Promise.resolve().then(() => (${work})(argument ?? undefined)).then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const { value, error } = await call(port, 'POST', `/session/${sessionId}/execute/async`, { script, args: [argument ?? null] });
    if (error) throw new Error(`${name}: ${error}`);
    return value;
  };
  return { evaluate, messages: [] };
}
