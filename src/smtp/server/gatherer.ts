/**
 * Hands content on in views of the input, and keeps tiny views from piling up: whoever holds a mail holds its pieces,
 * a view costs about 100 octets beside what it shows, and a peer that sends one octet a packet, or a mail whose every
 * line starts with a dot, would make a hundred times the mail's size of them. Small pieces are therefore copied
 * together; a small one alone stays a view.
 */
import { EMPTY } from '../../base/index.ts';

/** Below it a piece counts as small. Mails of one read are far above it, so that they are never copied. */
const SMALL = 512;
/** What small pieces are gathered in: with SMALL it bounds what is allocated to a small multiple of what came. */
const ROOM = 2048;

export interface PieceSink {
  onContent(octets: Buffer): void;
}

export class Gatherer {
  readonly #sink: PieceSink;
  /** A small piece that came alone so far, or the room where several stand; EMPTY is neither. */
  #held: Buffer = EMPTY;
  /** Octets used of the room; 0 where `#held` is a piece. */
  #used = 0;

  constructor(sink: PieceSink) {
    this.#sink = sink;
  }

  put(buf: Buffer, from: number, to: number): void {
    const size = to - from;
    if (size === 0) return;
    if (size >= SMALL) {
      this.flush();
      this.#sink.onContent(buf.subarray(from, to));
    } else if (this.#held.length === 0) {
      this.#held = buf.subarray(from, to);
    } else {
      this.#gather(buf, from, to);
    }
  }

  /** Hands on what is held; at the end of content, and before a piece that is not small. */
  flush(): void {
    if (this.#held.length === 0) return;
    const out = this.#used === 0 ? this.#held : this.#held.subarray(0, this.#used);
    this.#held = EMPTY;
    this.#used = 0;
    this.#sink.onContent(out);
  }

  #gather(buf: Buffer, from: number, to: number): void {
    if (this.#used === 0) {
      const first = this.#held;
      this.#held = Buffer.allocUnsafe(ROOM);
      this.#used = first.copy(this.#held);
    } else if (this.#used + to - from > ROOM) {
      this.flush();
      this.#held = Buffer.allocUnsafe(ROOM);
    }
    this.#used += buf.copy(this.#held, this.#used, from, to);
  }
}
