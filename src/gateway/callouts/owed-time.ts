/** The time a service owes something: a deadline while it does, and the sum for the record. */
import { Armed, type Deadline } from '../../base/index.ts';
import type { RunMail } from './run-mail.ts';

export class OwedTime extends Armed {
  readonly #timeoutMs: number;
  readonly #mail: RunMail;
  #sinceMs = -1;
  #totalMs = 0;

  constructor(deadline: Deadline, timeoutMs: number, mail: RunMail) {
    super(deadline);
    this.#timeoutMs = timeoutMs;
    this.#mail = mail;
  }

  get totalMs(): number {
    return this.#totalMs;
  }

  start(): void {
    if (this.#sinceMs >= 0) return;
    this.#sinceMs = this.#mail.clock();
    this.#mail.deadlines.arm(this, this.#timeoutMs);
  }

  /** Nothing is owed now; it will be again, so the place among the deadlines is kept. */
  stop(): void {
    if (this.#sinceMs < 0) return;
    this.#totalMs += this.#mail.clock() - this.#sinceMs;
    this.#sinceMs = -1;
    this.#mail.deadlines.disarm(this);
  }

  /** Nothing will be owed any more. */
  end(): void {
    this.stop();
    this.#mail.deadlines.release(this);
  }
}
