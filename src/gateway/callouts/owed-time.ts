/** The time a service owes something: a deadline while it does, and the sum for the record. */
import type { Armed } from '../../base/index.ts';
import type { RunMail } from './run-mail.ts';

export class OwedTime {
  readonly #armed: Armed;
  readonly #timeoutMs: number;
  readonly #mail: RunMail;
  #sinceMs = -1;
  #totalMs = 0;

  constructor(armed: Armed, timeoutMs: number, mail: RunMail) {
    this.#armed = armed;
    this.#timeoutMs = timeoutMs;
    this.#mail = mail;
  }

  get totalMs(): number {
    return this.#totalMs;
  }

  start(): void {
    if (this.#sinceMs >= 0) return;
    this.#sinceMs = this.#mail.clock();
    this.#mail.deadlines.arm(this.#armed, this.#timeoutMs);
  }

  stop(): void {
    if (this.#sinceMs < 0) return;
    this.#totalMs += this.#mail.clock() - this.#sinceMs;
    this.#sinceMs = -1;
    this.#mail.deadlines.release(this.#armed);
  }
}
