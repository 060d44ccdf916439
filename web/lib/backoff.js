/**
 * How long to wait before trying again.
 * @module
 */

/** First delay, in ms. */
export const DELAY_FIRST_MS = 500;
/** Longest delay, in ms. */
export const DELAY_MAX_MS = 8000;

/**
 * Delays that double from 0.5 s to 8 s. Each is drawn from the upper half of its step, so that an audience that lost the
 * server in the same instant does not come back in the same instant.
 */
export class Backoff {
  #tries = 0;
  #random;

  /** @param {() => number} [random] uniform in [0, 1) */
  constructor(random = Math.random) {
    this.#random = random;
  }

  /** How often `next` was asked since the last `reset`. */
  get tries() {
    return this.#tries;
  }

  /**
   * The next delay in ms, never shorter than what the server asked for.
   * @param {number} [atLeast] for example from `Retry-After`, in ms
   * @returns {number}
   */
  next(atLeast = 0) {
    const step = Math.min(DELAY_MAX_MS, DELAY_FIRST_MS * 2 ** Math.min(this.#tries, 16));
    this.#tries += 1;
    return Math.max(atLeast, Math.round(step * (0.5 + 0.5 * this.#random())));
  }

  /** Forgets the failures: the next delay is the shortest again. */
  reset() {
    this.#tries = 0;
  }
}

/**
 * Resolves after `ms`, at once when `wake` is aborted, and never rejects.
 * @param {number} ms
 * @param {...AbortSignal} wake
 * @returns {Promise<void>}
 */
export function sleep(ms, ...wake) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      for (const signal of wake) signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    for (const signal of wake) {
      if (signal.aborted) return done();
      signal.addEventListener('abort', done, { once: true });
    }
  });
}
