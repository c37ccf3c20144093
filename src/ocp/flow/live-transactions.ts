import type { Transaction } from './transaction.ts';

/** A power of two, as all sizes of the table are. */
const MIN_BUCKETS = 64;

/**
 * The live transactions by xid. A `Map` would do, but for what one that is added to and deleted from all the time costs V8
 * (`base/roster.ts` tells it): transactions long over were copied by the collector. Xids grow by one, mostly, so that the
 * lowest bits of them find a place of their own.
 */
export class LiveTransactions implements Iterable<Transaction> {
  #buckets: (Transaction | undefined)[] = Array<Transaction | undefined>(MIN_BUCKETS).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  find(xid: number): Transaction | undefined {
    let one = this.#buckets[xid & (this.#buckets.length - 1)];
    while (one !== undefined && one.xid !== xid) one = one.nextLive;
    return one;
  }

  /** None of its xid is in. */
  add(transaction: Transaction): void {
    if (this.#size >= this.#buckets.length) this.#grow();
    this.#size++;
    this.#put(transaction);
  }

  /** One that is not in is no mistake: both sides may end it. */
  remove(transaction: Transaction): void {
    const at = transaction.xid & (this.#buckets.length - 1);
    let before: Transaction | undefined;
    let one = this.#buckets[at];
    while (one !== undefined && one !== transaction) {
      before = one;
      one = one.nextLive;
    }
    if (one === undefined) return;
    if (before === undefined) this.#buckets[at] = one.nextLive;
    else before.nextLive = one.nextLive;
    one.nextLive = undefined;
    this.#size--;
  }

  /** Returns those that were in. */
  clear(): Transaction[] {
    const all = [...this];
    for (const one of all) this.remove(one);
    return all;
  }

  /** Those that are in now, oldest xid first, without those that were removed before their turn. */
  *[Symbol.iterator](): Iterator<Transaction> {
    const all: Transaction[] = [];
    for (const first of this.#buckets) for (let one = first; one !== undefined; one = one.nextLive) all.push(one);
    for (const one of all.sort((a, b) => a.xid - b.xid)) if (this.find(one.xid) === one) yield one;
  }

  #put(transaction: Transaction): void {
    const at = transaction.xid & (this.#buckets.length - 1);
    transaction.nextLive = this.#buckets[at];
    this.#buckets[at] = transaction;
  }

  #grow(): void {
    const all = [...this];
    this.#buckets = Array<Transaction | undefined>(this.#buckets.length * 2).fill(undefined);
    for (const one of all) this.#put(one);
  }
}
