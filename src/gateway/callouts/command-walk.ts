/**
 * One command on its way through the services, in their order: each gets it as the one before left it, and the first
 * refusal ends it.
 */
import type { Reply } from '../../smtp/index.ts';
import type { Call } from './call.ts';
import type { CommandAnswer, CommandWaiter } from './command-parts.ts';
import { failureReply, isAside } from './failure.ts';

/** What the chain says of a command. A refusal is caused by OPES processing: our trace belongs into the reply. */
export type CommandVerdict =
  | { readonly kind: 'pass'; readonly argument: string }
  | { readonly kind: 'refused'; readonly reply: Reply };

export class CommandWalk implements CommandWaiter {
  readonly #calls: readonly Call[];
  readonly #part: 'MAIL' | 'RCPT';
  readonly #mailArgument: () => string;
  readonly #done: (verdict: CommandVerdict) => void;
  #argument: string;
  #at = 0;

  constructor(
    calls: readonly Call[],
    part: 'MAIL' | 'RCPT',
    argument: string,
    mailArgument: () => string,
    done: (verdict: CommandVerdict) => void,
  ) {
    this.#calls = calls;
    this.#part = part;
    this.#argument = argument;
    this.#mailArgument = mailArgument;
    this.#done = done;
  }

  next(): void {
    while (this.#at < this.#calls.length && !isAsked(this.#calls[this.#at] as Call)) this.#at++;
    const call = this.#at < this.#calls.length ? this.#calls[this.#at] : undefined;
    if (call === undefined) {
      this.#done({ kind: 'pass', argument: this.#argument });
      return;
    }
    call.failIfBaseWasSkipped(this.#calls);
    if (this.#part === 'MAIL') call.run.tellMail(this.#argument, this);
    else {
      if (!call.run.hasMail) call.run.tellMail(this.#mailArgument(), undefined);
      call.run.rcpt(this.#argument, this);
    }
  }

  onAnswer(answer: CommandAnswer): void {
    const call = this.#calls[this.#at] as Call;
    switch (answer.kind) {
      case 'unchanged':
        break;
      case 'rewritten':
        call.rewrote(this.#part, this.#argument, answer.argument);
        this.#argument = answer.argument;
        break;
      case 'refused':
        call.refused(answer.reply);
        this.#done({ kind: 'refused', reply: answer.reply });
        return;
      case 'failed': {
        const action = call.failureAction;
        // Whoever takes the mail in spite of the failure asks no later service about its recipients now.
        if (action !== undefined && isAside(action)) {
          this.#done({ kind: 'pass', argument: this.#argument });
          return;
        }
        if (action !== undefined && action !== 'skip') {
          this.#done({ kind: 'refused', reply: failureReply(action) });
          return;
        }
        call.skipped();
      }
    }
    this.#at++;
    this.next();
  }
}

/** A service whose rule waits for the message hears of the envelope then; one that is bypassed hears nothing. */
function isAsked({ planned }: Call): boolean {
  return !planned.isOpen && planned.bypassedBy === undefined;
}
