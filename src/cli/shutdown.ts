/**
 * The end of a running command. The first SIGTERM, SIGINT or SIGHUP asks it to drain; a second one ends at once. What
 * was opened last is closed first.
 */
import type { FlushedLog } from './log.ts';

/** For mails under way. Below the 10 s after which Docker kills, and with room for what is closed behind the gateway. */
export const DRAIN_MS = 7000;

export class Shutdown {
  readonly #log: FlushedLog;
  readonly #closers: { readonly name: string; readonly close: () => Promise<unknown> }[] = [];
  readonly #asked: Promise<string>;
  #ask: (why: string) => void = () => undefined;

  constructor(log: FlushedLog) {
    this.#log = log;
    this.#asked = new Promise((resolve) => {
      this.#ask = resolve;
    });
    let signals = 0;
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (++signals > 1) process.exit(1);
        this.request(signal);
      });
    }
    process.on('exit', () => log.flush());
  }

  /** Closed at the end, in the opposite order. */
  add(name: string, close: () => Promise<unknown>): void {
    this.#closers.push({ name, close });
  }

  request(why: string): void {
    this.#ask(why);
  }

  /** Waits to be asked, then closes everything. */
  async wait(): Promise<void> {
    const why = await this.#asked;
    this.#log.info('stopping', { why });
    await this.closeAll();
    this.#log.info('stopped');
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
