// Firefox as a viewer of VP8: its Debian build has no H.264 over WebRTC.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, distinct, inbound, openLab } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { openFirefoxLab } from '../lib/firefox.mjs';
import { houseAddress } from '../lib/road.mjs';
import { startServer } from '../lib/server.mjs';

test('Firefox sees and hears what Chromium performs as VP8', { timeout: 90_000 }, async (t) => {
  // Firefox never pairs its addresses with a loopback candidate, so it meets the server on an interface.
  const server = await startServer(t, { address: houseAddress() });
  const performer = await openLab(t);
  await performer.whip(server.whip('stage'), { codec: 'VP8' });
  await server.live('stage');
  const lab = await openFirefoxLab(t);
  const id = await lab('whep', server.whep('stage'), {});
  let seen;
  for (let tries = 0; tries < 60 && !(seen?.frames.length > 100); tries++) {
    await sleep(250);
    seen = await lab('seen', id);
  }
  assert.ok(distinct(seen.frames) > 40, describe(seen));
  assert.ok(inbound(seen, 'audio').totalAudioEnergy > 0 || inbound(seen, 'audio').packetsReceived > 50, describe(seen));
  figure('Firefox: join to first frame', `${seen.frames[0].at - seen.askedAt} ms`);
  assert.equal(await lab('close', id), 200);
});
