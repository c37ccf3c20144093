/** So many at once, so many in the queue, first come first served; nobody waits longer than was said. */
interface Waiter {
  tell(isTurn: boolean): void;
}

export class Turns {
  #free: number;
  readonly #maxWaiting: number;
  /** In order; whoever gave up is taken out. */
  readonly #waiting = new Set<Waiter>();
  #isClosed = false;

  constructor(parallel: number, waiting: number) {
    this.#free = parallel;
    this.#maxWaiting = waiting;
  }

  /** True: it is your turn, `release` must follow. False: too many wait, or it took too long. */
  take(timeoutMs: number): Promise<boolean> {
    if (this.#isClosed) return Promise.resolve(false);
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve(true);
    }
    if (this.#waiting.size >= this.#maxWaiting) return Promise.resolve(false);
    return new Promise((resolve) => {
      const waiter: Waiter = {
        tell: (isTurn) => {
          clearTimeout(timer);
          this.#waiting.delete(waiter);
          resolve(isTurn);
        },
      };
      const timer = setTimeout(() => waiter.tell(false), timeoutMs);
      this.#waiting.add(waiter);
    });
  }

  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free++;
    else next.tell(true);
  }

  close(): void {
    this.#isClosed = true;
    for (const waiter of this.#waiting) waiter.tell(false);
  }
}
