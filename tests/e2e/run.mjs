// Runs all cases one after the other in one process, or those whose file name contains one of the arguments.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { closeBrowser } from './lib/browser.mjs';
import { e2eDir, outputDir } from './lib/paths.mjs';

after(closeBrowser);
rmSync(join(outputDir('e2e'), 'figures.txt'), { force: true });
const wanted = process.argv.slice(2);
const files = readdirSync(join(e2eDir, 'cases')).filter((name) => name.endsWith('.mjs')).sort();
const chosen = files.filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
if (chosen.length === 0) throw new Error(`no case matches ${wanted}; there are: ${files.join(' ')}`);
for (const name of chosen) await import(join(e2eDir, 'cases', name));
