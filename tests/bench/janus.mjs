// Starts Debian's Janus with a video room and nothing else.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from '../e2e/lib/process.mjs';
import { freePort } from '../e2e/lib/server.mjs';

const LIBRARIES = '/usr/lib/x86_64-linux-gnu/janus';
export const ROOM = 1234;

/** Whose `url` is its HTTP transport. `address` is where media goes: libnice leaves loopback out. */
export async function startJanus(t, address) {
  const directory = mkdtempSync(join(tmpdir(), 'janus-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const port = await freePort(address);
  const empty = join(directory, 'events');
  mkdirSync(empty);
  writeFileSync(join(directory, 'janus.jcfg'), `
general: { configs_folder = "${directory}", plugins_folder = "${LIBRARIES}/plugins", transports_folder = "${LIBRARIES}/transports",
  events_folder = "${empty}", loggers_folder = "${empty}", debug_level = 2, session_timeout = 0, no_webrtc_encryption = false }
media: { rtp_port_range = "40000-60000" }
nat: { ice_enforce_list = "${address}", ice_ignore_list = "vmnet", nice_debug = false }
plugins: { disable = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so" }
transports: { disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so,libjanus_websockets.so" }
`);
  writeFileSync(join(directory, 'janus.transport.http.jcfg'), `
general: { json = "compact", base_path = "/janus", http = true, port = ${port}, ip = "${address}", https = false }
admin: { admin_http = false }
cors: { allow_origin = "*" }
`);
  writeFileSync(join(directory, 'janus.plugin.videoroom.jcfg'), `
room-${ROOM}: { description = "bench", publishers = 6, bitrate = 0, videocodec = "vp8,h264", audiocodec = "opus" }
`);
  const process = start(t, 'janus', 'janus', ['-F', directory, '-L', join(directory, 'log')], {});
  const url = `http://${address}:${port}`;
  const deadline = Date.now() + 10_000;
  for (;;) {
    const answer = await fetch(`${url}/janus/info`).catch(() => null);
    if (answer?.ok) return { url, pid: process.pid, stop: () => process.stop() };
    if (process.exitCode !== null || Date.now() > deadline) throw new Error(`Janus does not start:\n${process.tail()}`);
    await sleep(50);
  }
}
