// Makes one module for browsers of libraries that are written for bundlers.
import { buildSync } from 'esbuild';
import { e2eDir } from './paths.mjs';

const made = new Map();

/** The module that `source` describes, with everything that it imports from the tests' libraries. */
export function bundle(source) {
  if (!made.has(source)) {
    const { outputFiles: [file] } = buildSync({ stdin: { contents: source, resolveDir: e2eDir }, bundle: true, format: 'esm', platform: 'browser', write: false, logLevel: 'error' });
    made.set(source, file.contents);
  }
  return made.get(source);
}
