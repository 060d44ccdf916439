// AV1 with spatial layers: all of them for whoever knows the dependency descriptor, the lowest for whoever does not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distinct, inbound, openLab } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

const DESCRIPTOR = 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';
const PICTURE = { width: 960, height: 540, rate: 10 };
const LOWEST = { L2T1: 480, L3T3_KEY: 240 };

async function perform(t, server, scalabilityMode) {
  const performer = await openLab(t);
  const encodings = [{ scalabilityMode, maxBitrate: 700_000 }];
  const sent = await performer.whip(server.whip('stage'), { codec: 'AV1', encodings, picture: PICTURE });
  await server.live('stage');
  const sending = await performer.until(sent, 'sending', (s) => s.streams.some((r) => r.kind === 'video' && r.framesEncoded > 10), 30_000);
  assert.ok(sending.answer.includes(DESCRIPTOR), 'the descriptor is taken from the performer');
  assert.equal(sending.streams.find((r) => r.kind === 'video').scalabilityMode, scalabilityMode);
  return { requests: async () => (await performer.seen(sent)).streams.find((r) => r.kind === 'video').pliCount };
}

for (const scalabilityMode of Object.keys(LOWEST)) {
  test(`AV1 ${scalabilityMode} is seen with the dependency descriptor and without`, { timeout: 90_000 }, async (t) => {
    const server = await startServer(t);
    await perform(t, server, scalabilityMode);
    const viewers = { with: { codec: 'AV1', extensions: [DESCRIPTOR] }, without: { codec: 'AV1' } };
    for (const [name, options] of Object.entries(viewers)) {
      const viewer = await openLab(t);
      const id = await viewer.whep(server.whep('stage'), options);
      const seen = await viewer.until(id, `showing 40 frames ${name}`, (s) => s.frames.length >= 40, 20_000);
      assert.equal(seen.answer.includes(DESCRIPTOR), name === 'with');
      assert.ok(distinct(seen.frames) > 20, `${name}: ${distinct(seen.frames)} different pictures`);
      const widths = new Set(seen.frames.slice(10).map((frame) => frame.width));
      figure(`AV1 ${scalabilityMode}, ${name} descriptor`, `first frame ${seen.frames[0].at - seen.askedAt} ms, widths ${[...widths]}, ${inbound(seen, 'video').pliCount} requests`);
      assert.deepEqual([...widths], [name === 'with' ? PICTURE.width : LOWEST[scalabilityMode]]);
      await viewer.close(id);
    }
  });
}

test('spatial layers of AV1 are left out and come back while the picture goes on', { timeout: 90_000 }, async (t) => {
  // HLS asks for keyframes of its own.
  const server = await startServer(t, { args: ['--hls', 'off'] });
  const { requests } = await perform(t, server, 'L3T3');
  const viewer = await openLab(t);
  const id = await viewer.whep(server.whep('stage'), { codec: 'AV1', extensions: [DESCRIPTOR] });
  const wide = (width) => (s) => s.frames.length >= 20 && s.frames.slice(-20).every((frame) => frame.width === width);
  await viewer.until(id, 'showing all layers', wide(960), 20_000);
  const before = await requests();
  for (const [layer, width] of [[{ maxSpatialLayerId: 1 }, 480], [{ maxSpatialLayerId: 0 }, 240], [{}, 960]]) {
    assert.equal(await viewer.choose(id, { encodingId: '0', ...layer }), 200);
    const seen = await viewer.until(id, `${width} wide`, wide(width), 20_000);
    assert.ok(distinct(seen.frames.slice(-20)) > 10, `${width} wide: the picture goes on`);
  }
  const asked = await requests() - before;
  figure('AV1 L3T3: requests for a higher layer', `${asked}`);
  assert.ok(asked >= 1 && asked <= 2, `${asked} requests for one change upwards`);
});
