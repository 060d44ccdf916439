// The test page as a participant of a conference, by the client library of the server under test.
import { keep, scene, viewer } from './client.js';

/** Joins `space` of the venue at `url` and shows whoever sends pictures. `codec`: also sends, and this. */
async function meet(url, space, { name, codec }) {
  const { Conference } = await import(`${url}/web/lib/conference.js`);
  const session = viewer();
  const conference = new Conference(space, { name, url, ...(codec && { codecs: [codec] }) });
  conference.addEventListener('track', ({ detail: { kind, track } }) => {
    if (kind === 'video' && track) session.video.srcObject = new MediaStream([track]);
  });
  const stream = codec ? scene() : new MediaStream();
  await conference.join({ audio: stream.getAudioTracks()[0], video: stream.getVideoTracks()[0] });
  session.conference = conference;
  return keep(session);
}

window.lab.meet = meet;
