/**
 * Services that run here (`run:`): each a child process that speaks OCP on a Unix socket, as a callout server elsewhere
 * would (D5). It gets an empty environment, read access to the program and its own files only, write access to the
 * directory of its socket only (Node's permission model), and ends with us even where we are killed: its stdin is our
 * lifeline to it. That contains faults and mistakes; it is no sandbox for hostile code (docs/decisions/0009).
 *
 * A child that ends is started again, each time after a longer pause. Meanwhile the gateway finds nobody on the socket,
 * and the failure policy of the service decides.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Log, printable } from '../../base/index.ts';
import { Failure } from '../exit.ts';

export interface EmbeddedOptions {
  readonly name: string;
  /** Node's arguments, from the permissions to `serve FILE`. */
  readonly args: readonly string[];
  /** Where it listens; in a directory that only we may enter. */
  readonly socket: string;
  readonly log: Log;
}

/** A cold start compiles TypeScript and takes well below a second; this bounds one that hangs. */
const START_MS = 20_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
/** Having lived so long, a service starts again at the shortest pause. */
const SETTLED_MS = 30_000;
/** Lines kept of a start; the first ones of a stack trace say what is wrong. */
const MAX_FIRST_WORDS = 12;
/** From asking a child to end to killing it. */
const END_MS = 3000;

export class EmbeddedService {
  readonly #options: EmbeddedOptions;
  #child: ChildProcess | undefined;
  #pause = FIRST_PAUSE_MS;
  #startedMs = 0;
  #restart: NodeJS.Timeout | undefined;
  #isStopping = false;
  /** What it said before it was ready; held back, as it is part of the failure where it does not start. */
  #firstWords: string[] = [];
  #isReady = false;
  #wasReadyOnce = false;

  private constructor(options: EmbeddedOptions) {
    this.#options = options;
  }

  /** Resolves when the service can be called; fails where it ends before. */
  static async start(options: EmbeddedOptions): Promise<EmbeddedService> {
    const service = new EmbeddedService(options);
    try {
      await service.#run();
    } catch (error) {
      await service.stop();
      throw error;
    }
    return service;
  }

  /** It answers nothing any more: its end, and a start, as where it ends by itself. */
  giveUp(): void {
    if (this.#isStopping || this.#child === undefined) return;
    const { name, log } = this.#options;
    const fix =
      'it is ended and started again: look for a loop without end in it, or for work that blocks it for many seconds';
    log.error('service-silent', { service: name, fix });
    this.#child.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), END_MS);
    await ended;
    clearTimeout(patience);
  }

  async #run(): Promise<void> {
    const { name, args, socket } = this.#options;
    // A child that was killed leaves its socket file behind; listening on it would fail.
    rmSync(socket, { force: true });
    this.#firstWords = [];
    this.#isReady = false;
    this.#startedMs = performance.now();
    // `detached`: Ctrl-C in the terminal goes to the whole process group, and mails in progress still need the service.
    const child = spawn(process.execPath, args, { cwd: '/', env: {}, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.#child = child;
    child.stdin.on('error', () => undefined);
    createInterface({ input: child.stderr }).on('line', (line) => this.#relay(line));
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string) => reject(new Failure(`service ${name} did not start: ${why}`));
      const patience = setTimeout(() => {
        fail(`not ready after ${START_MS / 1000} s${this.#words()}`);
        child.kill('SIGKILL');
      }, START_MS);
      child.once('error', (error) => fail(error.message));
      // 'close' and not 'exit': by then all it said has been read.
      child.once('close', (code, signal) => {
        clearTimeout(patience);
        fail(`it ended (${signal ?? `exit code ${code}`})${this.#words()}`);
        this.#onEnd(code, signal);
      });
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (!line.startsWith('{"event":"ready"')) {
          this.#relay(line);
          return;
        }
        clearTimeout(patience);
        this.#onReady();
        resolve();
      });
    });
  }

  #onReady(): void {
    this.#isReady = true;
    this.#wasReadyOnce = true;
    for (const line of this.#firstWords.splice(0)) this.#relay(line);
  }

  #onEnd(code: number | null, signal: string | null): void {
    // One that never was ready is not tried again: `start` has failed, and says why.
    if (this.#isStopping || !this.#wasReadyOnce) return;
    if (performance.now() - this.#startedMs > SETTLED_MS) this.#pause = FIRST_PAUSE_MS;
    const { name, log } = this.#options;
    const said = this.#firstWords.length === 0 ? undefined : printable(this.#firstWords.join(' | '), 2000);
    log.error('service-ended', { service: name, code, signal, said, againInMs: this.#pause });
    this.#restart = setTimeout(() => {
      this.#run().then(
        () => log.info('service-restarted', { service: name }),
        () => undefined, // the end of the child has been told, and the next start is due
      );
    }, this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  /** A line of the child in our log: its own log lines as they are, anything else as text. */
  #relay(line: string): void {
    if (!this.#isReady) {
      if (this.#firstWords.length < MAX_FIRST_WORDS) this.#firstWords.push(line);
      return;
    }
    const { name, log } = this.#options;
    const said = parseLine(line);
    if (said === undefined) {
      log.info('service-output', { service: name, text: printable(line, 500) });
      return;
    }
    const { level, event, time: _, ...fields } = said;
    const speak = level === 'error' || level === 'warn' || level === 'debug' ? level : 'info';
    log[speak](typeof event === 'string' ? event : 'service-log', { service: name, ...fields });
  }

  #words(): string {
    return this.#firstWords.map((line) => `\n    ${printable(line, 500)}`).join('');
  }
}

function parseLine(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{"level":')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
