/**
 * Hands content on in pieces of its own. The input is memory of the next read, so whatever is kept has to be copied; and
 * whoever holds a mail holds its pieces, each of which costs about 100 octets beside what it shows. So small pieces are
 * copied together: a peer that sends one octet a packet, or a mail whose every line starts with a dot, would make a
 * hundred times the mail's size of them.
 */
import { EMPTY } from '../../base/index.ts';

/** Below it a piece counts as small. */
const SMALL = 512;
/** What small pieces are gathered in: with SMALL it bounds what is allocated to a small multiple of what came. */
const ROOM = 2048;

export interface PieceSink {
  onContent(octets: Buffer): void;
}

export class Gatherer {
  readonly #sink: PieceSink;
  /** The room where small pieces stand, or EMPTY. */
  #room: Buffer = EMPTY;
  /** Octets used of it. */
  #used = 0;

  constructor(sink: PieceSink) {
    this.#sink = sink;
  }

  put(buf: Buffer, from: number, to: number): void {
    const size = to - from;
    if (size === 0) return;
    if (size >= SMALL) {
      this.flush();
      const piece = Buffer.allocUnsafeSlow(size);
      buf.copy(piece, 0, from, to);
      this.#sink.onContent(piece);
      return;
    }
    if (this.#used + size > this.#room.length) {
      this.flush();
      this.#room = Buffer.allocUnsafe(ROOM);
    }
    this.#used += buf.copy(this.#room, this.#used, from, to);
  }

  /** Hands on what is held; at the end of content, and before a piece that is not small. */
  flush(): void {
    if (this.#used === 0) return;
    const out = this.#room.subarray(0, this.#used);
    this.#room = EMPTY;
    this.#used = 0;
    this.#sink.onContent(out);
  }
}
