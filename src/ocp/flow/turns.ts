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
  readonly #hasRoom: () => boolean;

  constructor(hasRoom: () => boolean) {
    this.#hasRoom = hasRoom;
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
      while (this.#next < this.#line.length && this.#hasRoom()) this.#shift()?.takeTurn();
    } finally {
      this.#isServing = false;
    }
  }

  /** The connection is over: nobody gets a turn any more. */
  clear(): void {
    this.#line = [];
    this.#next = 0;
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
