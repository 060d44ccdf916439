// Clients of the message bus, with Node's `ws`.
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';

const PATIENCE_MS = 10_000;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

/** Sixteen letters, as clients name their messages. */
const makeId = () => Array.from({ length: 16 }, () => LETTERS[Math.floor(Math.random() * LETTERS.length)]).join('');

/** A message as the pages make them, as text. */
export function envelope(type, value, more = {}) {
  return JSON.stringify({ id: makeId(), datetime: new Date().toISOString(), type, channel: 'residence', userId: 'nodeuser', userName: 'Node', value, ...more });
}

/** Connects to `url`, and disconnects when test `t` is over. */
export async function openBus(t, url, options) {
  const socket = new WebSocket(url, options);
  t.after(() => socket.terminate());
  const client = new Client(socket);
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return client;
}

class Client {
  /** All that it heard: `bytes`, `isBinary`, and what they mean as JSON, if anything. */
  heard = [];
  closed = null;

  constructor(socket) {
    this.socket = socket;
    socket.on('message', (bytes, isBinary) => {
      let message = null;
      try { message = JSON.parse(bytes.toString()); } catch { /* Not everything is JSON. */ }
      this.heard.push({ bytes, isBinary, message });
    });
    socket.on('close', (code) => { this.closed = code; });
    socket.on('error', () => {});
  }

  say(data, options) { this.socket.send(data, options); }

  /** Waits until something that `wanted` is true of was heard, and returns it. */
  async until(what, wanted) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = this.heard.find(wanted);
      if (found) return found;
      if (this.closed !== null) throw new Error(`closed with ${this.closed} before ${what}`);
      if (Date.now() > deadline) throw new Error(`${what} was not heard; heard were ${this.heard.map(({ bytes }) => bytes.toString().slice(0, 200)).join('\n')}`);
      await sleep(10);
    }
  }

  /** Waits for exactly these bytes, in a frame of this kind. */
  async untilBytes(data, isBinary = false) {
    const bytes = Buffer.from(data);
    return this.until(`${isBinary ? 'binary' : 'text'} ${bytes.toString().slice(0, 100)}`, (one) => one.isBinary === isBinary && one.bytes.equals(bytes));
  }

  /** Waits for a message of a type. */
  async untilType(type) {
    return (await this.until(type, (one) => one.message?.type === type)).message;
  }
}
