// A player of HLS as a benchmark looks at it.
import { latencies } from '../e2e/lib/latency.mjs';
import { longestFreeze, openPlayer } from '../e2e/lib/player.mjs';
import { scope } from './scope.mjs';

/**
 * Plays `url` and, from `settleMs` after the first picture on, watches for `watchMs`: the latencies of the pictures, the longest time
 * without a new one, how often the player stalled, and after how many ms the first one came.
 */
export function watch(url, settleMs, watchMs) {
  return scope(async (t) => {
    const player = await openPlayer(t);
    await player.play(url);
    const first = await player.until('showing a picture', (s) => s.count > 0, 40_000);
    const from = first.frames[0].at + settleMs;
    const seen = await player.until('watching', (s) => s.now > from + watchMs, settleMs + watchMs + 20_000);
    const delays = latencies(seen.frames.filter((frame) => frame.at >= from));
    return { delays, stalls: seen.stalls, freeze: longestFreeze(seen.frames, from), start: first.frames[0].at - first.askedAt };
  });
}
