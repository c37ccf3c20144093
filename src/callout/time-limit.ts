import { Armed, type Deadlines } from '../base/index.ts';

/** The time a handler has while it owes something. Running out is told once. */
export class TimeLimit {
  readonly #deadlines: Deadlines;
  readonly #ms: number;
  readonly #onExpired: () => void;
  #armed: Armed | undefined;

  constructor(deadlines: Deadlines, ms: number, onExpired: () => void) {
    this.#deadlines = deadlines;
    this.#ms = ms;
    this.#onExpired = onExpired;
  }

  /** It owes from now on. */
  start(): void {
    this.#armed ??= new Armed({ onDeadline: () => this.#onExpired() });
    this.#deadlines.arm(this.#armed, this.#ms);
  }

  stop(): void {
    if (this.#armed !== undefined) this.#deadlines.release(this.#armed);
  }
}
