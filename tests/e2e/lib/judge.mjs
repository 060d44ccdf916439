// What is right and wrong with what a player showed and let be heard, whichever player it is.
import { distinct } from './browser.mjs';
import { median } from './figures.mjs';
import { latencies } from './latency.mjs';
import { longestFreeze } from './player.mjs';

/** Of ten, how many times as strong the left must be as the right; and how strong that must be at least. */
const STEREO_MIN = 3;
const RIGHT_MIN = 0.005;
const FREEZE_S_MAX = 3;
const SETTLE_MS = 1000;
/** What a busy machine may add to three target durations, in which a segment is still to be completed. */
const MARGIN_S = 10;
/** VLC's `adaptive-livedelay`, whatever the playlist says. */
const PATIENT_S = 15;

/** What was seen, in numbers: seconds to the first picture and behind the performer, the longest freeze and how the sound was. */
export function summarise({ askedAt, now, frames, loudness }, settleMs = SETTLE_MS) {
  if (frames.length === 0) return { count: 0 };
  const behind = latencies(frames);
  const loudest = [...loudness].sort(([left], [other]) => left - other);
  // What it shows last stands still until the end.
  const all = [...frames, { at: now, hash: null }];
  return {
    count: distinct(frames),
    first: (frames[0].at - askedAt) / 1000,
    behind: behind.length > 0 ? median(behind.slice(behind.length >> 1)) / 1000 : null,
    start: longestFreeze(all, 0, frames[0].at + settleMs) / 1000,
    freeze: longestFreeze(all, frames[0].at + settleMs) / 1000,
    loudness: loudest[Math.floor(loudest.length * 0.75)] ?? [],
  };
}

/** A summary in a few words. */
export function words({ count, first, behind, start, freeze }) {
  if (count === 0) return 'nothing';
  const distance = behind === null ? '' : `${behind.toFixed(1)} s behind, `;
  return `${first.toFixed(1)} s to the first picture, ${distance}longest freeze ${freeze.toFixed(1)} s (${start.toFixed(1)} s at first)`;
}

/** What is wrong with a player's sound of `performer`; nothing, if all is well. */
export function soundFaults({ loudness }, { sound, isStereo: wanted }) {
  const [left = 0, right = 0] = loudness;
  if (sound === 0) return loudness.length > 0 && left > 0.001 ? ['hears sound where there is none'] : [];
  if (left < 0.01) return [`hears nothing (${loudness.join(' ')})`];
  if (!wanted) return [];
  const isStereo = right > RIGHT_MIN && left / right > STEREO_MIN;
  return isStereo ? [] : [`hears ${loudness.length} channels, of ${loudness.map((level) => level.toFixed(3)).join(' and ')}, where the left is ten times as strong`];
}

/**
 * Everything that is wrong with what was seen of `performer`, whose playlists have a target duration of `target`, within `seconds`.
 * `behindMax`: this player's own limit where there are keyframes every two seconds; `isPatient`: it stays 15 s behind the end by its own
 * choice; `pictures`: how many a second are looked at; `rangesMax`: into how many pieces its buffer may be broken.
 */
export function faults(seen, performer, target, seconds, { behindMax = Infinity, isPatient = false, pictures = 5, rangesMax = Infinity, settleMs } = {}) {
  const summary = summarise(seen, settleMs);
  const found = seen.errors.map((error) => (typeof error === 'string' ? error : `${error.type} ${error.details} ${error.reason ?? ''}`));
  if (summary.count === 0) return [...found, 'shows nothing'];
  const limit = isPatient ? PATIENT_S + 3 * target + MARGIN_S : Math.min(3 * target + MARGIN_S, performer.keyframes > 2 ? Infinity : behindMax);
  // Who comes in the middle of ten seconds without a keyframe may wait for the next one, in silence.
  const waited = performer.keyframes > 2 ? Math.min(summary.first, performer.keyframes + 1) : 0;
  if (waited < seconds / 3) found.push(...soundFaults(summary, performer));
  if (summary.behind > limit) found.push(`is ${summary.behind.toFixed(1)} s behind, of at most ${limit}`);
  if (summary.count < 0.5 * pictures * (seconds - waited)) found.push(`shows ${summary.count} different pictures`);
  if (seen.buffered?.length > rangesMax) found.push(`has holes: ${JSON.stringify(seen.buffered)}`);
  if (summary.freeze > FREEZE_S_MAX) found.push(`stands still for ${summary.freeze.toFixed(1)} s`);
  return found;
}

/** When the performer drew each picture whose clock could be read, by the time at which it was shown. */
const drawn = (frames) => frames.filter((frame) => frame.value !== null).map((frame) => ({ at: frame.at, drawnAt: frame.at - latencies([frame])[0] }));

/** What a player made of a performer's restart: seconds from the return to the first picture of it, and the longest time without any picture. */
export function throughRestart({ frames, now, askedAt }, { backAt }) {
  const back = drawn(frames).filter((frame) => frame.drawnAt > backAt);
  const times = [...frames.map((frame) => frame.at), now];
  return {
    back: back.length > 0 ? (back[0].at - backAt) / 1000 : null,
    backCount: back.length,
    still: Math.max(0, ...times.slice(1).map((time, i) => time - times[i])) / 1000,
    began: (times[0] - askedAt) / 1000,
  };
}

/** Everything that is wrong with that, where a player may be `behindMax` seconds behind and stand still for `stillMax`. */
export function restartFaults(seen, moments, { behindMax, stillMax, pictures = 5 }) {
  const { back, backCount, still } = throughRestart(seen, moments);
  const found = seen.errors.map((error) => (typeof error === 'string' ? error : `${error.type} ${error.details} ${error.reason ?? ''}`));
  if (backCount < pictures) found.push('never shows the performer again');
  else if (back > behindMax) found.push(`shows the performer again after ${back.toFixed(1)} s`);
  if (still > stillMax) found.push(`shows no picture for ${still.toFixed(1)} s`);
  return found;
}
