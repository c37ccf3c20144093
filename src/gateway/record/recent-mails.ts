/** The last mails, for the console: a ring in memory, gone with the process. */
import type { MailRecord, RecentMails } from '../options.ts';
import type { DeliveryBook, DeliveryRecord } from './deliveries.ts';

export class RecentMailRing implements RecentMails, DeliveryBook {
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

  knows(id: string): boolean {
    return this.#records.has(id);
  }

  /** The record keeps its place among the others. */
  tell(id: string, told: readonly DeliveryRecord[]): void {
    const record = this.#records.get(id);
    if (record === undefined) return;
    const again = new Set(told.map((one) => one.id));
    const before = record.deliveries.filter((one) => !again.has(one.id));
    this.#records.set(id, { ...record, deliveries: [...before, ...told] });
  }

  #trim(): void {
    for (const id of this.#records.keys()) {
      if (this.#records.size <= this.#max) return;
      this.#records.delete(id);
    }
  }
}
