/**
 * The end of a running command. The first SIGTERM or SIGINT asks it to drain; a second one ends at once. What was opened
 * last is closed first. SIGHUP does the same, unless the command has something to reload. So does what the command cannot go on
 * without (`fail`), and its exit code says so.
 */
import { stackOf } from '../base/index.ts';
import { EXIT } from './exit.ts';
import type { FlushedLog } from './log.ts';

/** For mails under way. Below the 10 s after which Docker kills, and with room for what is closed behind the gateway. */
export const DRAIN_MS = 7000;

export class Shutdown {
  readonly #log: FlushedLog;
  readonly #closers: { readonly name: string; readonly close: () => Promise<unknown> }[] = [];
  readonly #asked: Promise<string>;
  #ask: (why: string) => void = () => undefined;
  #hangUp: () => void = () => this.#end('SIGHUP');
  #signals = 0;
  #exitCode: number = EXIT.ok;

  constructor(log: FlushedLog) {
    this.#log = log;
    this.#asked = new Promise((resolve) => {
      this.#ask = resolve;
    });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.#end(signal));
    process.on('SIGHUP', () => this.#hangUp());
    process.on('exit', () => log.flush());
    // A mail's faults end with the mail. What comes here is nobody's in particular: nothing in memory is to be trusted any more,
    // so the process ends, as it would without us, and what is stored is taken up by the next start.
    process.on('uncaughtExceptionMonitor', (error: unknown, origin) => {
      const fix = 'report this line; the service manager starts the program again, and stored mail goes on';
      log.error('crashed', { origin, error: stackOf(error), fix });
      log.flush();
    });
  }

  /**
   * SIGHUP is no end from now on. Returns whom to tell what it is instead; one that came before is not lost.
   */
  onHangup(): (reload: () => void) => void {
    let isPending = false;
    this.#hangUp = () => {
      isPending = true;
    };
    return (reload) => {
      this.#hangUp = reload;
      if (isPending) reload();
    };
  }

  /** Closed at the end, in the opposite order. */
  add(name: string, close: () => Promise<unknown>): void {
    this.#closers.push({ name, close });
  }

  request(why: string): void {
    this.#ask(why);
  }

  /** As `request`, and the command has failed. */
  fail(why: string): void {
    this.#exitCode = EXIT.failed;
    this.#ask(why);
  }

  /** Waits to be asked, then closes everything. The exit code. */
  async wait(): Promise<number> {
    const why = await this.#asked;
    this.#log.info('stopping', { why });
    await this.closeAll();
    this.#log.info('stopped');
    return this.#exitCode;
  }

  #end(signal: string): void {
    if (++this.#signals > 1) process.exit(1);
    this.request(signal);
  }

  async closeAll(): Promise<void> {
    for (const { name, close } of this.#closers.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        this.#log.error('close-failed', { what: name, error: error instanceof Error ? error.message : String(error) });
      }
    }
  }
}
