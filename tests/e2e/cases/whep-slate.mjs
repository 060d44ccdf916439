// Viewers over WebRTC see a slate while nobody performs, in a space that wants it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inbound, openLab, openPage } from '../lib/browser.mjs';
import { startFfmpegWhip } from '../lib/ffmpeg.mjs';
import { figure } from '../lib/figures.mjs';
import { multivariant } from '../lib/hls.mjs';
import { startServer } from '../lib/server.mjs';

const config = '[[space]]\nname = "stage"\nwhep_slate = true\n';
const PICTURE = { gop: 30, picture: { width: 640, height: 360 } };

/** The performer's pictures have a number in them, the slate has letters. */
const isSlate = ({ value, spread }) => value === null && spread > 40;
const isPerformer = ({ value }) => value !== null;
const after = (seen, from) => seen.frames.filter(({ at }) => at >= from);
const metric = async (server, name) => Number(new RegExp(`^proscenium_${name} (\\d+)$`, 'm').exec(await (await fetch(`${server.url}/metrics`)).text())[1]);

/** Waits for a picture of a kind since `from`; returns how long that took, in ms, and what was seen. */
async function first(lab, viewer, what, is, from, timeoutMs) {
  const seen = await lab.until(viewer, what, (one) => after(one, from).some(is), timeoutMs);
  return { ms: after(seen, from).find(is).at - from, seen };
}

/** Nothing but the slate for some seconds: a picture each second, silence without a hole, and the page stays and `says` so. */
async function checkSlate({ lab, viewer, page }, seconds, says) {
  // The browser plays what it still has of the performer's sound.
  await sleep(800);
  const [from, before] = [Date.now(), await lab.seen(viewer)];
  await sleep(seconds * 1000);
  const seen = await lab.seen(viewer);
  const [video, audio] = ['video', 'audio'].map((kind) => inbound(seen, kind));
  const [wasVideo, wasAudio] = ['video', 'audio'].map((kind) => inbound(before, kind));
  const pictures = after(seen, from);
  assert.ok(pictures.every(isSlate), `no old picture: ${JSON.stringify(pictures)}`);
  assert.ok(video.framesDecoded - wasVideo.framesDecoded >= seconds - 1, `${video.framesDecoded - wasVideo.framesDecoded} decoded in ${seconds} s`);
  assert.equal(video.framesDropped, wasVideo.framesDropped);
  assert.ok(audio.packetsReceived - wasAudio.packetsReceived > seconds * 45, `${audio.packetsReceived - wasAudio.packetsReceived} packets of silence`);
  assert.ok(audio.totalAudioEnergy - wasAudio.totalAudioEnergy < 1e-4, `silence, not ${audio.totalAudioEnergy - wasAudio.totalAudioEnergy}`);
  const [state, badge] = await page.evaluate(() => [document.querySelector('[data-state]').dataset.state, document.querySelector('.badge.live').textContent]);
  assert.deepEqual([state, badge], ['live', says]);
}

test('viewers over WebRTC see a slate while FFmpeg is away, and FFmpeg again when it is back', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t, { config });
  const performer = startFfmpegWhip(t, server.whip('stage'), PICTURE);
  await server.live('stage');
  const lab = await openLab(t);
  const viewer = await lab.whep(server.whep('stage'));
  const page = await openPage(t, `${server.url}/stage`);
  const all = { lab, viewer, page };
  await lab.until(viewer, 'showing FFmpeg', (seen) => seen.frames.filter(isPerformer).length > 30);
  await multivariant(server.hls('stage'));
  assert.equal(await metric(server, 'whep_slates_total'), 0);

  let from = Date.now();
  performer.child.kill('SIGSTOP');
  let { ms, seen } = await first(lab, viewer, 'showing the slate', isSlate, from, 5000);
  figure('slate over WebRTC: FFmpeg stopped, to be seen after', `${ms} ms`);
  // Two seconds of nothing, a tenth until that is noticed, and what a busy machine takes.
  assert.ok(ms < 3000, `${ms} ms until the slate`);
  assert.deepEqual([seen.frames.at(-1).width, seen.frames.at(-1).height], [640, 360]);
  // Who is still connected may be back at any moment.
  await checkSlate(all, 3, 'Live');
  from = Date.now();
  performer.child.kill('SIGCONT');
  ({ ms } = await first(lab, viewer, 'showing FFmpeg again', isPerformer, from, 5000));
  figure('slate over WebRTC: FFmpeg goes on, to be seen after', `${ms} ms`);
  // A second until the next keyframe of its own, and what a busy machine takes.
  assert.ok(ms < 2000, `${ms} ms until FFmpeg`);
  assert.equal(await metric(server, 'whep_slates_total'), 2);
  await sleep(1000);

  from = Date.now();
  await performer.stop();
  ({ ms } = await first(lab, viewer, 'showing the slate', isSlate, from, 5000));
  figure('slate over WebRTC: FFmpeg left, to be seen after', `${ms} ms`);
  assert.ok(ms < 2500, `${ms} ms until the slate`);
  const { streams } = await server.space('stage');
  assert.deepEqual(streams.map(({ live, since, slate }) => ({ live, since, slate })), [{ live: false, since: null, slate: true }], 'nobody performs');
  // Longer than the page waits for who left without a slate.
  await checkSlate(all, 6, 'Back in a moment');
  startFfmpegWhip(t, server.whip('stage'), PICTURE);
  await server.live('stage');
  from = Date.now();
  ({ ms, seen } = await first(lab, viewer, 'showing the next FFmpeg', isPerformer, from, 5000));
  figure('slate over WebRTC: the next FFmpeg is live, to be seen after', `${ms} ms`);
  assert.ok(ms < 1000, `${ms} ms until the next FFmpeg`);
  await sleep(1000);
  seen = await lab.seen(viewer);
  assert.ok(after(seen, from + ms).every(isPerformer), 'the slate is over');
  const later = await lab.until(viewer, 'heard', (one) => inbound(one, 'audio').totalAudioEnergy > inbound(seen, 'audio').totalAudioEnergy + 1e-4, 5000);
  assert.equal(later.state, 'connected');
  assert.equal(await metric(server, 'whep_slates_missed_total'), 0);
});

test('a viewer of VP8 sees the slate when the performer\'s page ends its session', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t, { config });
  const [stage, lab] = [await openLab(t), await openLab(t)];
  const publish = () => stage.whip(server.whip('stage'), { codec: 'VP8' });
  const performer = await publish();
  await server.track('stage', 'video');
  const viewer = await lab.whep(server.whep('stage'));
  await lab.until(viewer, 'showing the performer', (seen) => seen.frames.filter(isPerformer).length > 30);
  let from = Date.now();
  assert.equal(await stage.close(performer), 200);
  let { ms, seen } = await first(lab, viewer, 'showing the slate', isSlate, from, 5000);
  figure('slate over WebRTC: VP8 ended by DELETE, to be seen after', `${ms} ms`);
  assert.ok(ms < 1500, `${ms} ms until the slate`);
  assert.equal(inbound(seen, 'video').codec, 'video/H264');
  // Of VP8 there is no HLS that says how large its pictures are.
  assert.deepEqual([seen.frames.at(-1).width, seen.frames.at(-1).height], [1280, 720]);
  await sleep(1000);
  await publish();
  await server.live('stage');
  from = Date.now();
  ({ ms, seen } = await first(lab, viewer, 'showing the performer again', isPerformer, from, 5000));
  figure('slate over WebRTC: VP8 is live again, to be seen after', `${ms} ms`);
  assert.ok(ms < 1000, `${ms} ms until the performer`);
  assert.equal(inbound(seen, 'video').codec, 'video/VP8');
});
