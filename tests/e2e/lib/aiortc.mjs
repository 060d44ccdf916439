// aiortc: WebRTC in Python, decoding everything that it receives.
import { join } from 'node:path';
import { e2eDir, python } from './paths.mjs';
import { runJson, start } from './process.mjs';

const script = join(e2eDir, 'clients', 'aiortc_client.py');

/** Views `url` for `seconds` and returns what each of `count` viewers decoded. */
export async function viewWithAiortc(t, url, seconds, { count = 1, spread = 0, options } = {}) {
  const args = [script, 'view', url, String(seconds), '--count', String(count), '--spread', String(spread)];
  const { viewers } = await runJson(t, 'aiortc-view', python(), args, (seconds + spread) * 1000 + 30_000, options);
  return viewers;
}

/** Publishes a walking bar (VP8) and a tone (Opus), or what a file has, for `seconds`. */
export function publishWithAiortc(t, url, seconds, { file } = {}) {
  return start(t, 'aiortc-publish', python(), [script, 'publish', url, String(seconds), ...(file ? ['--file', file] : [])]);
}
