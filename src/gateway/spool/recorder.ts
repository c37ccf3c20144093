/** Tells the record of the last mails how work on their deliveries ended: what is about to be stored, and then that it is. */
import type { Change, StoredMail } from '../../store/index.ts';
import { type DeliveryBook, type DeliveryFacts, type DeliveryRecord, deliveryRecord } from '../record/deliveries.ts';
import { traceOf } from './damage.ts';
import type { QueuedDelivery } from './rows.ts';

interface About {
  readonly mail: StoredMail;
  readonly nextHop: string | undefined;
}

interface Expected extends DeliveryFacts {
  /** The id in trace and log. */
  readonly trace: string;
}

export class Recorder {
  readonly #book: DeliveryBook | undefined;
  readonly #wallClock: () => number;
  /**
   * By delivery: of mails that are among the last ones only. What the store refuses for good stays here, as it stays the
   * worker's.
   */
  readonly #expected = new Map<string, Expected>();

  constructor(book: DeliveryBook | undefined, wallClock: () => number) {
    this.#book = book;
    this.#wallClock = wallClock;
  }

  /** Whether it is of use to say what is expected of a mail: one look-up. */
  isKept(mail: StoredMail): boolean {
    return this.#book?.knows(traceOf(mail)) === true;
  }

  /** Only of mails that are kept. */
  expect({ mail, nextHop }: About, { n, forwardPath }: QueuedDelivery, said: string): void {
    this.#expected.set(`${mail.id}#${n}`, { trace: traceOf(mail), to: forwardPath, nextHop, said });
  }

  /** All are of one mail. */
  stored(changes: readonly Change[]): void {
    if (this.#expected.size === 0) return;
    const told: DeliveryRecord[] = [];
    let trace = '';
    for (const change of changes) {
      const key = `${change.mail}#${change.n}`;
      const facts = this.#expected.get(key);
      if (facts === undefined) continue;
      this.#expected.delete(key);
      trace = facts.trace;
      told.push(deliveryRecord(change, facts, this.#wallClock()));
    }
    if (told.length > 0) this.#book?.tell(trace, told);
  }
}
