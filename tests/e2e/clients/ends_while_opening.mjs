// Cases that end while their page is still opening: nothing of them may keep the process alive. The last one is left out by whoever
// runs this, so that Node calls its last hook before the first case.
import { after, test } from 'node:test';
import { closeBrowser, openLab, openPage } from '../lib/browser.mjs';

after(closeBrowser);
test('takes too long', { timeout: 30 }, (t) => openLab(t));
test('one of two pages fails', (t) => Promise.all([openPage(t, 'nonsense:'), openLab(t)]));
test('begins a page when it has ended', async (t) => {
  const late = new Promise((resolve) => { t.after(() => setTimeout(resolve, 10)); });
  late.then(() => openPage(t, 'about:blank')).catch((error) => console.log(`# ${error.message}`));
});
test('left out', () => {});
