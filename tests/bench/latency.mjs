// From drawing to seeing, page to page: through Proscenium, one to many and in a conference, and through Janus's video room, in
// turns.
import { closeBrowser, labUrl, openLab } from '../e2e/lib/browser.mjs';
import { median, quantile } from '../e2e/lib/figures.mjs';
import { latencies } from '../e2e/lib/latency.mjs';
import { houseAddress } from '../e2e/lib/road.mjs';
import { startServer } from '../e2e/lib/server.mjs';
import { ROOM, startJanus } from './janus.mjs';
import { scope } from './scope.mjs';

const ROUNDS = process.argv.includes('--smoke') ? 1 : 5;
const CODECS = ['VP8', 'H264'];
const FRAMES = 300;
const SKIPPED = 90;

async function throughProscenium(t, performer, audience, codec) {
  const server = await startServer(t, { address: houseAddress(), env: { RUST_LOG: 'warn' } });
  await performer.whip(server.whip('stage'), { codec });
  await server.live('stage');
  return audience.whep(server.whep('stage'), {});
}

async function throughConference(t, performer, audience, codec) {
  const server = await startServer(t, { address: houseAddress(), env: { RUST_LOG: 'warn' } });
  for (const { page } of [performer, audience]) {
    await page.addScriptTag({ type: 'module', url: `${await labUrl()}conference.js` });
    await page.waitForFunction(() => window.lab.meet);
  }
  await performer.page.evaluate(([url, wanted]) => window.lab.meet(url, 'stage', { name: 'Ada', codec: wanted }), [server.url, codec]);
  return audience.page.evaluate((url) => window.lab.meet(url, 'stage', { name: 'Bob' }), server.url);
}

async function throughJanus(t, performer, audience, codec) {
  const { url } = await startJanus(t, houseAddress());
  for (const { page } of [performer, audience]) await page.addScriptTag({ type: 'module', url: `${await labUrl()}janus.js` });
  for (const { page } of [performer, audience]) await page.waitForFunction(() => window.lab.janusView);
  const feed = await performer.page.evaluate(([u, o]) => window.lab.janusPublish(u, o), [url, { room: ROOM, codec }]);
  return audience.page.evaluate(([u, o]) => window.lab.janusView(u, o), [url, { room: ROOM, feed }]);
}

const ways = { Proscenium: throughProscenium, Conference: throughConference, Janus: throughJanus };
for (const codec of CODECS) {
  const delays = { Proscenium: [], Conference: [], Janus: [] };
  const medians = { Proscenium: [], Conference: [], Janus: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, connect] of Object.entries(ways)) {
      await scope(async (t) => {
        const [performer, audience] = [await openLab(t), await openLab(t)];
        const id = await connect(t, performer, audience, codec);
        const seen = await audience.until(id, `showing ${FRAMES} frames`, (s) => s.frames.length >= FRAMES, 30_000);
        const own = latencies(seen.frames.slice(SKIPPED));
        delays[name].push(...own);
        medians[name].push(median(own));
      });
    }
  }
  console.log(`\n${codec}, 640x360 at 30 pictures/s, ${ROUNDS} rounds in turns`);
  for (const name of Object.keys(ways)) {
    console.log(`  ${name.padEnd(10)} median ${median(delays[name])} ms, p95 ${quantile(delays[name], 0.95)} ms (medians of the rounds: ${medians[name].join(' ')})`);
  }
}
await closeBrowser();
