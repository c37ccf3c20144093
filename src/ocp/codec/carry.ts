import { EMPTY } from '../../base/index.ts';

/** Kept between tokens; a larger buffer is let go so that one long value does not cost a connection memory for ever. */
const KEEP_OCTETS = 4096;
const FIRST_OCTETS = 256;

/**
 * The octets of a token (a name, a bare or a quoted value) whose end is not in the chunk at hand. Memory grows with
 * octets that came, never with a size that was announced, and doubles, so that single octets cost no more than pieces.
 */
export class Carry {
  #octets: Buffer = EMPTY;
  length = 0;

  add(buf: Buffer, from: number, to: number): void {
    const length = this.length + to - from;
    if (length > this.#octets.length) this.#grow(length);
    this.#octets.set(from === 0 && to === buf.length ? buf : buf.subarray(from, to), this.length);
    this.length = length;
  }

  /** Empties it. The octets are the first `length` before; they hold only until the next `add`. */
  take(): Buffer {
    const octets = this.#octets;
    this.length = 0;
    if (octets.length > KEEP_OCTETS) this.#octets = EMPTY;
    return octets;
  }

  #grow(length: number): void {
    let capacity = Math.max(FIRST_OCTETS, this.#octets.length);
    while (capacity < length) capacity *= 2;
    const octets = Buffer.allocUnsafeSlow(capacity);
    octets.set(this.#octets.subarray(0, this.length));
    this.#octets = octets;
  }
}
