// The message bus with the libraries that artists' clients are made with: websocket-client in Python, ws in Node (and in Max),
// reconnecting-websocket in Chromium; and a thousand of them when the server is started again.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { labUrl, openPage } from '../lib/browser.mjs';
import { envelope, openBus } from '../lib/bus.mjs';
import { figure } from '../lib/figures.mjs';
import { e2eDir, load, python } from '../lib/paths.mjs';
import { runJson, start } from '../lib/process.mjs';
import { startServer } from '../lib/server.mjs';

const HERD = 1000;

/** A data directory that outlives the server. */
function dataDirectory(t) {
  const directory = mkdtempSync(join(tmpdir(), 'proscenium-bus-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('what a Python sketch says comes back byte for byte, to itself and to others', { timeout: 30_000 }, async (t) => {
  const server = await startServer(t);
  const other = await openBus(t, server.bus);
  const { said, heard } = await runJson(t, 'bus-python', python(), [join(e2eDir, 'clients', 'bus_client.py'), server.bus], 15_000);
  assert.equal(said.length, 4);
  assert.deepEqual(heard, said);
  await other.untilBytes(Buffer.from(said.at(-1)[1], 'base64'));
  assert.deepEqual(other.heard.map(({ bytes, isBinary }) => [isBinary ? 'binary' : 'text', bytes.toString('base64')]), said);
});

test('a patch of Max speaks binary JSON, and its pings are answered', { timeout: 30_000 }, async (t) => {
  const server = await startServer(t);
  const [max, page] = [await openBus(t, server.bus), await openBus(t, server.bus)];
  const message = (type, value) => Buffer.from(JSON.stringify({ id: 'maxmaxmaxmaxmaxm', datetime: new Date().toISOString(), type, channel: 'residence', userid: 'maxuser', username: 'Max', value }));
  for (const said of [message('ANYTHING', 12.5), message('CHAT', 'Grüße aus Max'), message('IMAGE', `data:image/png;base64,${'A'.repeat(50_000)}`)]) {
    max.say(said, { binary: true });
    await max.untilBytes(said, true);
    await page.untilBytes(said, true);
  }
  const waits = [];
  for (const payload of ['', 'max', 'x'.repeat(125)]) {
    const asked = performance.now();
    const answered = new Promise((resolve) => { max.socket.once('pong', resolve); });
    max.socket.ping(payload);
    assert.equal((await answered).toString(), payload);
    waits.push(performance.now() - asked);
  }
  figure('bus: a ping was answered after', `${waits.map((ms) => ms.toFixed(1)).join(' ')} ms`);
  // A page says this by mistake.
  page.say('[object Object]');
  await max.untilBytes('[object Object]');
  // What Max said in a binary frame is in the history of who joins.
  page.say(envelope('CHANNEL_JOIN', { userName: 'Node' }));
  const { value } = await page.untilType('CHAT_SYNC');
  assert.deepEqual(value.map((one) => [one.userid, one.value]), [['maxuser', 'Grüße aus Max']]);
  assert.equal(max.heard.some((one) => one.message?.type === 'CHAT_SYNC'), false, 'somebody who did not join was told of the history');
  const { value: presence } = await max.untilType('CHANNELS_UPDATED');
  assert.equal(presence.residence.users.nodeuser.userName, 'Node');
  page.socket.close(1000);
  const left = await max.untilType('CHANNEL_LEAVE');
  assert.equal(left.channel, 'residence');
  await max.until('an empty residence', ({ message: one }) => one?.type === 'CHANNELS_UPDATED' && !one.value.residence?.users?.nodeuser);
});

test('a page with a reconnecting socket survives a kill -9 of the server without a reload', { timeout: 60_000 }, async (t) => {
  const dataDir = dataDirectory(t);
  const first = await startServer(t, { dataDir });
  const page = await openPage(t, `${await labUrl()}bus.html?url=${encodeURIComponent(first.bus)}`);
  const heard = (words) => page.waitForFunction((all) => all.every((word) => window.bus.heard.some((text) => text.includes(word))), words, { timeout: 20_000 });
  await heard(['"type":"CHAT_SYNC"', '"type":"CHANNELS_UPDATED"']);
  const loaded = await page.evaluate(() => window.bus.loaded);
  const other = await openBus(t, first.bus);
  other.say(envelope('CHAT', 'said by Node'));
  other.say(envelope('STATS', 'a figure', { store: true }));
  await page.evaluate(() => window.bus.say('CHAT', 'said by the page'));
  await heard(['said by Node', 'a figure', 'said by the page']);
  await first.process.kill();
  await page.evaluate(() => { window.bus.heard.length = 0; });
  const second = await startServer(t, { dataDir, port: first.port });
  const ready = Date.now();
  await heard(['"type":"CHAT_SYNC"']);
  const { opened, sync, now } = await page.evaluate(() => ({ opened: window.bus.opened, sync: window.bus.heard.find((text) => text.includes('"CHAT_SYNC"')), now: window.bus.loaded }));
  figure('bus: a page with reconnecting-websocket was back', `${opened.at(-1) - ready} ms after the server was ready again`);
  assert.equal(opened.length, 2);
  assert.equal(now, loaded, 'the page was loaded again');
  assert.deepEqual(JSON.parse(sync).value.map((message) => message.value), ['said by Node', 'said by the page']);
  const again = await openBus(t, second.bus);
  const hello = envelope('CHAT', 'is anybody there');
  again.say(hello);
  await heard(['is anybody there']);
  await page.evaluate(() => window.bus.say('HEART', 1));
  await again.untilType('HEART');
});

test('a thousand clients who are thrown out at once are all back, and hear each other', { timeout: 120_000 }, async (t) => {
  const dataDir = dataDirectory(t);
  const first = await startServer(t, { dataDir, env: { RUST_LOG: 'info' } });
  const talker = await openBus(t, first.bus);
  const chats = ['one', 'two', 'three'].map((word) => envelope('CHAT', word, { channel: 'stage' }));
  for (const chat of chats) {
    talker.say(chat);
    await talker.untilBytes(chat);
  }
  talker.socket.terminate();
  const url = first.bus.replace('localhost', '127.0.0.1');
  const herd = start(t, 'bus-herd', load(), ['bus', '--scene', 'herd', '--url', url, '--pid', String(process.pid), '--bind', '127.0.0.1', '--viewers', String(HERD), '--seconds', '30']);
  await herd.line(/ready/, 60_000);
  await first.process.kill();
  await startServer(t, { dataDir, port: first.port, env: { RUST_LOG: 'info' } });
  assert.equal(await herd.end(90_000), 0, herd.tail());
  const seen = JSON.parse(herd.output.trim().split('\n').at(-1));
  figure(`bus: ${HERD} clients after a kill -9`, `all connected ${seen.back_ms} ms after the first one, joined and told of what was kept after ${seen.synced_ms} ms, and each had heard one word of each (${HERD * HERD} deliveries) after ${seen.heard_ms} ms; ${seen.knocks} knocks, ${(seen.bytes / 1e6).toFixed(0)} MB`);
  assert.deepEqual([seen.kept_min, seen.kept_max], [3, 3], 'somebody was told of something else than what was kept');
  assert.equal(seen.heard_twice, 0);
  assert.ok(seen.heard_ms < 30_000, `it took ${seen.heard_ms} ms`);
});
