// The other end of the wire that tests/e2e/in-namespace lays: hosts that reach the server over an interface, not over loopback.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch } from './browser.mjs';
import { chromium } from './paths.mjs';

function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run this through tests/e2e/in-namespace, as tests/run does`);
  return value;
}

/** The server's address as seen from the road. */
export const houseAddress = () => needed('PROSCENIUM_E2E_HOUSE');

/** A command line that runs `command` on the road. */
export function onTheRoad(command, args) {
  return ['nsenter', [`--net=/run/netns/${needed('PROSCENIUM_E2E_ROAD')}`, command, ...args]];
}

/** A Chromium of its own on the road: what happens to the wire happens to it alone. */
export async function openRoadBrowser(t) {
  const directory = mkdtempSync(join(tmpdir(), 'proscenium-road-'));
  const script = join(directory, 'chromium');
  const [command, args] = onTheRoad(chromium(), []);
  writeFileSync(script, `#!/bin/sh\nexec ${command} ${args.join(' ')} "$@"\n`, { mode: 0o755 });
  t.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  return launch(t, script);
}

/** Shapes both ends of the wire by a queueing discipline, or ends that (null). Neither side is told, as on a bad road. */
function shape(discipline) {
  const rule = discipline ? ['replace', 'dev', 'wire', 'root', ...discipline] : ['delete', 'dev', 'wire', 'root'];
  execFileSync('tc', ['qdisc', ...rule]);
  execFileSync(...onTheRoad('tc', ['qdisc', ...rule]));
}

/** The wire takes this much in each direction, with a queue of 300 ms. */
export const throttleRoad = (kilobits) => shape(['tbf', 'rate', `${kilobits}kbit`, 'burst', '8kb', 'latency', '300ms']);
/** Nothing gets through: every packet is larger than the bucket. */
export const cutRoad = () => shape(['tbf', 'rate', '1kbit', 'burst', '1', 'limit', '1']);
export const repairRoad = () => shape(null);
