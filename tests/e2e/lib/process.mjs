// Child processes that always end: by the test that started them, by pid, within a bounded time.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { outputDir } from './paths.mjs';

const STOP_MS_MAX = 8000;
const OUTPUT_CHARACTERS_MAX = 4_000_000;
let started = 0;

/**
 * Starts `command` and ends it when test `t` is over. Its output goes to `target/e2e/logs` and, on failure, its tail is printed.
 * `stopSignal` is what a polite end is for this program.
 */
export function start(t, name, command, args, { env = {}, stopSignal = 'SIGTERM', stdin = 'ignore' } = {}) {
  const path = join(outputDir('e2e/logs'), `${String(++started).padStart(3, '0')}-${name}-${process.pid}.log`);
  const log = createWriteStream(path);
  log.write(`$ ${command} ${args.join(' ')}\n`);
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: [stdin, 'pipe', 'pipe'] });
  const running = new Running(name, child, stopSignal, path);
  const collect = (chunk) => {
    log.write(chunk);
    if (running.output.length < OUTPUT_CHARACTERS_MAX) running.output += chunk;
  };
  child.stdout.setEncoding('utf8').on('data', collect);
  child.stderr.setEncoding('utf8').on('data', collect);
  t.after(() => running.stop());
  return running;
}

class Running {
  output = '';
  exitCode = null;

  constructor(name, child, stopSignal, logPath) {
    Object.assign(this, { name, child, stopSignal, logPath, pid: child.pid });
    this.ended = new Promise((resolve) => {
      child.on('error', (error) => { this.output += `\n${error}\n`; this.exitCode ??= -1; resolve(-1); });
      child.on('close', (code, signal) => { this.exitCode ??= code ?? signal; resolve(this.exitCode); });
    });
  }

  /** Waits until the output matches `pattern`; throws with the tail of the output when it ends or takes too long. */
  async line(pattern, timeoutMs) {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.output);
      if (match) return match;
      if (this.exitCode !== null) throw new Error(`${this.name} ended (${this.exitCode}) before ${pattern}:\n${this.tail()}`);
      if (Date.now() > deadline) throw new Error(`${this.name} printed no ${pattern} within ${timeoutMs} ms:\n${this.tail()}`);
      await sleep(20);
    }
  }

  /** Waits for the process to end by itself and returns its exit code. */
  async end(timeoutMs) {
    const code = await Promise.race([this.ended, sleep(timeoutMs, 'late', { ref: false })]);
    if (code === 'late') throw new Error(`${this.name} did not end within ${timeoutMs} ms:\n${this.tail()}`);
    return code;
  }

  /** Ends it politely, or with SIGKILL when that takes too long. */
  async stop() {
    if (this.exitCode !== null) return;
    this.child.kill(this.stopSignal);
    const late = await Promise.race([this.ended.then(() => false), sleep(STOP_MS_MAX, true, { ref: false })]);
    if (late) await this.kill();
  }

  /** Ends it as a power cut would. */
  async kill() {
    if (this.exitCode !== null) return;
    this.child.kill('SIGKILL');
    await this.ended;
  }

  tail(lines = 30) {
    return this.output.split('\n').slice(-lines).join('\n');
  }
}

/** Runs a client to its end and returns the JSON object on the last line of its output. */
export async function runJson(t, name, command, args, timeoutMs, options) {
  const client = start(t, name, command, args, options);
  const code = await client.end(timeoutMs);
  if (code !== 0) throw new Error(`${name} failed with ${code}:\n${client.tail()}`);
  return JSON.parse(client.output.trim().split('\n').at(-1));
}
