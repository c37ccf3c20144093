/** Counts what an honest client does little of, and says when it is too much. An accepted mail makes up for all of it. */
import type { ServerLimits } from '../limits.ts';

export class Conduct {
  readonly #limits: ServerLimits;
  #commands = 0;
  #errors = 0;
  #refusals = 0;
  #junk = 0;
  #authFailures = 0;

  constructor(limits: ServerLimits) {
    this.#limits = limits;
  }

  /** Any command; `isJunk` where it moves no mail. False: too many. */
  onCommand(isJunk: boolean): boolean {
    if (isJunk) this.#junk++;
    return ++this.#commands <= this.#limits.commands && this.#junk <= this.#limits.junk;
  }

  /** A command that broke syntax or order. */
  onError(): boolean {
    return ++this.#errors <= this.#limits.errors;
  }

  /** A handler's 5yz about an address. */
  onRefusal(): boolean {
    return ++this.#refusals <= this.#limits.refusals;
  }

  /** An AUTH that failed, whoever said so. No mail makes up for it. */
  onAuthFailure(): boolean {
    return ++this.#authFailures <= this.#limits.authFailures;
  }

  onAcceptedMail(): void {
    this.#errors = 0;
    this.#refusals = 0;
    this.#junk = 0;
  }
}
