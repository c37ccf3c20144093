import { MAX_NUMBER, type Range } from '../codec/index.ts';
import type { FlowRule } from './rules.ts';

/**
 * What both sides know about preserved original octets (RFC 4037, sections 7 and 11.9 to 11.11): the current commitment
 * of the processor, K (`Kept`), and the area the callout server may still name, R (`DPI`; everything before the first).
 * A commitment is whole: the newest describes it. R only shrinks. Ends are offsets behind the last octet; sums stay
 * below 2^53, and what lies beyond the largest offset is clamped.
 */
class Preservation {
  protected hasKept = false;
  protected keptFrom = 0;
  protected keptTo = 0;
  protected reuseFrom = 0;
  protected reuseTo = MAX_NUMBER;

  /** The commitment in force, or nothing. */
  get kept(): Range | undefined {
    return this.hasKept ? { offset: this.keptFrom, size: this.keptTo - this.keptFrom } : undefined;
  }

  /** The rule a DUY of this range would break (section 11.11). A range of no octets touches nothing disposable. */
  protected ruleForUse(offset: number, size: number): FlowRule | undefined {
    const to = offset + size;
    if (!this.hasKept || offset < this.keptFrom || to > this.keptTo) return 'use-outside-kept';
    return size > 0 && (offset < this.reuseFrom || to > this.reuseTo) ? 'use-of-disposable' : undefined;
  }

  /** DPI: R becomes this range, unless that would make it name something disposable. */
  protected shrink(offset: number, size: number): FlowRule | undefined {
    const to = Math.min(offset + size, MAX_NUMBER);
    if (to > offset && (offset < this.reuseFrom || to > this.reuseTo)) return 'reusable-area-grows';
    this.reuseFrom = offset;
    this.reuseTo = Math.max(offset, to);
    return undefined;
  }

  /** Whether K and R have octets in common that the commitment [from, to) lacks: the rule of section 7 as a predicate. */
  protected drops(from: number, to: number): boolean {
    const owedFrom = Math.max(this.keptFrom, this.reuseFrom);
    const owedTo = Math.min(this.keptTo, this.reuseTo);
    return this.hasKept && owedFrom < owedTo && (from > owedFrom || to < owedTo);
  }

  protected keep(from: number, to: number): void {
    this.hasKept = true;
    this.keptFrom = from;
    this.keptTo = to;
  }
}

/** The processor's side: what it promised to keep, and what the server may ask for. */
export class Commitment extends Preservation {
  /**
   * The commitment to announce when the caller keeps [offset, offset + size) of what was delivered up to `delivered`;
   * nothing if that adds nothing. Octets that became disposable before they were kept are left out, and so are
   * octets not delivered yet: then every range a server may name is at hand. Throws if octets still owed are
   * missing, which only a bug of the caller can bring about.
   */
  announce(offset: number, size: number, delivered: number): Range | undefined {
    const wantTo = Math.min(offset + size, delivered);
    if (this.drops(offset, wantTo)) throw new RangeError('Kept must not drop octets the server may still use');
    const overlap = this.hasKept && this.keptFrom < this.reuseTo && this.reuseFrom < this.keptTo;
    const from = Math.max(offset, overlap ? Math.min(this.keptFrom, this.reuseFrom) : this.reuseFrom);
    const to = Math.min(wantTo, overlap ? Math.max(this.keptTo, this.reuseTo) : this.reuseTo);
    if (from >= to || (this.hasKept && from === this.keptFrom && to === this.keptTo)) return undefined;
    this.keep(from, to);
    return { offset: from, size: to - from };
  }

  recvUseYours(offset: number, size: number): FlowRule | undefined {
    return this.ruleForUse(offset, size);
  }

  recvInterest(offset: number, size: number): FlowRule | undefined {
    return this.shrink(offset, size);
  }
}

/** The callout server's side: what it may name, judged from the processor's `Kept` and its own DPI. */
export class ReusableArea extends Preservation {
  #isSpoiled = false;
  #wasUsed = false;

  /**
   * A new commitment. One that drops octets still owed makes the DUM invalid once a DUY was sent; before that it only
   * ends our use of preserved data in this transaction (section 11.9).
   */
  recvKept(offset: number, size: number): FlowRule | undefined {
    const to = Math.min(offset + size, MAX_NUMBER);
    if (this.drops(offset, to)) {
      if (this.#wasUsed) return 'kept-dropped-after-use';
      this.#isSpoiled = true;
    }
    this.keep(offset, Math.max(offset, to));
    return undefined;
  }

  /** Only octets that arrived may be named, although a commitment may reach beyond them. */
  canUse(offset: number, size: number, delivered: number): boolean {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(size) || offset < 0 || size < 0) return false;
    return !this.#isSpoiled && offset + size <= delivered && this.ruleForUse(offset, size) === undefined;
  }

  sendUseYours(): void {
    this.#wasUsed = true;
  }

  sendInterest(offset: number, size: number): FlowRule | undefined {
    return this.shrink(offset, size);
  }
}
