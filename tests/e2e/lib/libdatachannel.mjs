// libdatachannel, the stack inside OBS Studio, in processes of its own.
import { join } from 'node:path';
import { e2eDir, ffmpeg } from './paths.mjs';
import { runJson, start } from './process.mjs';

const script = join(e2eDir, 'clients', 'libdatachannel.mjs');

/** Publishes H.264 (30 pictures/s; a keyframe every `gop` of them, none on request) and Opus: a test pattern and a tone, or what `file` has. */
export async function startLibdatachannel(t, url, key, gop = 250, file = '') {
  const performer = start(t, 'libdatachannel', process.execPath, [script, 'publish', url, key, ffmpeg(), String(gop), ...(file ? [file] : [])]);
  const [, encoder] = await performer.line(/encoder (\d+)/, 15_000);
  t.after(() => endEncoder(encoder));
  return { performer, cutPower: async () => { await performer.kill(); endEncoder(encoder); } };
}

// The encoder outlives a performer that was killed, until its next write fails.
function endEncoder(pid) {
  try { process.kill(Number(pid)); } catch { /* it has ended already */ }
}

/** `count` viewers that count whole frames. */
export async function viewWithLibdatachannel(t, url, seconds, count) {
  const { viewers } = await runJson(t, 'libdatachannel-view', process.execPath, [script, 'view', url, String(seconds), String(count)], seconds * 1000 + 20_000);
  return viewers;
}
