// A performer shaped like OBS Studio: its stack, its headers, no candidates, deaf to keyframe requests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { distinct, inbound, openLab } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { startLibdatachannel } from '../lib/libdatachannel.mjs';
import { startServer } from '../lib/server.mjs';

const KEY = 'a-bearer-of-the-performer';

test('when libdatachannel loses power and comes back with the same bearer, viewers see a hiccup and not an end', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t);
  const first = await startLibdatachannel(t, server.whip('stage'), KEY);
  await server.live('stage');
  const lab = await openLab(t);
  const viewer = await lab.whep(server.whep('stage'), { codec: 'H264' });
  const before = await lab.until(viewer, 'showing 60 pictures', (s) => distinct(s.frames) > 60, 20_000);
  figure('libdatachannel: join to first frame', `${before.frames[0].at - before.askedAt} ms`);

  await first.cutPower();
  const cutAt = Date.now();
  await sleep(500);
  const second = await startLibdatachannel(t, server.whip('stage'), KEY);
  const after = await lab.until(viewer, 'showing pictures of the second performer',
    (s) => s.frames.filter((frame) => frame.at > cutAt + 600).length > 60, 20_000);
  const resumed = after.frames.find((frame) => frame.at > cutAt + 600).at;
  figure('libdatachannel: power cut to the next picture, 0.5 s of it without a performer', `${resumed - cutAt} ms`);
  assert.equal(after.ended, false, 'the viewer was told that the stream ended');
  assert.equal(after.state, 'connected');
  assert.ok(distinct(after.frames.filter((frame) => frame.at > resumed)) > 30, 'the picture is frozen');
  assert.ok(inbound(after, 'audio').totalAudioEnergy > inbound(before, 'audio').totalAudioEnergy, 'the sound did not go on');
  assert.ok(resumed - cutAt < 10_000, `the hiccup took ${resumed - cutAt} ms`);
  await second.performer.stop();
  assert.match(second.performer.output, /deleted 200/, 'DELETE after the connection was closed');
});
