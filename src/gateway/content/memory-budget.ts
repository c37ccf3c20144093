/**
 * How much content may stay in memory, over all mails together and for one of them. What is not granted goes to a spill
 * file. Small mail, which is nearly all mail, never meets the disk; a flood of large mail cannot fill memory.
 */
export class MemoryBudget {
  #maxOctets: number;
  #maxPerStore: number;
  #used = 0;

  /**
   * @param maxOctets in memory over all mails (default 64 MiB)
   * @param maxPerStore in memory for one mail's original, and as much again for what services insert (default 4 MiB)
   */
  constructor(maxOctets = 64 * 1024 * 1024, maxPerStore = 4 * 1024 * 1024) {
    this.#maxOctets = maxOctets;
    this.#maxPerStore = maxPerStore;
  }

  /** Other bounds, for what is asked from now on. */
  resize(maxOctets: number, maxPerStore: number): void {
    this.#maxOctets = maxOctets;
    this.#maxPerStore = maxPerStore;
  }

  get used(): number {
    return this.#used;
  }

  /** For those who may do without: the other half is for mail that is just coming in. */
  get isHalfUsed(): boolean {
    return 2 * this.#used > this.#maxOctets;
  }

  /** Whether `octets` more may stay in memory for a store that already has `granted`. If so they count as used. */
  take(octets: number, granted: number): boolean {
    if (granted + octets > this.#maxPerStore || this.#used + octets > this.#maxOctets) return false;
    this.#used += octets;
    return true;
  }

  give(octets: number): void {
    this.#used -= octets;
  }
}
