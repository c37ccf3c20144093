import { EMPTY } from '../../base/index.ts';

const FIRST_OCTETS = 16 * 1024;

/**
 * Room that output is put together in, used again as long as a socket takes all of it at once: for the system to find
 * and clear new pages for each write costs more than the write. One does for any number of connections.
 */
export class Scratch {
  #octets: Buffer = EMPTY;
  #isLent = false;

  /** Room for `octets`, with anything in it. What is lent already stays untouched. */
  lend(octets: number): Buffer {
    if (this.#isLent) return Buffer.allocUnsafe(octets);
    if (octets > this.#octets.length) this.#grow(octets);
    this.#isLent = true;
    return this.#octets.subarray(0, octets);
  }

  /** To call when what was lent was written. `isStillRead`: not all of it, so that it goes to whoever reads it. */
  giveBack(isStillRead: boolean): void {
    if (this.#isLent && isStillRead) this.#octets = EMPTY;
    this.#isLent = false;
  }

  #grow(octets: number): void {
    let capacity = FIRST_OCTETS;
    while (capacity < octets) capacity *= 2;
    this.#octets = Buffer.allocUnsafeSlow(capacity);
  }
}
