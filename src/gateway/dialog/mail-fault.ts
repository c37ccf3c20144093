/**
 * A bug of ours met while a mail was worked on: what is left to do for it is done piece by piece, as nothing of its state is to be
 * trusted any more, and each piece may fail in turn.
 */
import { type Log, stackOf } from '../../base/index.ts';

export class MailFault {
  readonly #log: Log;
  readonly #mail: string;

  constructor(log: Log, mail: string, error: unknown) {
    this.#log = log;
    this.#mail = mail;
    this.#tell(error);
  }

  /** Whatever becomes of it, what follows is done. */
  attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#tell(error);
    }
  }

  #tell(error: unknown): void {
    this.#log.error('mail.fault', { mail: this.#mail, error: stackOf(error) });
  }
}
