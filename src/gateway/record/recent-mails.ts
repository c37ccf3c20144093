/** The last mails, for the console: a ring in memory, gone with the process. */
import type { MailRecord, RecentMails } from '../options.ts';

export class RecentMailRing implements RecentMails {
  #max: number;
  readonly #records = new Map<string, MailRecord>();

  constructor(max: number) {
    this.#max = max;
  }

  keep(record: MailRecord): void {
    this.#records.set(record.id, record);
    this.#trim();
  }

  /** Keeps as many from now on. */
  resize(max: number): void {
    this.#max = max;
    this.#trim();
  }

  list(): readonly MailRecord[] {
    return [...this.#records.values()].reverse();
  }

  find(id: string): MailRecord | undefined {
    return this.#records.get(id);
  }

  #trim(): void {
    for (const id of this.#records.keys()) {
      if (this.#records.size <= this.#max) return;
      this.#records.delete(id);
    }
  }
}
