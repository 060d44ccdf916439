// Makes the moves on the wire that MediaMTX's own pages make: ICE servers are read from OPTIONS only, the publisher's offer is
// `sendrecv` and sent with one codec of each kind, candidates are sent with `If-Match: *`, and whatever is not as expected ends it.

/** How MediaMTX writes a server, and nothing else. */
const ICE_SERVER = /^<(.+?)>; rel="ice-server"(; username="(.*?)"; credential="(.*?)"; credential-type="password")?/i;

async function iceServers(url) {
  const link = (await fetch(url, { method: 'OPTIONS' })).headers.get('Link');
  return (link?.split(', ') ?? []).map((text) => {
    const [, address, , username, credential] = ICE_SERVER.exec(text);
    return username === undefined ? { urls: [address] } : { urls: [address], username, credential };
  });
}

/** The sections of a description, the session's own first. */
const sections = (sdp) => sdp.split(/^(?=m=)/m);
const payloads = (section, codec) => [...section.matchAll(/^a=rtpmap:(\d+) ([^/]+)\//gm)].filter(([, , name]) => name.toLowerCase() === codec).map(([, number]) => number);

/** A section with the payloads of one codec alone. */
function only(section, codec) {
  const kept = payloads(section, codec);
  return section.split('\r\n').map((line, i) => (i === 0 ? [...line.split(' ').slice(0, 3), ...kept].join(' ') : line))
    .filter((line) => !/^a=(rtpmap|fmtp|rtcp-fb):/.test(line) || kept.includes(line.split(':')[1].split(' ')[0])).join('\r\n');
}

const withOpus = (section, change) => {
  const [number] = payloads(section, 'opus');
  return section.replace(new RegExp(`^(a=fmtp:${number} )(.*)$`, 'm'), (_, head, parameters) => head + change(parameters.trimEnd()));
};

/** What the publisher's page sends, which is not what it keeps as its own description. */
const publishersOffer = (sdp) => sections(sdp).map((section) => {
  if (section.startsWith('m=video')) return only(section, 'h264');
  if (section.startsWith('m=audio')) return withOpus(only(section, 'opus'), () => 'maxplaybackrate=48000;stereo=1;sprop-stereo=1;maxaveragebitrate=131072');
  return section;
}).join('');

/** Adds sound with more channels than browsers offer by themselves, as the reader's page does. */
function readersOffer(sdp) {
  return sections(sdp).map((section) => {
    if (!section.startsWith('m=audio')) return section;
    const taken = section.split('\r\n')[0].split(' ').slice(3).map(Number);
    const free = Array.from({ length: 32 }, (_, i) => 96 + i).filter((number) => !taken.includes(number));
    const more = ['L16/48000/2', 'multiopus/48000/6'].map((codec) => [free.shift(), codec]);
    const lines = withOpus(section, (parameters) => `${parameters};stereo=1;sprop-stereo=1`).split('\r\n');
    lines[0] += more.map(([number]) => ` ${number}`).join('');
    lines.splice(-1, 0, ...more.flatMap(([number, codec]) => [`a=rtpmap:${number} ${codec}`,
      ...(codec.startsWith('multi') ? [`a=fmtp:${number} channel_mapping=0,4,1,2,3,5;num_streams=4;coupled_streams=2`] : []), `a=rtcp-fb:${number} transport-cc`]));
    return lines.join('\r\n');
  }).join('');
}

function fragment(offer, candidates) {
  const value = (name) => new RegExp(`^a=${name}:(.*)$`, 'm').exec(offer)[1].trimEnd();
  const medias = offer.match(/^m=.*$/gm).map((line) => line.trimEnd());
  const parts = medias.map((media, index) => [media, index, candidates.filter((candidate) => candidate.sdpMLineIndex === index)]).filter(([, , own]) => own.length > 0);
  return [`a=ice-ufrag:${value('ice-ufrag')}`, `a=ice-pwd:${value('ice-pwd')}`,
    ...parts.flatMap(([media, index, own]) => [media, `a=mid:${index}`, ...own.map(({ candidate }) => `a=${candidate}`)]), ''].join('\r\n');
}

/** Offers what `kept` makes of the browser's offer, sends what `sent` makes of that, and trickles until something is not as expected. */
async function connect(pc, url, { kept = (sdp) => sdp, sent = (sdp) => sdp }) {
  const errors = [];
  const { sdp } = await pc.createOffer();
  const offer = { type: 'offer', sdp: kept(sdp) };
  let resource = null, waiting = [];
  const fail = (error) => {
    errors.push(String(error));
    pc.close();
    if (resource) fetch(resource, { method: 'DELETE' });
  };
  const trickle = async (candidates) => {
    const response = await fetch(resource, { method: 'PATCH', headers: { 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': '*' }, body: fragment(offer.sdp, candidates) });
    if (response.status !== 204) fail(`PATCH: ${response.status} ${await response.text()}`);
  };
  pc.addEventListener('icecandidate', ({ candidate }) => {
    if (candidate && resource) trickle([candidate]).catch(fail);
    else if (candidate) waiting.push(candidate);
  });
  pc.addEventListener('connectionstatechange', () => { if (pc.connectionState === 'failed') fail('the connection failed'); });
  await pc.setLocalDescription(offer);
  const response = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: sent(offer.sdp) });
  if (response.status !== 201) throw new Error(`POST: ${response.status} ${await response.text()}`);
  resource = new URL(response.headers.get('Location'), url).href;
  await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
  if (waiting.length > 0) trickle(waiting).catch(fail);
  waiting = [];
  return { pc, errors, stop: async () => { pc.close(); await fetch(resource, { method: 'DELETE' }); } };
}

export async function publishAsMediamtx(url, stream) {
  const pc = new RTCPeerConnection({ iceServers: await iceServers(url) });
  for (const track of stream.getTracks()) pc.addTrack(track, stream);
  return connect(pc, url, { sent: publishersOffer });
}

export async function readAsMediamtx(url, onTrack) {
  const pc = new RTCPeerConnection({ iceServers: await iceServers(url) });
  for (const kind of ['video', 'audio']) pc.addTransceiver(kind, { direction: 'sendrecv' });
  pc.addEventListener('track', ({ track }) => onTrack(track));
  return connect(pc, url, { kept: readersOffer });
}
