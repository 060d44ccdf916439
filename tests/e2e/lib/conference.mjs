// Participants of a conference: tabs that use the client library which every page can use.
import { setTimeout as sleep } from 'node:timers/promises';
import { openPage } from './browser.mjs';
import { openFirefox } from './firefox.mjs';

/** Runs in the page: a camera that is a moving picture with its owner's hue, a microphone that hums. */
function prepare() {
  // The way to the server, which a test can close.
  const Original = window.WebSocket;
  window.signalling = { sockets: [], isOpen: true };
  window.WebSocket = class extends Original {
    constructor(url, ...others) {
      super(window.signalling.isOpen ? url : 'ws://127.0.0.1:1/', ...others);
      window.signalling.sockets.push(this);
    }
  };
  // Data channels, by their labels, which a test can close: the last one of each.
  const open = RTCPeerConnection.prototype.createDataChannel;
  window.channels = {};
  RTCPeerConnection.prototype.createDataChannel = function (label, options) {
    return (window.channels[label] = open.call(this, label, options));
  };
  window.devices = ({ hue = 0, hz = 440, width = 640, height = 360, rate = 20, isBusy = false } = {}) => {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const pen = canvas.getContext('2d');
    let turn = 0;
    // Grain that is elsewhere in each picture takes the bits that an encoder may spend.
    const grain = new ImageData(Math.ceil(width / 3), Math.ceil(height / 3));
    for (let at = 0; isBusy && at < grain.data.length; at += 4) grain.data.set([Math.random() * 256, Math.random() * 256, Math.random() * 256, 255], at);
    setInterval(() => {
      pen.fillStyle = `hsl(${hue} 90% 50%)`;
      pen.fillRect(0, 0, width, height);
      pen.fillStyle = '#fff';
      if (isBusy) pen.putImageData(grain, (turn * 37) % width, (turn * 53) % height);
      pen.fillRect((turn += 7) % width, height / 3, 40, height / 3);
    }, 1000 / rate);
    const context = new AudioContext();
    const tone = new OscillatorNode(context, { frequency: hz });
    const loudness = new GainNode(context, { gain: 0.4 });
    const microphone = new MediaStreamAudioDestinationNode(context);
    tone.connect(loudness).connect(microphone);
    tone.start();
    window.loudness = loudness;
    return { audio: microphone.stream.getAudioTracks()[0], video: canvas.captureStream(rate).getVideoTracks()[0] };
  };
  window.enter = async (space, { camera = {}, ...options }) => {
    const { Conference } = await import('/web/lib/conference.js');
    const conference = new Conference(space, options);
    window.conference = conference;
    window.heard = [];
    for (const type of ['state', 'media', 'error', 'track', 'permissions', 'participants', 'muted', 'unpublished', 'speakers']) {
      conference.addEventListener(type, ({ detail }) => {
        if (window.heard.length < 5000) window.heard.push(JSON.parse(JSON.stringify({ type, at: Date.now(), ...detail }, (_, value) => (value instanceof MediaStreamTrack ? value.id : value))));
      });
    }
    await conference.join(camera ? window.devices(camera) : {});
    return conference.self?.id;
  };
  window.report = async () => ({
    state: conference.state, media: conference.media, id: conference.self?.id, role: conference.role, permissions: conference.permissions,
    people: [...conference.participants.values()], speakers: conference.speakers, quality: [...conference.quality], now: Date.now(), ...(await conference.stats()),
  });
}

/**
 * Opens a tab and takes part in `space`. Options are those of `Conference`, and `camera`: what it shows and how it sounds, or null for nothing;
 * `browser`: another one than the shared Chromium; `isTcpOnly`: no candidate of the server's UDP gets to it.
 */
export async function enter(t, server, space, { browser, isTcpOnly, ...options }) {
  const page = await openPage(t, `${server.url}/`, { init: prepare, browser });
  if (isTcpOnly) await page.evaluate(closeUdp);
  return join(page, space, options);
}

/** Runs in the page: of what the server says, only its TCP addresses arrive. */
function closeUdp() {
  const Original = window.RTCPeerConnection;
  window.connections = [];
  window.RTCPeerConnection = class extends Original {
    constructor(...values) {
      super(...values);
      window.connections.push(this);
    }
    setRemoteDescription({ type, sdp }) {
      return super.setRemoteDescription({ type, sdp: sdp.split('\r\n').filter((line) => !/^a=candidate:\S+ \d+ udp/i.test(line)).join('\r\n') });
    }
  };
}

/** Runs in Firefox: its microphone is the one that beeps. */
async function beep() {
  const draw = window.devices;
  const [audio] = (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks();
  window.devices = (camera) => ({ ...draw(camera), audio });
}

/** The same in a Firefox, for which the server must be on an interface: it never pairs its addresses with a loopback candidate. */
export async function enterFirefox(t, server, space, options) {
  const page = await openFirefox(t, `${server.url}/`);
  await page.evaluate(prepare);
  await page.evaluate(beep);
  return join(page, space, options);
}

async function join(page, space, options) {
  const tab = new Participant(page, options.name);
  const { id, code, message } = await page.evaluate(([s, o]) => window.enter(s, o).then((id) => ({ id }), (error) => ({ code: error.code ?? '', message: String(error) })), [space, options]);
  if (!id) throw Object.assign(new Error(`${options.name} did not get in: ${message}`), { code });
  tab.id = id;
  return tab;
}

export class Participant {
  constructor(page, name) { Object.assign(this, { page, name, id: '' }); }

  report() { return this.page.evaluate(() => window.report()); }
  heard(type) { return this.page.evaluate((wanted) => window.heard.filter((event) => event.type === wanted), type); }
  /** Calls a method of the conference. */
  call(method, ...values) { return this.page.evaluate(([m, v]) => { window.conference[m](...v); }, [method, values]); }

  /** Waits until `enough(report)` holds, or resolves to what does, and returns the report. */
  async until(what, enough, timeoutMs = 20_000) {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const report = await this.report();
      if (await enough(report)) return report;
      if (Date.now() > deadline) throw new Error(`${this.name}: not ${what} within ${timeoutMs} ms: ${outline(report)}\n${JSON.stringify((await this.page.evaluate(() => window.heard)).slice(-15))}\n${this.page.messages.join('\n')}`);
      await sleep(100);
    }
  }

  /** Waits until this one sees and hears the others. */
  meets(others, timeoutMs) {
    return this.until(`meeting ${others.map(({ name }) => name)}`, (report) => others.every(({ id }) => pictures(report, id) > 5 && sound(report, id) > 0.001), timeoutMs);
  }
}

const figuresOf = (report, id, kind, source) => report.inbound.filter((entry) => entry.id === id && entry.kind === kind && entry.source === source);

/** Pictures of somebody that were decoded, in the slot that shows them now. */
export const pictures = (report, id, source = 'camera') => figuresOf(report, id, 'video', source).reduce((sum, { frames }) => sum + frames, 0);
/** Energy of somebody's sound, in the slot that carries it now. */
export const sound = (report, id, source = 'camera') => figuresOf(report, id, 'audio', source).reduce((sum, { energy }) => sum + energy, 0);

/** A report in a line. */
export function outline({ state, media, people, inbound, outbound }) {
  const seen = inbound.map(({ id, source, kind, mid, packets, frames, energy }) => `${mid}:${kind} ${id || '-'} ${source} packets=${packets} frames=${frames} energy=${energy.toFixed(4)}`);
  const sent = outbound.map(({ kind, rid, packets, active }) => `${kind}${rid && ` ${rid}`}=${packets}${active ? '' : ' rests'}`);
  return `${state}, media ${media}, ${people.length} people; receives ${seen.join(', ') || 'nothing'}; sends ${sent.join(', ')}`;
}
