import { MAX_NUMBER } from '../codec/index.ts';

/**
 * The identifiers of transactions on one connection (RFC 4037, sections 10.2 and 10.7): each is created once, each
 * greater than those before. An identifier that is not live is either over, and then whatever was in flight for it is
 * dropped, or was never created, and then it is answered with TE 400 once and counts as used up (section 16.3 of our
 * reference, A-05, A-06). Only the largest identifier and the few strange ones are remembered.
 */
export class Xids {
  #last: number;
  readonly #used = new Set<number>();
  readonly #maxStrays: number;
  #strays = 0;

  constructor(first: number, maxStrays: number) {
    this.#last = first - 1;
    this.#maxStrays = maxStrays;
  }

  /** A new identifier of ours; none if all are used up, which ends the connection (section 10.2). */
  create(): number | undefined {
    let xid = this.#last + 1;
    while (this.#used.delete(xid)) xid++;
    if (xid > MAX_NUMBER) return undefined;
    this.#last = xid;
    return xid;
  }

  /** The peer's TS: false if the identifier was used before, or is not greater than those before. */
  recvCreate(xid: number): boolean {
    if (xid <= this.#last) return false;
    this.#last = xid;
    return !this.#used.delete(xid);
  }

  /** What to do about a message for an identifier that is not live. */
  judge(xid: number): 'over' | 'stray' | 'abuse' {
    if (xid <= this.#last || this.#used.has(xid)) return 'over';
    this.#strays++;
    if (this.#strays > this.#maxStrays) return 'abuse';
    this.#used.add(xid);
    return 'stray';
  }
}
