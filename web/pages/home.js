/**
 * The home page: one field that leads to a space. What is live is not listed: who knows a space's word is invited.
 * @module
 */
import { spaceOfTyped } from '../lib/names.js';

/** Where the buttons lead, below the space; taking a seat leads to the space itself. @type {Record<string, string>} */
const DOORS = { perform: '/perform', meet: '/meet' };

const form = /** @type {HTMLFormElement} */ (document.getElementById('door'));
const field = /** @type {HTMLInputElement} */ (document.getElementById('word'));
const problem = /** @type {HTMLElement} */ (document.getElementById('problem'));

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const found = spaceOfTyped(field.value);
  if ('problem' in found) {
    problem.textContent = found.problem;
    field.setAttribute('aria-invalid', 'true');
    field.focus();
    return;
  }
  const door = /** @type {HTMLButtonElement | null} */ (event.submitter)?.value ?? '';
  location.assign(`/${encodeURIComponent(found.space)}${DOORS[door] ?? ''}`);
});

field.addEventListener('input', () => {
  problem.textContent = '';
  field.removeAttribute('aria-invalid');
});
