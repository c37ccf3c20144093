/**
 * Octets of the original that a transaction has to keep itself: because the processor keeps no copy that could be
 * referred to, or because a second service is to read them. Everywhere else nothing of a mail stays in memory.
 */
import { copyOctets } from '../ocp/index.ts';

/** Memory for held octets, shared by all transactions of a server. */
export class HeldBudget {
  readonly #maxOctets: number;
  #octets = 0;

  constructor(maxOctets: number) {
    this.#maxOctets = maxOctets;
  }

  get octets(): number {
    return this.#octets;
  }

  take(octets: number): boolean {
    if (this.#octets + octets > this.#maxOctets) return false;
    this.#octets += octets;
    return true;
  }

  giveBack(octets: number): void {
    this.#octets -= octets;
  }
}

interface Piece {
  readonly start: number;
  readonly octets: Buffer;
}

/** Pieces of one mail by their offsets, in rising order, with gaps where nothing is held. */
export class Held {
  readonly #budget: HeldBudget;
  #pieces: Piece[] = [];
  #octets = 0;

  constructor(budget: HeldBudget) {
    this.#budget = budget;
  }

  /** Octets held. */
  get octets(): number {
    return this.#octets;
  }

  /**
   * Holds a copy of [from, to) of the chunk, which begins at `start`, at or behind the end of what is held. The copy;
   * `undefined` where there is no room for it.
   */
  add(start: number, chunk: Buffer, from: number, to: number): Buffer | undefined {
    if (!this.#budget.take(to - from)) return undefined;
    const octets = copyOctets(chunk, from, to);
    this.#octets += octets.length;
    if (octets.length > 0) this.#pieces.push({ start, octets });
    return octets;
  }

  /**
   * Walks over [start, end): `onHeld` gets octets, `onGap` ranges that are not held, in order. Stops where one of them
   * says false.
   */
  walk(
    start: number,
    end: number,
    onHeld: (octets: Buffer) => boolean,
    onGap: (from: number, to: number) => boolean,
  ): boolean {
    let at = start;
    for (let i = this.#indexOf(start); at < end; i++) {
      const piece = this.#pieces[i];
      const from = Math.min(end, Math.max(at, piece?.start ?? end));
      if (from > at && !onGap(at, from)) return false;
      at = from;
      if (piece === undefined || at === end) continue;
      const to = Math.min(end, piece.start + piece.octets.length);
      if (!onHeld(piece.octets.subarray(at - piece.start, to - piece.start))) return false;
      at = to;
    }
    return true;
  }

  /** What lies before `offset` is needed no more. */
  release(offset: number): void {
    let gone = 0;
    for (const piece of this.#pieces) {
      if (piece.start + piece.octets.length > offset) break;
      this.#octets -= piece.octets.length;
      this.#budget.giveBack(piece.octets.length);
      gone++;
    }
    if (gone > 0) this.#pieces.splice(0, gone);
  }

  clear(): void {
    this.#budget.giveBack(this.#octets);
    this.#octets = 0;
    this.#pieces = [];
  }

  /** The first piece that ends behind `offset`. */
  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const piece = this.#pieces[middle] as Piece;
      if (piece.start + piece.octets.length > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
