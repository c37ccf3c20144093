/** Values by key until their time is over, bounded in number and weight; whatever was not used for longest goes first. */
import type { MonotonicClock } from '../base/index.ts';

interface Entry<V> {
  readonly value: V;
  readonly untilMs: number;
  readonly weight: number;
}

export class Cache<V> {
  readonly #clock: MonotonicClock;
  readonly #maxEntries: number;
  readonly #maxWeight: number;
  /** In the order of last use: a `Map` keeps the order of insertion. */
  readonly #entries = new Map<string, Entry<V>>();
  #weight = 0;

  constructor(clock: MonotonicClock, maxEntries: number, maxWeight: number) {
    this.#clock = clock;
    this.#maxEntries = maxEntries;
    this.#maxWeight = maxWeight;
  }

  get size(): number {
    return this.#entries.size;
  }

  get weight(): number {
    return this.#weight;
  }

  find(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#drop(key, entry);
    if (entry.untilMs <= this.#clock()) return undefined;
    this.#enter(key, entry);
    return entry.value;
  }

  keep(key: string, value: V, forMs: number, weight = 1): void {
    const old = this.#entries.get(key);
    if (old !== undefined) this.#drop(key, old);
    if (weight > this.#maxWeight || forMs <= 0) return;
    this.#enter(key, { value, untilMs: this.#clock() + forMs, weight });
    for (const [eldest, entry] of this.#entries) {
      if (this.#entries.size <= this.#maxEntries && this.#weight <= this.#maxWeight) return;
      this.#drop(eldest, entry);
    }
  }

  #enter(key: string, entry: Entry<V>): void {
    this.#entries.set(key, entry);
    this.#weight += entry.weight;
  }

  #drop(key: string, entry: Entry<V>): void {
    this.#entries.delete(key);
    this.#weight -= entry.weight;
  }
}
