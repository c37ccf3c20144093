/**
 * The first octets of every part, kept while the message streams by. Where parts are is known only at the end, but each
 * body begins behind an empty line; so what follows any empty line is kept for a while. Base64 has none, so of large
 * attachments only the beginning stays.
 */

/** Octets kept behind an empty line: encoded, they hold what file types are recognised by, also inside ZIP files. */
export const HEAD_OCTETS = 32 * 1024;
/** Octets kept of one mail. Parts beyond cannot be looked at; no mail gets there that was not made for it. */
const MAX_OCTETS = 4 * 1024 * 1024;

interface Piece {
  readonly start: number;
  readonly octets: Buffer;
}

export class PartHeads {
  readonly #pieces: Piece[] = [];
  #at = 0;
  #kept = 0;
  /** Octets are kept up to this offset of the message. */
  #until = 0;
  /** What the last chunk ended with, as far as it may be the start of an empty line. A message may begin with one. */
  #tail = '\n';

  feed(octets: Buffer): void {
    const base = this.#at;
    const across = /\n\r?\n/.exec(this.#tail + octets.toString('latin1', 0, 2));
    if (across !== null) this.#extend(base - this.#tail.length + across.index + across[0].length);
    for (let at = 0; at < octets.length; ) {
      const stop = Math.min(octets.length, this.#until - base);
      const from = Math.max(0, at - 2);
      if (stop > at) {
        this.#keep(octets, at, stop);
        // Of all empty lines in what is kept anyway, only the last one matters.
        this.#extend(base + lastEmptyLine(octets, from, stop));
        at = stop;
      } else {
        const next = firstEmptyLine(octets, from);
        if (next < 0) break;
        this.#extend(base + next);
        at = Math.max(at, next);
      }
    }
    this.#at = base + octets.length;
    this.#tail =
      octets.length > 1
        ? octets.toString('latin1', octets.length - 2)
        : (this.#tail + octets.toString('latin1')).slice(-2);
  }

  /** The octets from `start` on, at most up to `end` and so many as were kept; `undefined` where none were. */
  read(start: number, end: number): Buffer | undefined {
    const to = Math.min(end, start + HEAD_OCTETS);
    const found: Buffer[] = [];
    let at = start;
    for (let i = this.#indexOf(start); at < to; i++) {
      const piece = this.#pieces[i];
      if (piece === undefined || piece.start > at) break;
      const octets = piece.octets.subarray(at - piece.start, to - piece.start);
      found.push(octets);
      at += octets.length;
    }
    return at === start && to > start ? undefined : Buffer.concat(found);
  }

  /** A body may begin at `start`. */
  #extend(start: number): void {
    this.#until = Math.max(this.#until, start + HEAD_OCTETS);
  }

  #keep(octets: Buffer, from: number, to: number): void {
    const end = Math.min(to, from + MAX_OCTETS - this.#kept);
    if (end <= from) return;
    this.#kept += end - from;
    // A copy: the chunk it is cut from may be far larger.
    this.#pieces.push({ start: this.#at + from, octets: Buffer.from(octets.subarray(from, end)) });
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

/** The offset behind the last empty line in [from, to); far before everything where there is none. */
function lastEmptyLine(octets: Buffer, from: number, to: number): number {
  const view = octets.subarray(from, to);
  const crlf = view.lastIndexOf('\n\r\n', undefined, 'latin1');
  const lf = view.lastIndexOf('\n\n', undefined, 'latin1');
  const end = Math.max(crlf < 0 ? -1 : crlf + 3, lf < 0 ? -1 : lf + 2);
  return end < 0 ? Number.NEGATIVE_INFINITY : from + end;
}

/** The offset behind the first empty line at or behind `from`; -1 where there is none. */
function firstEmptyLine(octets: Buffer, from: number): number {
  const crlf = octets.indexOf('\n\r\n', from, 'latin1');
  const lf = octets.indexOf('\n\n', from, 'latin1');
  if (crlf < 0) return lf < 0 ? -1 : lf + 2;
  return lf < 0 || crlf < lf ? crlf + 3 : lf + 2;
}
