/** The last mails, for the console: a ring in memory, gone with the process. */
import type { MailRecord, RecentMails } from '../options.ts';

export class RecentMailRing implements RecentMails {
  readonly #max: number;
  readonly #records = new Map<string, MailRecord>();

  constructor(max: number) {
    this.#max = max;
  }

  keep(record: MailRecord): void {
    this.#records.set(record.id, record);
    if (this.#records.size <= this.#max) return;
    const oldest = this.#records.keys().next();
    if (!oldest.done) this.#records.delete(oldest.value);
  }

  list(): readonly MailRecord[] {
    return [...this.#records.values()].reverse();
  }

  find(id: string): MailRecord | undefined {
    return this.#records.get(id);
  }
}
