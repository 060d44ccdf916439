// Janus's video room as a performer and as a viewer, for comparison with the same scene and the same clock.
import { gathered, keep, prefer, scene, viewer } from './client.js';

const EVENTS_MAX = 50;
const TRIES_MAX = 50;

async function call(url, message) {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify({ transaction: 'lab', ...message }) });
  const reply = await response.json();
  if (reply.janus === 'error') throw new Error(`Janus: ${reply.error.reason}`);
  return reply;
}

async function attach(url) {
  const session = (await call(`${url}/janus`, { janus: 'create' })).data.id;
  const handle = (await call(`${url}/janus/${session}`, { janus: 'attach', plugin: 'janus.plugin.videoroom' })).data.id;
  const send = (body, jsep) => call(`${url}/janus/${session}/${handle}`, { janus: 'message', body, ...(jsep && { jsep }) });
  const event = async (kind) => {
    for (let i = 0; i < EVENTS_MAX; i++) {
      const next = await (await fetch(`${url}/janus/${session}`)).json();
      if (next.plugindata?.data?.error) throw new Error(`Janus: ${next.plugindata.data.error}`);
      if (next.jsep?.type === kind) return next;
    }
    throw new Error(`Janus sent no ${kind}`);
  };
  return { send, event };
}

/** Performs and returns the feed's number. */
async function janusPublish(url, { room, codec, picture }) {
  const { send, event } = await attach(url);
  const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const stream = scene(picture);
  const video = pc.addTransceiver(stream.getVideoTracks()[0], { direction: 'sendonly', sendEncodings: [{ maxBitrate: 1_500_000 }] });
  prefer(video, 'video', codec);
  pc.addTransceiver(stream.getAudioTracks()[0], { direction: 'sendonly' });
  await pc.setLocalDescription();
  await gathered(pc);
  await send({ request: 'joinandconfigure', room, ptype: 'publisher', audio: true, video: true }, pc.localDescription.toJSON());
  const answer = await event('answer');
  await pc.setRemoteDescription(answer.jsep);
  keep({ pc, frames: [] });
  return answer.plugindata.data.id;
}

async function janusView(url, { room, feed }) {
  const { send, event } = await attach(url);
  const session = viewer();
  // A feed can be joined only once its media flows.
  let offer;
  for (let tries = 0; !offer; tries++) {
    await send({ request: 'join', room, ptype: 'subscriber', streams: [{ feed }] });
    offer = await event('offer').catch((error) => {
      if (tries >= TRIES_MAX || !/No such feed/.test(error.message)) throw error;
    });
    if (!offer) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await session.pc.setRemoteDescription(offer.jsep);
  await session.pc.setLocalDescription();
  await gathered(session.pc);
  await send({ request: 'start' }, session.pc.localDescription.toJSON());
  return keep(session);
}

Object.assign(window.lab, { janusPublish, janusView });
