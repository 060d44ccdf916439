// Page clients of others: they publish, view, trickle and leave as their authors wrote them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, distinct, inbound, openForeign } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

const KEY = 'a-bearer-of-the-performer';
const STUN = 'stun:127.0.0.1:3478';
const PICTURE = { width: 480, height: 270, rate: 20 };
/** The performer's left is ten times as strong as the right. */
const STEREO_MIN = 3;

/**
 * `reads`: how it asks for ICE servers. `patches`: the `If-Match` of its candidates, as publisher and as viewer. `stereo`: whether its
 * offers say so. medooze's and MediaMTX's close their connection before they send DELETE, as OBS does.
 */
const CLIENTS = {
  eyevinn: { name: "Eyevinn's", reads: 'OPTIONS', keyed: true, stereo: false },
  medooze: { name: "medooze's", reads: 'POST', keyed: true, patches: { WHIP: 'tag', WHEP: null }, stereo: false },
  mediamtx: { name: "MediaMTX's", reads: 'OPTIONS', keyed: false, patches: { WHIP: '*', WHEP: '*' }, stereo: true },
};

const of = (wire, method) => wire.requests.filter((request) => request.method === method);
const tagOf = ({ ifMatch }) => (ifMatch === '*' || !ifMatch ? ifMatch : 'tag');
const line = (request) => `${request.method} ${request.status ?? request.failure}${request.ifMatch ? ` (If-Match ${tagOf(request)})` : ''}`;
const directions = (sdp) => sdp.match(/^a=(sendrecv|sendonly|recvonly|inactive)$/gm).map((attribute) => attribute.slice(2));

/** What was asked of the server, judged. */
function checkWire(what, wire, { reads, patches }, direction) {
  const [{ status, answer }] = of(wire, 'POST');
  assert.equal(status, 201, what);
  assert.deepEqual(directions(answer.replaceAll('\r', '')), [direction, direction], `${what}: the directions of the answer`);
  for (const request of of(wire, reads).slice(0, 1)) assert.match(request.link ?? '', new RegExp(`<${STUN}>; rel="ice-server"`), `${what}: Link on ${reads}`);
  const patched = of(wire, 'PATCH');
  assert.deepEqual(patched.map((request) => request.status), patched.map(() => 204), `${what}: its candidates`);
  if (patches) {
    assert.ok(patched.length > 0, `${what} trickles nothing`);
    assert.deepEqual([...new Set(patched.map(tagOf))], [patches[what]], what);
  }
  assert.deepEqual(of(wire, 'DELETE').map((request) => request.status), [200], `${what}: leaving`);
  assert.deepEqual(wire.failures, [], `${what}: what broke in the client`);
}

/** How many times as loud the left is as the right, once something is heard. */
async function balance(page, id) {
  for (let tries = 0; tries < 50; tries += 1) {
    const [left, right] = await page.heard(id);
    if (left > 0.01) return left / right;
    await sleep(100);
  }
  throw new Error('the page hears nothing');
}

for (const [by, client] of Object.entries(CLIENTS)) {
  const { name, keyed, stereo } = client;
  test(`${name} page clients publish, view, trickle and leave`, { timeout: 90_000 }, async (t) => {
    const config = `[[ice_server]]\nurl = "${STUN}"\n[[space]]\nname = "stage"\n${keyed ? `key = "${KEY}"\n` : ''}`;
    const server = await startServer(t, { config });
    const [performer, viewer] = [await openForeign(t), await openForeign(t)];
    const { id: sent, ms } = await performer.publish(by, server.whip('stage'), { token: keyed ? KEY : undefined, picture: PICTURE });
    const sends = (s) => s.streams.filter((r) => r.type === 'outbound-rtp' && r.packetsSent > 20).length === 2;
    await performer.until(sent, 'sending sound and picture', sends);
    const id = await viewer.view(by, server.whep('stage'));
    const enough = (s) => s.frames.length > 60 && inbound(s, 'audio')?.totalAudioEnergy > 0.001;
    const seen = await viewer.until(id, 'showing 60 frames with sound', enough, 20_000);
    assert.ok(distinct(seen.frames) > 25, describe(seen));
    const ratio = await balance(viewer, id);
    await viewer.stop(id);
    await performer.stop(sent);
    assert.deepEqual([...await performer.errors(sent), ...await viewer.errors(id)], [], 'what its pages complain of');
    const wires = { WHIP: await performer.wire(), WHEP: await viewer.wire() };
    for (const [what, wire] of Object.entries(wires)) {
      figure(`${name} ${what} client`, [...wire.requests.map(line), ...wire.failures].join(', '));
    }
    figure(`${name} clients`, `published within ${ms} ms, the first picture ${seen.frames[0].at - seen.askedAt} ms after asking; left ${ratio.toFixed(1)} times as loud as right`);
    checkWire('WHIP', wires.WHIP, client, 'recvonly');
    // Its viewer asks for no ICE servers where its publisher does.
    checkWire('WHEP', wires.WHEP, by === 'eyevinn' ? { ...client, reads: 'POST' } : client, 'sendonly');
    if (stereo) assert.ok(ratio > STEREO_MIN, `the performer's two channels arrive as one: ${ratio}`);
  });
}
