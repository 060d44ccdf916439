import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Negotiation, NegotiationError } from '../lib/conference-negotiation.js';

/** The signalling state machine of JSEP (RFC 9429 section 3.2), as strict as a browser, without media. */
class ScriptedPeer {
  signalingState = 'stable';
  log = [];
  failing = new Set();
  #made = 0;

  #step(name, from, to) {
    if (this.failing.delete(name)) throw new Error(`${name} fails once`);
    assert.ok(from.includes(this.signalingState), `${name} while ${this.signalingState}`);
    this.signalingState = to;
    this.log.push(name);
  }

  async createOffer({ iceRestart } = {}) {
    await turn();
    if (this.failing.delete('createOffer')) throw new Error('createOffer fails once');
    return { type: 'offer', sdp: `ours ${this.#made += 1}${iceRestart ? ' restart' : ''}` };
  }

  async createAnswer() {
    await turn();
    assert.equal(this.signalingState, 'have-remote-offer');
    return { type: 'answer', sdp: `answer ${this.#made += 1}` };
  }

  async setLocalDescription({ type }) {
    await turn();
    if (type === 'offer') this.#step('local offer', ['stable'], 'have-local-offer');
    else if (type === 'answer') this.#step('local answer', ['have-remote-offer'], 'stable');
    else this.#step('local rollback', ['have-local-offer'], 'stable');
  }

  async setRemoteDescription({ type }) {
    await turn();
    if (type === 'offer') this.#step('remote offer', ['stable'], 'have-remote-offer');
    else if (type === 'answer') this.#step('remote answer', ['have-local-offer'], 'stable');
    else this.#step('remote rollback', ['have-remote-offer'], 'stable');
  }
}

const settle = async () => { for (let times = 0; times < 40; times += 1) await turn(); };

/**
 * Plays a script: `offer` and `restart` are ours, `their N` is the server's offer N, `answer`/`refuse` take the offer that is outstanding, `cut` loses the
 * way to the server, `mend` finds it again. A `+` in front of a step means at once, without waiting for the one before. Returns what was sent.
 */
async function play(script, { failing = [] } = {}) {
  const peer = new ScriptedPeer();
  const sent = [];
  const results = [];
  let isCut = false;
  let ids = 0;
  const send = (message) => !isCut && sent.push(message) > 0;
  const negotiation = new Negotiation(peer, { send, nextId: () => (ids += 1) });
  for (const name of failing) peer.failing.add(name);
  const note = (promise) => promise.then(() => results.push('done'), (error) => results.push(error.code));
  for (const step of script) {
    if (!step.startsWith('+')) await settle();
    const [verb, id] = step.replace('+', '').trim().split(' ');
    const last = sent.findLast(({ type }) => type === 'offer');
    if (verb === 'offer') note(negotiation.offer());
    else if (verb === 'restart') note(negotiation.offer({ iceRestart: true }));
    else if (verb === 'their') negotiation.take({ type: 'offer', id: Number(id), sdp: `theirs ${id}` });
    else if (verb === 'answer') negotiation.take({ type: 'answer', id: id === undefined ? last.id : Number(id), sdp: 'their answer' });
    else if (verb === 'refuse') negotiation.take({ type: 'error', request: 'offer', id: last.id, code: 'not_acceptable', message: 'no' });
    else if (verb === 'close') negotiation.close();
    else if (verb === 'mend') isCut = false;
    else if (verb === 'cut') {
      isCut = true;
      negotiation.abandon();
    }
  }
  await settle();
  return { sent: sent.map(({ type, id, sdp }) => `${type} ${id}${/restart/.test(sdp) ? ' restart' : ''}`), results, log: peer.log, state: peer.signalingState };
}

test('offers and answers take their turns, and those that cross are ours', async () => {
  const check = async (script, sent, results, options) => {
    const played = await play(script, options);
    assert.deepEqual([played.sent, played.results, played.state], [sent, results, 'stable'], `${script.join(', ')}: ${played.log.join(', ')}`);
  };
  await check(['offer', 'answer'], ['offer 1'], ['done']);
  await check(['their 1'], ['answer 1'], []);
  await check(['offer', 'answer', 'their 1', 'their 2'], ['offer 1', 'answer 1', 'answer 2'], ['done']);
  // Glare: while ours is made, while it is outstanding, and while it waits behind an answer.
  await check(['offer', '+their 1', 'answer'], ['offer 1'], ['done']);
  await check(['offer', 'their 1', 'answer', 'their 2'], ['offer 1', 'answer 2'], ['done']);
  await check(['their 1', '+offer', '+their 2', 'answer'], ['answer 1', 'offer 1'], ['done']);
  // What one wants while another waits is one offer; what one wants while another is outstanding is a second.
  await check(['offer', '+offer', '+restart', 'answer'], ['offer 1 restart'], ['done', 'done', 'done']);
  await check(['offer', 'offer', 'restart', 'answer', 'answer'], ['offer 1', 'offer 2 restart'], ['done', 'done', 'done']);
  // Only the server's latest offer is answered.
  await check(['their 1', '+their 2'], ['answer 2'], []);
  // Answers to nothing, or to something else.
  await check(['answer 7', 'offer', 'answer 9', 'answer 1', 'answer 1'], ['offer 1'], ['done']);
  // Refusals and interruptions leave a state to go on from.
  await check(['offer', 'refuse', 'offer', 'answer'], ['offer 1', 'offer 2'], ['refused', 'done']);
  await check(['offer', 'their 1', 'cut', 'mend', 'their 2'], ['offer 1', 'answer 2'], ['unsent']);
  await check(['cut', 'offer', 'mend', 'restart', 'answer'], ['offer 2 restart'], ['unsent', 'done']);
  await check(['cut', '+offer', '+mend', '+their 3', 'answer'], ['offer 1'], ['done']);
  // An offer of ours that fails before it is sent: the server, which knows nothing of it, waits for its own answer.
  await check(['offer', '+their 1'], ['answer 1'], ['failed'], { failing: ['createOffer'] });
  await check(['offer', '+their 1'], ['answer 1'], ['failed'], { failing: ['local offer'] });
  await check(['their 1', 'their 2'], ['answer 2'], [], { failing: ['remote offer'] });
  await check(['their 1', 'their 2'], ['answer 2'], [], { failing: ['local answer'] });
  await check(['offer', 'answer', 'offer', 'answer'], ['offer 1', 'offer 2'], ['failed', 'done'], { failing: ['remote answer'] });
});

test('after closing nothing is sent or negotiated', async () => {
  const { sent, results } = await play(['offer', 'close', 'offer', 'their 1']);
  assert.deepEqual([sent, results], [['offer 1'], ['unsent', 'closed']]);
});

test('an offer that nobody answers fails by itself', async () => {
  const peer = new ScriptedPeer();
  const negotiation = new Negotiation(peer, { send: () => true, nextId: () => 1 });
  await assert.rejects(negotiation.offer({ timeoutMs: 5 }), (error) => error instanceof NegotiationError && error.code === 'unanswered');
  assert.equal(peer.signalingState, 'stable');
});

test('the first offer goes its own way, and its answer is that of id 0', async () => {
  const peer = new ScriptedPeer();
  const sent = [];
  const negotiation = new Negotiation(peer, { send: (message) => sent.push(message) > 0, nextId: () => 1, tuneLocal: (sdp) => `${sdp} tuned` });
  const { sdp, answered } = await negotiation.first(0, 1000);
  assert.equal(sdp, 'ours 1 tuned');
  negotiation.take({ type: 'answer', id: 0, sdp: 'theirs' });
  await answered;
  assert.deepEqual([sent, peer.signalingState], [[], 'stable']);
});

test('any order of offers from both sides ends stable, and the last wish of ours is carried', async () => {
  let seed = 20261122;
  const random = (below) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % below;
  };
  for (let round = 0; round < 200; round += 1) {
    const script = [];
    for (let step = 0; step < 12; step += 1) {
      const verb = ['offer', 'restart', `their ${step + 1}`, 'answer 1', 'answer 2', 'answer 3', 'cut', 'mend'][random(8)];
      script.push(`${random(2) ? '+' : ''}${verb}`);
    }
    script.push('mend', 'offer');
    for (let id = 1; id < 14; id += 1) script.push(`answer ${id}`);
    const { state, results } = await play(script);
    assert.equal(state, 'stable', script.join(', '));
    assert.equal(results.at(-1), 'done', script.join(', '));
  }
});
