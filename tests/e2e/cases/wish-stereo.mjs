// Chromium with nothing but RTCPeerConnection and fetch, as any page has it: what such a page offers in two channels arrives in two.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { startServer } from '../lib/server.mjs';

/** In the page: a tone in the left channel alone, offered both ways by `addTrack`. */
async function perform([url, parameters]) {
  const audio = new AudioContext({ sampleRate: 48_000 });
  const merger = new ChannelMergerNode(audio, { numberOfInputs: 2 });
  const tone = new OscillatorNode(audio, { frequency: 440 });
  tone.connect(new GainNode(audio, { gain: 0.5 })).connect(merger, 0, 0);
  new ConstantSourceNode(audio, { offset: 0 }).connect(merger, 0, 1);
  const destination = new MediaStreamAudioDestinationNode(audio, { channelCount: 2 });
  merger.connect(destination);
  tone.start();
  const pc = new RTCPeerConnection();
  pc.addTrack(destination.stream.getAudioTracks()[0], destination.stream);
  const offer = await pc.createOffer();
  const sdp = offer.sdp.replace(/^(a=fmtp:111 [^\r\n]*)/m, `$1${parameters}`);
  await pc.setLocalDescription({ type: 'offer', sdp });
  const response = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: sdp });
  const answer = await response.text();
  await pc.setRemoteDescription({ type: 'answer', sdp: answer });
  window.kept = { pc, audio };
  return { status: response.status, answer };
}

/** In the page: watches, and says how loud each channel is once something is heard. */
async function listen(url) {
  const pc = new RTCPeerConnection();
  pc.addTransceiver('audio');
  const track = new Promise((resolve) => { pc.ontrack = (event) => resolve(event.track); });
  const offer = await pc.createOffer();
  const sdp = offer.sdp.replace(/^(a=fmtp:111 [^\r\n]*)/m, '$1;stereo=1');
  await pc.setLocalDescription({ type: 'offer', sdp });
  const post = () => fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: sdp });
  const patience = Date.now() + 15_000;
  let response = await post();
  while (response.status === 409 && Date.now() < patience) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    response = await post();
  }
  const answer = await response.text();
  await pc.setRemoteDescription({ type: 'answer', sdp: answer });
  const stream = new MediaStream([await track]);
  const element = Object.assign(new Audio(), { srcObject: stream, muted: true });
  await element.play();
  const audio = new AudioContext({ sampleRate: 48_000 });
  const splitter = new ChannelSplitterNode(audio, { numberOfOutputs: 2 });
  new MediaStreamAudioSourceNode(audio, { mediaStream: stream }).connect(splitter);
  const meters = [0, 1].map((channel) => {
    const meter = new AnalyserNode(audio, { fftSize: 8192 });
    splitter.connect(meter, channel);
    return meter;
  });
  const loudness = (meter) => {
    const samples = new Float32Array(meter.fftSize);
    meter.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  };
  window.kept = { pc, audio, element };
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const [left, right] = meters.map(loudness);
    if (left > 0.05 || Date.now() > patience) {
      // The first moments of a stream are faded in.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return { status: response.status, answer, loudness: meters.map(loudness), early: [left, right] };
    }
  }
}

for (const [name, parameters, isStereo] of [['two channels', ';stereo=1;maxaveragebitrate=128000', true], ['one channel', '', false]]) {
  test(`a page that is not ours and offers ${name} is heard in ${name}`, { timeout: 60_000 }, async (t) => {
    const server = await startServer(t);
    const performer = await openPage(t, `${server.url}/healthz`);
    const viewer = await openPage(t, `${server.url}/healthz`);
    const sent = await performer.evaluate(perform, [server.whip('stage'), parameters]);
    assert.equal(sent.status, 201, sent.answer);
    assert.match(sent.answer, /^a=recvonly\r$/m);
    assert.equal(/[; ]stereo=1/.test(sent.answer), isStereo, sent.answer);

    const seen = await viewer.evaluate(listen, server.whep('stage'));
    assert.equal(seen.status, 201, seen.answer);
    assert.match(seen.answer, /^a=sendonly\r$/m);
    assert.match(seen.answer, /sprop-stereo=1/);
    const [left, right] = seen.loudness;
    figure(`WHIP to WHEP, ${name} offered: loudness left, right`, `${left.toFixed(3)}, ${right.toFixed(3)}`);
    assert.ok(left > 0.05, `nothing is heard: ${seen.loudness}`);
    assert.equal(right < left / 10, isStereo, `left ${left}, right ${right}`);
  });
}
