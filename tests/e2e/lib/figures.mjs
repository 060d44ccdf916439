// Numbers that a person reads: printed at once, and kept in target/e2e/figures.txt.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { outputDir } from './paths.mjs';

export function quantile(values, fraction) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))];
}

export const median = (values) => quantile(values, 0.5);

export function figure(what, value) {
  const line = `${what}: ${value}`;
  console.log(`figure | ${line}`);
  appendFileSync(join(outputDir('e2e'), 'figures.txt'), `${line}\n`);
}
