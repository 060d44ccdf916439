/**
 * Networks that come, go and change under a page.
 * @module
 */

/** How long changes may follow one another, in ms, before they count as one. */
const SETTLE_MS = 200;

/**
 * Calls back when this device has another network than before, or wakes up with one.
 * @param {() => void} changed
 * @param {() => void} leaving the page is closed or reloaded
 * @returns {() => void} stops it
 */
export function networkChanges(changed, leaving) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  const connection = /** @type {any} */ (globalThis.navigator)?.connection;
  let type = connection?.type;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(changed, SETTLE_MS);
  };
  // The event comes for every estimate of the speed too.
  const moved = () => {
    if (connection.type === type) return;
    type = connection.type;
    if (type !== 'none') soon();
  };
  // A page that is kept in memory lost its connections when it comes back.
  const shown = (/** @type {PageTransitionEvent} */ event) => event.persisted && soon();
  const hidden = (/** @type {PageTransitionEvent} */ event) => !event.persisted && leaving();
  const page = globalThis.window;
  page?.addEventListener('online', soon);
  page?.addEventListener('pageshow', shown);
  page?.addEventListener('pagehide', hidden);
  connection?.addEventListener?.('change', moved);
  return () => {
    clearTimeout(timer);
    page?.removeEventListener('online', soon);
    page?.removeEventListener('pageshow', shown);
    page?.removeEventListener('pagehide', hidden);
    connection?.removeEventListener?.('change', moved);
  };
}
