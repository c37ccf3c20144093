/** An edited message as ranges of the old one and new octets between them, sent as the old one arrives. */

/** `data` in place of the octets from `start` up to but not including `end`. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly data: Uint8Array;
}

/** Where the pieces of the new message go, in order. */
export interface SpliceSink {
  /** The octets [start, end) of the old message. */
  use(start: number, end: number): void;
  data(octets: Uint8Array): void;
}

/** Puts splices in order; those at one place stay in theirs. `undefined` where two overlap. */
export function sortSplices(splices: readonly Splice[]): readonly Splice[] | undefined {
  if (splices.length < 2) return splices;
  const sorted = splices.toSorted((a, b) => a.start - b.start || a.end - b.end);
  for (let i = 1; i < sorted.length; i++) {
    if ((sorted[i] as Splice).start < (sorted[i - 1] as Splice).end) return undefined;
  }
  return sorted;
}

/**
 * An untouched range is named when it is whole, which takes fewest messages; but a long one in pieces of this size, so
 * that a processor that may send on what it has need not wait for the end.
 */
const LAG_OCTETS = 1024 * 1024;

export class Splicer {
  readonly #splices: readonly Splice[];
  #next = 0;
  /** Octets of the old message that are dealt with. */
  #at = 0;

  constructor(splices: readonly Splice[]) {
    this.#splices = splices;
  }

  get at(): number {
    return this.#at;
  }

  /**
   * Sends what can be sent of a message of which `received` octets have come. `isEager`: without lagging behind. False
   * where the message has ended before a place to change.
   */
  advance(sink: SpliceSink, received: number, isWhole: boolean, isEager: boolean): boolean {
    for (let splice = this.#splices[this.#next]; splice !== undefined; splice = this.#splices[this.#next]) {
      if (splice.end > received) break;
      if (splice.start > this.#at) sink.use(this.#at, splice.start);
      if (splice.data.length > 0) sink.data(splice.data);
      this.#at = splice.end;
      this.#next++;
    }
    const next = this.#splices[this.#next];
    if (isWhole && next !== undefined) return false;
    const to = next === undefined ? received : Math.min(received, next.start);
    const untouched = to - this.#at;
    if (untouched > 0 && (isWhole || isEager || untouched >= LAG_OCTETS)) {
      sink.use(this.#at, to);
      this.#at = to;
    }
    return true;
  }
}
