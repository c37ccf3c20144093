/** Something that may want to send data. */
export interface TurnTaker {
  /** Send one data message now, and ask again if there is more. */
  takeTurn(): void;
}

/** Settled entries at the head of the queue are cut off in batches of at least this many. */
const TRIM = 256;

/**
 * Who may send data next: the transactions of one connection in turn, one data message each, while the output has room.
 * So a large mail shares the connection with small ones, and none waits for another to end (design, section 7).
 * Asking is free of allocation; whoever asks puts itself in line at most once.
 */
export class Turns {
  #line: (TurnTaker | undefined)[] = [];
  #next = 0;
  #isServing = false;
  readonly #pendingOctets: () => number;
  readonly #highWaterOctets: number;

  /** `pendingOctets`: what waits to be written; turns are given while that is less than `highWaterOctets`. */
  constructor(pendingOctets: () => number, highWaterOctets: number) {
    this.#pendingOctets = pendingOctets;
    this.#highWaterOctets = highWaterOctets;
  }

  get waiting(): number {
    return this.#line.length - this.#next;
  }

  /** Puts `taker` last in line; it may get its turn at once, within this call. */
  request(taker: TurnTaker): void {
    this.#line.push(taker);
    this.serve();
  }

  /** Call when the output may have room again. */
  serve(): void {
    if (this.#isServing) return; // a taker that asks again goes to the end of the line, not down the stack
    this.#isServing = true;
    try {
      // Takers that ask again without saying anything would keep us here for good: they wait for the next call.
      let before = -1;
      for (let now = this.#pendingOctets(); now !== before && this.waiting > 0; now = this.#pendingOctets()) {
        before = now;
        this.#serveRound();
      }
    } finally {
      this.#isServing = false;
    }
  }

  /** The connection is over: nobody gets a turn any more. */
  clear(): void {
    this.#line = [];
    this.#next = 0;
  }

  /** A turn for each that waits now, as far as there is room. */
  #serveRound(): void {
    for (let left = this.waiting; left > 0 && this.waiting > 0; left--) {
      if (this.#pendingOctets() >= this.#highWaterOctets) return;
      this.#shift()?.takeTurn();
    }
  }

  #shift(): TurnTaker | undefined {
    const taker = this.#line[this.#next];
    this.#line[this.#next] = undefined;
    this.#next++;
    if (this.#next === this.#line.length) {
      this.#line.length = 0;
      this.#next = 0;
    } else if (this.#next >= TRIM && this.#next * 2 > this.#line.length) {
      this.#line.splice(0, this.#next);
      this.#next = 0;
    }
    return taker;
  }
}
