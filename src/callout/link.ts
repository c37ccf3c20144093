/**
 * Between two services of one group: what the first makes of its message is what the second gets. Remembers of which
 * pieces that is made, so that what nobody changed is still named by its place in the original at the end.
 */
import type { Advice } from '../profile/index.ts';
import type { Held, HeldBudget } from './held.ts';
import type { Outlet, Source } from './outlet.ts';

/** The service behind the link. */
export interface NextStage {
  feed(octets: Buffer): void;
  mark(): void;
  end(): void;
}

type Piece =
  | { readonly at: number; readonly end: number; readonly original: number }
  | { readonly at: number; readonly end: number; readonly data: Buffer };

export class Link implements Outlet, Source {
  readonly isFull = false;
  readonly #source: Source;
  readonly #held: Held;
  readonly #budget: HeldBudget;
  readonly #wire: Pick<Outlet, 'refuse' | 'advise' | 'fail'>;
  readonly #pieces: Piece[] = [];
  #next: NextStage | undefined;
  #size = 0;
  #dataOctets = 0;

  constructor(source: Source, held: Held, budget: HeldBudget, wire: Pick<Outlet, 'refuse' | 'advise' | 'fail'>) {
    this.#source = source;
    this.#held = held;
    this.#budget = budget;
    this.#wire = wire;
  }

  connect(next: NextStage): void {
    this.#next = next;
  }

  /** Gives back the memory of what the first service put in. */
  drop(): void {
    this.#budget.giveBack(this.#dataOctets);
    this.#dataOctets = 0;
    this.#pieces.length = 0;
  }

  walk(
    start: number,
    end: number,
    onOriginal: (start: number, end: number) => void,
    onData: (octets: Uint8Array) => void,
  ): void {
    for (let i = this.#indexOf(start); i < this.#pieces.length; i++) {
      const piece = this.#pieces[i] as Piece;
      if (piece.at >= end) return;
      const from = Math.max(start, piece.at) - piece.at;
      const to = Math.min(end, piece.end) - piece.at;
      if ('data' in piece) onData(piece.data.subarray(from, to));
      else onOriginal(piece.original + from, piece.original + to);
    }
  }

  /** Not asked for: a service that is not the last adds fields in the message, where the next one sees them. */
  addFields(): void {
    this.fail('service-failed');
  }

  use(start: number, end: number): void {
    this.#source.walk(
      start,
      end,
      (from, to) => this.#useOriginal(from, to),
      (octets) => this.data(octets),
    );
  }

  data(octets: Uint8Array): void {
    if (!this.#budget.take(octets.length)) {
      this.fail('no-memory');
      return;
    }
    this.#dataOctets += octets.length;
    const data = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    this.#pieces.push({ at: this.#size, end: this.#size + data.length, data });
    this.#size += data.length;
    this.#next?.feed(data);
  }

  useNothing(): void {}

  flush(): void {
    this.#next?.mark();
  }

  finish(): void {
    this.#next?.end();
  }

  refuse(reply: string): void {
    this.#wire.refuse(reply);
  }

  advise(advice: Advice): void {
    this.#wire.advise(advice);
  }

  fail(reason: string): void {
    this.#wire.fail(reason);
  }

  #useOriginal(from: number, to: number): void {
    this.#pieces.push({ at: this.#size, end: this.#size + to - from, original: from });
    this.#size += to - from;
    const isAll = this.#held.walk(
      from,
      to,
      (octets) => {
        this.#next?.feed(octets);
        return true;
      },
      () => false,
    );
    if (!isAll) this.fail('octets-not-held');
  }

  /** The first piece that ends behind `offset`. */
  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#pieces[middle] as Piece).end > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
