/**
 * The states of a client and what leads from one to the next, as data.
 *
 * @typedef {'idle' | 'connecting' | 'live' | 'reconnecting' | 'waiting' | 'failed' | 'closed'} State
 * idle: not started · connecting: the first attempt · live: media can flow · reconnecting: it was live, or the server did not answer ·
 * waiting: the server answers, nobody performs yet · failed: trying again would not help, a person must do something · closed: stopped.
 *
 * @typedef {'start' | 'connected' | 'lost' | 'not-live' | 'refused' | 'stop'} Step
 * @module
 */

/** @type {Record<State, Partial<Record<Step, State>>>} */
const TABLE = {
  idle: { start: 'connecting', stop: 'closed' },
  connecting: { connected: 'live', lost: 'reconnecting', 'not-live': 'waiting', refused: 'failed', stop: 'closed' },
  live: { lost: 'reconnecting', 'not-live': 'waiting', refused: 'failed', stop: 'closed' },
  reconnecting: { connected: 'live', lost: 'reconnecting', 'not-live': 'waiting', refused: 'failed', stop: 'closed' },
  waiting: { connected: 'live', lost: 'reconnecting', 'not-live': 'waiting', refused: 'failed', stop: 'closed' },
  failed: { start: 'connecting', stop: 'closed' },
  closed: { start: 'connecting' },
};

/**
 * The state after `step`, or null where the step means nothing: a late event of an attempt that is over, which the caller ignores.
 * @param {State} state
 * @param {Step} step
 * @returns {State | null}
 */
export function after(state, step) {
  return TABLE[state][step] ?? null;
}

/** Whether a client in this state is still at work by itself. */
export function isTrying(/** @type {State} */ state) {
  return state === 'connecting' || state === 'live' || state === 'reconnecting' || state === 'waiting';
}
