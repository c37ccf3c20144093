import { Deadlines } from '../../base/index.ts';

/** Deadlines of channels are seconds and minutes; a tenth of a second is exact enough and costs nothing. */
const TICK_MS = 100;

/** One timer for all channels of the process, running only while there are any. */
class Ticker {
  readonly #deadlines = new Deadlines(performance.now());
  #users = 0;
  #interval: NodeJS.Timeout | undefined;

  acquire(): Deadlines {
    this.#users++;
    if (this.#users === 1) {
      this.#tick();
      this.#interval = setInterval(() => this.#tick(), TICK_MS);
      this.#interval.unref(); // sockets keep a process alive, not the clock beside them
    }
    return this.#deadlines;
  }

  release(): void {
    this.#users--;
    if (this.#users === 0) clearInterval(this.#interval);
  }

  #tick(): void {
    this.#deadlines.tick(performance.now());
  }
}

export const ticker = new Ticker();
