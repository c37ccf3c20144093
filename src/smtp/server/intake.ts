/**
 * One mail's content on its way to the handler, whether it came by DATA or BDAT: counted, judged, handed on. From the
 * first flaw on nothing more is handed on, but octets are still counted: the peer is read to the end of its data so
 * that it hears the refusal, though not for ever.
 */

import { replies } from '../replies.ts';
import type { Reply } from '../reply.ts';
import { Gatherer, type PieceSink } from './gatherer.ts';
import { type Flaw, NewlineCheck } from './newlines.ts';
import type { ServerOptions } from './options.ts';

export type ContentFlaw = Flaw | 'too-big';

export class Intake {
  readonly #maxSize: number;
  readonly #maxDropped: number;
  readonly #check: NewlineCheck;
  readonly #pieces: Gatherer;
  #octets = 0;
  #flaw: ContentFlaw | undefined;

  constructor(options: ServerOptions, sink: PieceSink) {
    this.#maxSize = options.maxSize;
    this.#maxDropped = options.maxSize * options.limits.droppedContentFactor;
    this.#check = new NewlineCheck(options.limits.contentLine);
    this.#pieces = new Gatherer(sink);
  }

  /** Octets so far, with those dropped. */
  get octets(): number {
    return this.#octets;
  }

  get flaw(): ContentFlaw | undefined {
    return this.#flaw;
  }

  /** Whether so much was dropped that reading on helps nobody. */
  get isFlood(): boolean {
    return this.#octets > this.#maxDropped;
  }

  /** `isClean`: see `RangeSink`. */
  take(buf: Buffer, from: number, to: number, isClean: boolean): void {
    this.#octets += to - from;
    if (this.#flaw !== undefined) return;
    // The newlines up to the cap are judged first, so that the refusal does not depend on the chunks.
    const over = Math.max(0, this.#octets - this.#maxSize);
    const end = Math.max(from, to - over);
    const flaw = isClean ? this.#check.nextClean(buf, from, end) : this.#check.next(buf, from, end);
    this.#flaw = flaw ?? (over > 0 ? 'too-big' : undefined);
    if (this.#flaw === undefined) this.#pieces.put(buf, from, to);
  }

  /** The end of the content. BDAT may end it within a line: it stays as it is, and whoever sends it on frames it so. */
  end(): void {
    if (this.#flaw === undefined && this.#check.isAfterCr) this.#flaw = 'bare-newline';
    if (this.#flaw !== undefined) return;
    this.#pieces.flush();
  }
}

export function flawReply(flaw: ContentFlaw): Reply {
  switch (flaw) {
    case 'bare-newline':
      return replies.bareNewlineInContent;
    case 'line-too-long':
      return replies.contentLineTooLong;
    case 'too-big':
      return replies.tooBig;
  }
}
