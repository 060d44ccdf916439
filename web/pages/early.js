/**
 * The first script of the event page: it asks for the performance before anything that draws has been loaded, and hands what it began to the page.
 * @module
 */
import { takeToken } from '../lib/meet-token.js';
import { spaceOfPath } from '../lib/names.js';
import { Screen } from '../lib/screen.js';
import { Viewer } from '../lib/viewer.js';

/** The space that the address names; null when it names none. */
export const space = spaceOfPath(location.pathname);

/** The element that holds the picture and, later, everything drawn over it. */
export const stage = /** @type {HTMLElement} */ (document.getElementById('stage'));

/** The picture. */
export const screen = new Screen(stage);

// Before the fragment is read for a camera: an invitation leaves it.
const token = space ? takeToken(space) : '';

/** What plays; null where there is no space. */
export const viewer = space ? new Viewer(space, screen, location.hash, token) : null;

viewer?.start();

// A page that goes away says so, and one that comes back from the browser's cache begins again.
addEventListener('pagehide', () => viewer?.stop({ leaving: true }));
addEventListener('pageshow', (event) => event.persisted && viewer?.start());
addEventListener('online', () => viewer?.retry());
document.addEventListener('visibilitychange', () => !document.hidden && viewer?.snapshot().state === 'reconnecting' && viewer.retry());
