/**
 * The door through which a callout server's octets come to one mail. Its connection carries many mails: an exception behind the
 * door is this mail's, while the connection, and whoever's turn it is next, go on.
 */
import type { Named, ProcessorTransactionEvents, Result, TransactionEnd } from '../../ocp/index.ts';

/** What a run hears of its transaction. */
type RunEvents = Omit<ProcessorTransactionEvents, 'onDisposable' | 'onDataIn' | 'onAdaptedStart'> & {
  onAdaptedStart(): void;
};

export class GuardedEvents implements ProcessorTransactionEvents {
  readonly #run: RunEvents;
  readonly #mail: { onFault(error: unknown): void };

  constructor(run: RunEvents, mail: { onFault(error: unknown): void }) {
    this.#run = run;
    this.#mail = mail;
  }

  onAdaptedStart(): void {
    this.#run.onAdaptedStart();
  }

  onDisposable(): void {
    // What is kept is the store of the mail, which lives as long as the mail: nothing is gained by letting go early.
  }

  onData(size: number, named: Named): void {
    try {
      this.#run.onData(size, named);
    } catch (error) {
      this.#mail.onFault(error);
    }
  }

  onDataOctets(octets: Buffer): void {
    try {
      this.#run.onDataOctets(octets);
    } catch (error) {
      this.#mail.onFault(error);
    }
  }

  onDataEnd(named: Named): void {
    try {
      this.#run.onDataEnd(named);
    } catch (error) {
      this.#mail.onFault(error);
    }
  }

  onUseYours(orgOffset: number, size: number, named: Named): void {
    try {
      this.#run.onUseYours(orgOffset, size, named);
    } catch (error) {
      this.#mail.onFault(error);
    }
  }

  onAdaptedEnd(result: Result): void {
    try {
      this.#run.onAdaptedEnd(result);
    } catch (error) {
      this.#mail.onFault(error);
    }
  }

  onTurn(): void {
    try {
      this.#run.onTurn();
    } catch (error) {
      this.#mail.onFault(error);
    }
  }

  onEnd(end: TransactionEnd): void {
    try {
      this.#run.onEnd(end);
    } catch (error) {
      this.#mail.onFault(error);
    }
  }
}
