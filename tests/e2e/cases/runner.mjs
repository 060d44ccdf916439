// The runner itself: a case that fails early does not keep it from ending.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { e2eDir } from '../lib/paths.mjs';
import { start } from '../lib/process.mjs';

test('cases that end while Chromium is opening leave nothing behind that keeps the runner alive', { timeout: 90_000 }, async (t) => {
  const script = join(e2eDir, 'clients', 'ends_while_opening.mjs');
  const runner = start(t, 'runner', process.execPath, ['--test-reporter=tap', '--test-name-pattern=takes|fails|begins', script], { env: { NODE_TEST_CONTEXT: undefined } });
  assert.equal(await runner.end(60_000), 1, runner.output);
  assert.match(runner.output, /^not ok \d+ - takes too long$/m);
  assert.match(runner.output, /^not ok \d+ - one of two pages fails$/m);
  assert.match(runner.output, /^ok \d+ - begins a page when it has ended$/m);
  assert.match(runner.output, /the case has ended meanwhile/);
});
