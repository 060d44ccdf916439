// Chromium to Chromium, with a clock in the picture.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distinct, inbound, openLab } from '../lib/browser.mjs';
import { figure, median, quantile } from '../lib/figures.mjs';
import { latencies } from '../lib/latency.mjs';
import { startServer } from '../lib/server.mjs';

for (const codec of ['VP8', 'H264']) {
  test(`a Chromium viewer sees what a Chromium performer sends as ${codec}`, { timeout: 60_000 }, async (t) => {
    const server = await startServer(t);
    const performer = await openLab(t);
    const viewer = await openLab(t);
    const sent = await performer.whip(server.whip('stage'), { codec });
    assert.equal((await server.track('stage', 'video')).codec.toUpperCase(), codec);

    const id = await viewer.whep(server.whep('stage'), {});
    const seen = await viewer.until(id, 'showing 200 frames', (s) => s.frames.length >= 200, 30_000);
    assert.equal(inbound(seen, 'video').codec, `video/${codec}`);
    assert.ok(distinct(seen.frames) > 50, `only ${distinct(seen.frames)} different pictures`);
    assert.ok(inbound(seen, 'audio').totalAudioEnergy > 0, 'the tone is not heard');

    const delays = latencies(seen.frames.slice(60));
    assert.ok(delays.length > 100, `the clock was readable in ${delays.length} of ${seen.frames.length - 60} frames`);
    figure(`${codec}: join to first frame`, `${seen.frames[0].at - seen.askedAt} ms`);
    figure(`${codec}: pixel-clock latency`, `median ${median(delays)} ms, p95 ${quantile(delays, 0.95)} ms over ${delays.length} frames`);
    assert.ok(median(delays) < 2000, `median latency ${median(delays)} ms`);

    assert.equal(await viewer.close(id), 200);
    assert.equal(await performer.close(sent), 200);
  });
}
