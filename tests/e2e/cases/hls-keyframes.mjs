// Playlists of keyframes: read by FFmpeg, shown in fast motion by shaka-player and above a time line by hls.js.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { figure } from '../lib/figures.mjs';
import { media, multivariant, parseMedia } from '../lib/hls.mjs';
import { describe, fatal, openPlayer } from '../lib/player.mjs';
import { startServer } from '../lib/server.mjs';

const SEGMENTS = 4;
const TRICK_RATE = 4;
const TRICK_MS = 1500;
/** A picture is between two keyframes for so long. */
const SEGMENT_S = 2;

/** What shaka-player says of a part that was hinted and then did not come, as the last one of a segment may not; it goes on. */
const NOT_FOUND = '1001';

const complete = (playlist) => playlist.segments.filter((segment) => segment.uri);

/** What ffprobe decodes of the playlist as it is now, as if it ended there: of one that grows it waits for twenty pictures before it shows the first. */
async function checkWithFfprobe(t, { text }, url) {
  const directory = mkdtempSync(join(tmpdir(), 'proscenium-keyframes-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'keyframes.m3u8');
  const absolute = text.replace(/^[^#\n].*$/gm, (uri) => new URL(uri, url).href).replace(/URI="([^"]*)"/g, (_, uri) => `URI="${new URL(uri, url).href}"`);
  writeFileSync(path, `${absolute}#EXT-X-ENDLIST\n`);
  const args = ['-v', 'warning', '-protocol_whitelist', 'file,http,tcp', '-select_streams', 'v', '-show_frames', '-show_entries', 'frame=key_frame,pict_type,pts_time', '-of', 'json', path];
  const { stdout, stderr } = await promisify(execFile)('/usr/bin/ffprobe', args, { timeout: 20_000 });
  const { frames } = JSON.parse(stdout);
  assert.equal(stderr, '');
  assert.equal(frames.length, complete(parseMedia(text)).length);
  assert.ok(frames.every((frame) => frame.key_frame === 1 && frame.pict_type === 'I'), stdout);
  const steps = frames.slice(1).map((frame, i) => frame.pts_time - frames[i].pts_time);
  assert.ok(steps.every((step) => step > SEGMENT_S / 2 && step < SEGMENT_S + 0.5), stdout);
}

/** Every entry is a part of a file, and no more than that is sent. */
async function checkRanges(playlist, url) {
  const sizes = await Promise.all(complete(playlist).map(async ({ uri, range: { offset, length } }) => {
    const response = await fetch(new URL(uri, url), { headers: { Range: `bytes=${offset}-${offset + length - 1}` } });
    const bytes = Buffer.from(await response.arrayBuffer());
    assert.deepEqual([response.status, bytes.length, bytes.toString('latin1', 4, 8)], [206, length, 'moof']);
    return Number(response.headers.get('content-range').split('/')[1]);
  }));
  const part = complete(playlist).reduce((sum, segment) => sum + segment.range.length, 0);
  figure('HLS, keyframes alone', `${(100 * part / sizes.reduce((sum, size) => sum + size, 0)).toFixed(0)} % of the bytes of their segments`);
}

async function checkShaka(t, url) {
  const player = await openPlayer(t);
  await player.play(url, { by: 'shaka', muted: true });
  const begun = await player.until('showing pictures', (seen) => seen.count > 5);
  await player.seek(begun.seekable[0][0]);
  await player.until('back at the begin', (seen) => seen.position < begun.position - SEGMENT_S && seen.frames.at(-1).media < begun.position - SEGMENT_S);
  const before = await player.seen();
  await player.trick(TRICK_RATE);
  await sleep(TRICK_MS);
  const fast = await player.seen(before.count);
  await player.trick();
  const after = await player.until('playing again', (seen) => seen.count > before.count + fast.frames.length + 20);
  assert.deepEqual(fatal(after).filter((error) => error.details !== NOT_FOUND), [], describe(after));
  const moved = fast.position - before.position;
  figure(`HLS, shaka-player at ${TRICK_RATE} times the speed`, `${moved.toFixed(1)} s in ${((fast.now - before.now) / 1000).toFixed(1)} s, ${fast.ranges.length} ranges asked for, ${fast.frames.length} pictures`);
  assert.equal(before.ranges.length, 0, 'ranges are asked for in ordinary playing');
  assert.ok(fast.ranges.length > 0, 'no keyframe was asked for alone');
  assert.ok(fast.ranges.every(({ range }) => range.startsWith('bytes=0-')), JSON.stringify(fast.ranges));
  assert.ok(moved > SEGMENT_S && fast.frames.length > 0, describe(fast));
}

async function checkHlsjs(t, url, playlist) {
  const player = await openPlayer(t);
  await player.play(url, { by: 'hls', muted: true });
  const begun = await player.until('showing pictures', (seen) => seen.count > 5);
  const hashes = new Set();
  for (const at of [0.5, 1.5, 2.5].map((place) => begun.seekable[0][0] + place * SEGMENT_S)) {
    const seen = await player.peek(at);
    assert.ok(seen.width > 0 && Math.abs(seen.media - at) < SEGMENT_S, `asked for ${at}: ${JSON.stringify(seen)} ${describe(await player.seen())}`);
    hashes.add(seen.hash);
  }
  assert.equal(hashes.size, 3, 'the same picture at different times');
  const after = await player.until('playing on', (seen) => seen.count > begun.count + 10);
  assert.deepEqual(fatal(after), [], describe(after));
  assert.ok(complete(playlist).length >= SEGMENTS);
}

test('keyframes alone are read by FFmpeg and shown by shaka-player and hls.js', { timeout: 60_000 }, async (t) => {
  const server = await startServer(t, { command: 'demo' });
  await server.live('demo');
  const { keyframes: [{ url }] } = await multivariant(server.hls('demo'), (playlist) => playlist.keyframes.length > 0);
  const playlist = await media(url, (one) => complete(one).length >= SEGMENTS);
  assert.ok(playlist.keyframesOnly);
  await Promise.all([
    checkRanges(playlist, url),
    checkWithFfprobe(t, playlist, url),
    checkShaka(t, `${server.hls('demo')}?dvr`),
    checkHlsjs(t, server.hls('demo'), playlist),
  ]);
});
