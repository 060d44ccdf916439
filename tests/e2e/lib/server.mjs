// The server under test: the real binary, on free ports, with a data directory of its own.
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { binary } from './paths.mjs';
import { start } from './process.mjs';

const READY_MS_MAX = 15_000;
const MEDIA_PORTS = 8;

/** Variables of the tests that look like the server's own: it would warn of them. */
const OURS = { PROSCENIUM_BIN: undefined, PROSCENIUM_E2E_HOUSE: undefined, PROSCENIUM_E2E_ROAD: undefined };

function tcpPort(port, address) {
  return new Promise((resolve) => {
    const probe = createServer().once('error', () => resolve(null));
    probe.listen(port, address, () => { const taken = probe.address().port; probe.close(() => resolve(taken)); });
  });
}

function udpPort(port, address) {
  return new Promise((resolve) => {
    const probe = createSocket('udp4').once('error', () => resolve(null));
    probe.bind(port, address, () => probe.close(() => resolve(port)));
  });
}

/** A port number such that it and the following ones are free for UDP and TCP: media threads count up from it. */
export async function freeMediaPort(address = '0.0.0.0') {
  for (let attempt = 0; attempt < 50; attempt++) {
    const base = 20_000 + Math.floor(Math.random() * 1000) * 10;
    let free = true;
    for (let port = base; free && port < base + MEDIA_PORTS; port++) {
      free = (await tcpPort(port, address)) !== null && (await udpPort(port, address)) !== null;
    }
    if (free) return base;
  }
  throw new Error('no run of free ports found between 20000 and 30000');
}

export const freePort = (address = '127.0.0.1') => tcpPort(0, address);

/**
 * Starts the server and waits until it says that it is ready. `config` is the text of a proscenium.toml.
 * It is ended by SIGTERM when the test is over, and its data directory removed, unless that is one of the test's own. With `port` and
 * `dataDir` of one that has ended it is that one, started again.
 */
export async function startServer(t, { command = 'serve', address = '127.0.0.1', config = '', dataDir, port, args = [], env = {} } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'proscenium-e2e-'));
  port ??= await freePort(address);
  const rtcPort = await freeMediaPort();
  const configPath = join(directory, 'proscenium.toml');
  writeFileSync(configPath, config);
  const flags = ['--config', configPath, '--listen', `${address}:${port}`, '--rtc-port', String(rtcPort), '--data-dir', dataDir ?? join(directory, 'data')];
  const process = start(t, 'server', binary(), [command, ...flags, ...args], { env: { ...OURS, RUST_LOG: 'info,proscenium=debug,venue=debug,sfu=debug,dtls=debug', ...env } });
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const server = new Server(process, `http://${address === '127.0.0.1' ? 'localhost' : address}:${port}`, port, rtcPort);
  await server.ready();
  return server;
}

class Server {
  constructor(process, url, port, rtcPort) {
    Object.assign(this, { process, url, port, rtcPort });
  }

  whip(path) { return `${this.url}/whip/${path}`; }
  whep(path) { return `${this.url}/whep/${path}`; }
  get bus() { return this.url.replace(/^http/, 'ws'); }
  hls(space) { return `${this.url}/live/${space}.m3u8`; }

  async ready() {
    const deadline = Date.now() + READY_MS_MAX;
    for (;;) {
      const response = await fetch(`${this.url}/readyz`).catch(() => null);
      if (response?.ok) return;
      if (this.process.exitCode !== null) throw new Error(`the server ended at once (${this.process.exitCode}):\n${this.process.tail()}`);
      if (Date.now() > deadline) throw new Error(`not ready within ${READY_MS_MAX} ms:\n${this.process.tail()}`);
      await sleep(50);
    }
  }

  /** What the pages are told about a space. */
  async space(name) {
    const response = await fetch(`${this.url}/api/spaces/${name}`);
    if (!response.ok) throw new Error(`GET /api/spaces/${name}: ${response.status}`);
    return response.json();
  }

  /** Waits until a stream of `space` has a track of a kind, which may come a moment after the other, and returns it. */
  async track(space, kind, timeoutMs = 15_000) {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = (await this.live(space, 'main', timeoutMs)).tracks.find((track) => track.kind === kind);
      if (found) return found;
      if (Date.now() > deadline) throw new Error(`${space} has no ${kind} after ${timeoutMs} ms`);
      await sleep(50);
    }
  }

  /** Waits until a stream of `space` is live and returns its entry. */
  async live(space, stream = 'main', timeoutMs = 15_000) {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const entry = (await this.space(space)).streams.find((candidate) => candidate.name === stream && candidate.live);
      if (entry) return entry;
      if (Date.now() > deadline) throw new Error(`${space}/${stream} is not live after ${timeoutMs} ms; server log:\n${this.process.tail()}`);
      await sleep(100);
    }
  }
}
