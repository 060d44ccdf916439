// A stock nginx in front, as docs/nginx.conf says, and two hundred viewers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPage } from '../lib/browser.mjs';
import { startFfmpegWhip } from '../lib/ffmpeg.mjs';
import { figure } from '../lib/figures.mjs';
import { media, multivariant } from '../lib/hls.mjs';
import { settingsBehindNginx, startNginxInFront } from '../lib/nginx.mjs';
import { load } from '../lib/paths.mjs';
import { describe, fatal, longestFreeze, openPlayer } from '../lib/player.mjs';
import { runJson } from '../lib/process.mjs';
import { startServer } from '../lib/server.mjs';

const VIEWERS = 200;
const SECONDS = 15;

test(`${VIEWERS} viewers behind a caching nginx cost the server one question for each part and playlist`, { timeout: 120_000 }, async (t) => {
  const server = await startServer(t, { config: settingsBehindNginx() });
  startFfmpegWhip(t, server.whip('stage'), { gop: 60, picture: { width: 320, height: 180 } });
  const { variants } = await multivariant(server.hls('stage'));
  await media(variants[0].url, (playlist) => playlist.segments.filter((segment) => segment.uri).length > 2);
  const nginx = await startNginxInFront(t, new URL(server.url).host);
  const player = await openPlayer(t);
  await player.play(`${nginx.url}/live/stage.m3u8`);
  const args = ['hls', '--url', `${nginx.url}/live/stage.m3u8`, '--pid', String(server.process.pid), '--bind', '127.0.0.1', '--viewers', String(VIEWERS), '--seconds', String(SECONDS), '--parts'];
  const seen = await runJson(t, 'load', load(), args, (SECONDS + 30) * 1000);
  assert.equal(seen.failed, 0, seen.first_failure);
  assert.ok(seen.parts_published >= SECONDS, `only ${seen.parts_published} parts in ${SECONDS} s`);

  const asked = new Map();
  for (const line of nginx.log('origin.log').trim().split('\n')) {
    const [status, cache, , uri] = line.split(' ');
    asked.set(uri, [...(asked.get(uri) ?? []), `${status} ${cache}`]);
  }
  const parts = [...asked].filter(([uri]) => uri.endsWith('.m4s'));
  const playlists = [...asked].filter(([uri]) => uri.includes('_HLS_msn='));
  const often = (entries) => entries.filter(([, answers]) => answers.length > 1);
  figure(`HLS, ${VIEWERS} viewers behind nginx`, `got ${seen.playlists} playlists and ${Math.round(seen.bytes / 1e6)} MB of parts; `
    + `the server was asked for ${playlists.length} and ${parts.length}, ${often(playlists).length + often(parts).length} of them more than once`);
  figure(`HLS, ${VIEWERS} viewers behind nginx: told of a part after the first`, `median ${seen.release_ms.median} ms, p99 ${seen.release_ms.p99} ms; part fetched in p99 ${seen.part_ms.p99} ms; joined in p99 ${seen.join_ms.p99} ms`);
  assert.ok(parts.length >= seen.parts_published, `${parts.length} parts asked of the server, ${seen.parts_published} published`);
  assert.deepEqual(often(parts), []);
  assert.deepEqual(often(playlists), []);
  // Who waits in nginx for another's question looks every half second whether the answer is there.
  assert.ok(seen.release_ms.p99 < 3000, `p99 ${seen.release_ms.p99} ms`);

  const shown = await player.seen();
  const freeze = longestFreeze(shown.frames, shown.frames[0].at + 4000);
  figure(`HLS, hls.js among ${VIEWERS} viewers behind nginx`, `${shown.latency.toFixed(2)} s behind, longest freeze after 4 s: ${freeze} ms, ${shown.stalls} stalls`);
  assert.deepEqual(fatal(shown), [], describe(shown));
  assert.ok(shown.latency < 8, describe(shown));
  assert.ok(freeze < 5000, describe(shown));
});

test('a page behind nginx with TLS plays by WebRTC, hears messages, and is given HLS over HTTP/2', { timeout: 90_000 }, async (t) => {
  const server = await startServer(t, { command: 'demo', config: settingsBehindNginx() });
  await server.live('demo');
  const { tlsUrl } = await startNginxInFront(t, new URL(server.url).host);
  const page = await openPage(t, `${tlsUrl}/demo`, { ignoreHTTPSErrors: true });
  assert.equal(await page.evaluate(() => window.isSecureContext && location.protocol), 'https:');
  await page.locator('[data-way="webrtc"][data-state="live"]').waitFor({ state: 'attached', timeout: 20_000 });
  await page.waitForFunction(() => [...document.querySelectorAll('video')].some((video) => video.getVideoPlaybackQuality().totalVideoFrames > 20), null, { timeout: 20_000 });
  // The page's own connection for messages, and one beside it.
  const welcome = await page.evaluate(() => new Promise((resolve, reject) => {
    const socket = new WebSocket(`wss://${location.host}/ws/demo`);
    socket.onmessage = ({ data }) => { resolve(data); socket.close(); };
    socket.onerror = () => reject(new Error('no WebSocket through nginx'));
  }));
  assert.ok('welcome' in JSON.parse(welcome), welcome);
  const hls = await page.evaluate(async () => {
    const read = async (url) => {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`${response.status} ${url}`);
      return { url: response.url, text: await response.text() };
    };
    const first = ({ url, text }) => new URL(text.split('\n').find((line) => line && !line.startsWith('#')), url).href;
    const master = await read('/live/demo.m3u8');
    const playlist = await read(first(master));
    const segment = first(playlist);
    const length = (await (await fetch(segment)).arrayBuffer()).byteLength;
    const entries = performance.getEntriesByType('resource').filter(({ name }) => [master.url, playlist.url, segment].includes(name));
    return { segment, length, protocols: entries.map((entry) => entry.nextHopProtocol) };
  });
  assert.ok(hls.segment.startsWith(`${tlsUrl}/hls/demo/`) && hls.length > 10_000, JSON.stringify(hls));
  assert.deepEqual(hls.protocols, ['h2', 'h2', 'h2']);
  const mixed = page.messages.filter((message) => /mixed content|http:\/\//i.test(message));
  assert.deepEqual(mixed, []);
});
