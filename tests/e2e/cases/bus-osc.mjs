// The message bus over OSC, with the programs that shows are run with: python-osc, and Pure Data without its window.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { envelope, openBus } from '../lib/bus.mjs';
import { figure } from '../lib/figures.mjs';
import { e2eDir, python } from '../lib/paths.mjs';
import { start } from '../lib/process.mjs';
import { startServer } from '../lib/server.mjs';

const PICTURE = `data:image/png;base64,${'A'.repeat(5000)}`;

/** A UDP port that nobody has. */
function freeUdpPort() {
  return new Promise((resolve, reject) => {
    const probe = createSocket('udp4').once('error', reject);
    probe.bind(0, '127.0.0.1', () => { const { port } = probe.address(); probe.close(() => resolve(port)); });
  });
}

/** A server that exchanges OSC with one peer, and somebody on a WebSocket in its space. */
async function stage(t) {
  const [venuePort, peerPort] = [await freeUdpPort(), await freeUdpPort()];
  const config = `osc = "127.0.0.1:${venuePort}"\nosc_peer = ["127.0.0.1:${peerPort}"]\nosc_space = ["residence", "foyer"]\n`;
  const server = await startServer(t, { config });
  const page = await openBus(t, `${server.bus}/ws/residence`);
  return { server, page, venuePort, peerPort };
}

const message = (one) => one.message?.message;
const value = async (page, type) => message(await page.until(type, (one) => message(one)?.type === type)).value;

test('python-osc and a page in the same space hear each other', { timeout: 60_000 }, async (t) => {
  const { server, page, venuePort, peerPort } = await stage(t);
  const foyer = await openBus(t, server.bus);
  const show = start(t, 'osc-python', python(), [join(e2eDir, 'clients', 'osc_client.py'), String(venuePort), String(peerPort)]);
  await show.line(/^said$/m, 20_000);
  const said = performance.now();
  assert.deepEqual(await value(page, 'CUE'), [7, 0.5, 'go', true, false, null]);
  assert.equal(await value(page, 'HEART'), null);
  assert.equal(await value(page, 'fader/1'), 0.25);
  assert.deepEqual(await value(page, 'TYPES'), [0.1, 2 ** 40, 'AP8=', '#10203040', [0, 144, 60, 127], 'Grüße']);
  assert.equal(await value(page, 'NOW'), 1);
  assert.equal(await value(page, 'LATER'), 2);
  figure('osc: a bundle dated 700 ms ahead came', `${(performance.now() - said).toFixed(0)} ms after it was said`);
  const kinds = page.heard.map((one) => message(one)?.type);
  assert.ok(kinds.indexOf('NOW') < kinds.indexOf('LATER'), 'a bundle did not wait for its time');
  assert.equal(kinds.includes('RESET'), false);
  const cue = message(page.heard.find((one) => message(one)?.type === 'CUE'));
  assert.match(cue.id, /^[a-z]{16}$/);
  assert.equal(cue.channel, 'residence');
  assert.equal(cue.userName, 'osc');
  assert.match(cue.datetime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const { message: moved } = await page.until('a position', (one) => one.message?.positions?.ada);
  assert.deepEqual(moved.positions.ada, [1, 2, 3, 0, 0.5, 0]);
  await foyer.until('the pattern in the foyer', ({ message: one }) => one?.type === 'PATTERN' && one.channel === 'foyer');

  foyer.say(envelope('IMAGE', PICTURE));
  foyer.say(envelope('LONG', 'x'.repeat(2000)));
  foyer.say(envelope('SCENE', { name: 'storm' }));
  foyer.say(envelope('LEVELS', [1, 0.5, 'x', true, null]));
  foyer.say(envelope('CHAT', 'Grüße aus dem Foyer'));
  page.say(envelope('POSITION', [4, 5, 6, 0, 0, 0.25], { userId: 'bob' }));
  await show.line(/"Gr\\u00fc\\u00dfe aus dem Foyer"/, 10_000);
  await show.line(/"bob"/, 10_000);
  const heard = show.output.trim().split('\n').filter((line) => line.startsWith('[')).map((line) => JSON.parse(line));
  const of = (type) => heard.filter(([address]) => address === `/proscenium/residence/${type}`).map(([, ...args]) => args);
  assert.deepEqual(of('SCENE'), [['{"name":"storm"}']]);
  assert.deepEqual(of('LEVELS'), [[1, 0.5, 'x', true, null]]);
  assert.deepEqual(of('CHAT'), [['Grüße aus dem Foyer']]);
  assert.deepEqual(of('position').filter(([user]) => user === 'bob'), [['bob', 4, 5, 6, 0, 0, 0.25]]);
  assert.deepEqual([of('IMAGE'), of('LONG')], [[], []], 'what is too large for a datagram went out');
  assert.deepEqual([of('CUE'), of('NOW'), of('position').filter(([user]) => user === 'ada')], [[], [], []], 'it was sent its own words');
});

test('a patch of Pure Data and a page in the same space hear each other', { timeout: 60_000 }, async (t) => {
  assert.ok(existsSync('/usr/bin/pd'), 'Pure Data is missing; tests/run installs puredata-core');
  const { page, venuePort, peerPort } = await stage(t);
  const wires = `listen listen ${peerPort}; connect connect 127.0.0.1 ${venuePort}; cue 3 0.5 go; move list pduser 1 2 3 0 0.5 0`;
  const args = ['-nogui', '-noaudio', '-nomidi', '-stderr', '-open', join(e2eDir, 'clients', 'osc_stage.pd'), '-send', wires];
  const pd = start(t, 'osc-pd', '/usr/bin/pd', args);
  assert.deepEqual(await value(page, 'CUE'), [3, 0.5, 'go']);
  const { message: moved } = await page.until('a position', (one) => one.message?.positions?.pduser);
  assert.deepEqual(moved.positions.pduser, [1, 2, 3, 0, 0.5, 0]);
  page.say(envelope('CHAT', 'hello'));
  page.say(envelope('LEVELS', [1, 0.5, 'x']));
  page.say(envelope('POSITION', [4, 5, 6, 0, 0, 0.25], { userId: 'bob' }));
  await pd.line(/heard: proscenium residence CHAT hello/, 10_000);
  await pd.line(/heard: proscenium residence LEVELS 1 0\.5 x/, 10_000);
  await pd.line(/heard: proscenium residence position bob 4 5 6 0 0 0\.25/, 10_000);
  assert.doesNotMatch(pd.output, /residence CUE|pduser/, 'it was sent its own words');
});
