/**
 * Programs of the tests: started, watched line by line, and ended by their own pid. Everything a child says is kept, so that a
 * failing test can show it.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { atEnd } from './cleanup.ts';

/** A signal by its name. */
export type Signal = keyof typeof constants.signals;

/** How a child ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: Signal | null;
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A running program. Lines of stdout and stderr are kept and can be waited for. */
export class Child {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #name: string;
  readonly #waiters = new Set<() => void>();
  #exit: Exit | undefined;

  constructor(command: string, args: readonly string[], options: ChildOptions = {}) {
    this.#name = `${command} ${args.join(' ')}`;
    this.#process = spawn(command, args, {
      stdio: 'pipe',
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.pid = this.#process.pid ?? -1;
    // A child outlives neither its test file nor, as far as it can be helped, the test process.
    const kill = (): boolean => this.#process.kill('SIGKILL');
    process.once('exit', kill);
    const ended = atEnd(async () => {
      kill();
      await this.exited;
    });
    for (const [stream, lines] of [
      [this.#process.stdout, this.stdout],
      [this.#process.stderr, this.stderr],
    ] as const) {
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        this.#wake();
      });
    }
    this.#process.stdin.on('error', () => undefined);
    this.exited = new Promise((resolve) => {
      const done = (code: number | null, signal: Signal | null): void => {
        process.off('exit', kill);
        ended();
        this.#exit = { code, signal };
        this.#wake();
        resolve({ code, signal });
      };
      this.#process.once('error', (error) => {
        this.stderr.push(error.message);
        done(127, null);
      });
      this.#process.once('close', done);
    });
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
  }

  /** Waits until `pick` finds something in what was said; fails when the child ends or the time is over. */
  async until<T>(pick: () => T | undefined, what: string, timeoutMs = 20_000): Promise<T> {
    const found = pick();
    if (found !== undefined) return found;
    return await new Promise<T>((resolve, reject) => {
      const done = (act: () => void): void => {
        clearTimeout(timer);
        this.#waiters.delete(check);
        act();
      };
      const check = (): void => {
        const value = pick();
        if (value !== undefined) done(() => resolve(value));
        else if (this.#exit !== undefined) done(() => reject(this.#failure(`ended before ${what}`)));
      };
      const timer = setTimeout(() => done(() => reject(this.#failure(`no ${what} in ${timeoutMs} ms`))), timeoutMs);
      this.#waiters.add(check);
      check();
    });
  }

  /** The first line of stdout with this `event`, as JSON. */
  event<T extends object>(event: string, timeoutMs?: number): Promise<T> {
    return this.until(() => this.events<T>(event)[0], `event ${event}`, timeoutMs);
  }

  /** All lines of stdout with this `event`, from line `from` on. */
  events<T extends object>(event: string, from = 0): T[] {
    const out: T[] = [];
    for (const line of this.stdout.slice(from)) {
      const parsed = parseLine(line);
      if (parsed?.['event'] === event) out.push(parsed as T);
    }
    return out;
  }

  write(text: string): void {
    this.#process.stdin.write(text);
  }

  /** Writes the last of its input. */
  end(text: string): void {
    this.#process.stdin.end(text);
  }

  /** Asks the child to end and waits; after `patienceMs` it is killed, and the exit says so. */
  async stop(signal: Signal = 'SIGTERM', patienceMs = 15_000): Promise<Exit> {
    this.#process.kill(signal);
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), patienceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  #failure(what: string): Error {
    const tail = [...this.stdout.slice(-5), ...this.stderr.slice(-25)].join('\n');
    return new Error(`${this.#name}: ${what}\n${tail}`);
  }
}

function parseLine(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** Runs a program to its end. */
export async function run(
  command: string,
  args: readonly string[],
  options: ChildOptions & { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
  const child = new Child(command, args, options);
  child.end(options.input ?? '');
  const timer = setTimeout(() => void child.stop('SIGKILL'), options.timeoutMs ?? 60_000);
  try {
    const exit = await child.exited;
    return { ...exit, stdout: child.stdout.join('\n'), stderr: child.stderr.join('\n') };
  } finally {
    clearTimeout(timer);
  }
}
