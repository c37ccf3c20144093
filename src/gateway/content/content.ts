/**
 * A message as a piece table: pieces in order, each a range of a source that never changes (the original, or what a
 * service inserted). A service's answer is such a list over its own input, so what it left alone is never copied and
 * stays bit-exact; neighbouring ranges are joined, so an answer that copies all is one piece again.
 *
 * See docs/decisions/0004-piece-table.md.
 */
import type { Source } from './octet-store.ts';

export interface Piece {
  readonly source: Source;
  readonly offset: number;
  readonly size: number;
  /** Where the piece begins in the content. */
  readonly start: number;
}

export class Content {
  readonly #pieces: Piece[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get pieces(): readonly Piece[] {
    return this.#pieces;
  }

  /** Adds a range of `source` at the end; joined to the last piece where it follows on. */
  append(source: Source, offset: number, size: number): void {
    if (size === 0) return;
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.source === source && last.offset + last.size === offset) {
      this.#pieces[this.#pieces.length - 1] = {
        source,
        offset: last.offset,
        size: last.size + size,
        start: last.start,
      };
    } else {
      this.#pieces.push({ source, offset, size, start: this.#size });
    }
    this.#size += size;
  }

  /** Adds the range `[offset, offset + size)` of `other` at the end, by reference. The range must lie inside. */
  appendRange(other: Content, offset: number, size: number): void {
    let at = offset;
    const end = offset + size;
    for (let i = other.indexAt(offset); at < end; i++) {
      const piece = other.#pieces[i];
      if (piece === undefined) throw new RangeError('range outside the content');
      const from = at - piece.start;
      const length = Math.min(piece.size - from, end - at);
      this.append(piece.source, piece.offset + from, length);
      at += length;
    }
  }

  /** The index of the piece that holds the octet at `offset`; the number of pieces where `offset` is the size. */
  indexAt(offset: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const piece = this.#pieces[middle] as Piece;
      if (piece.start + piece.size <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** How many octets from `offset` on, `max` at the most, lie in sources that are all dot-free, or all not. */
  alikeFrom(offset: number, max: number): { readonly size: number; readonly isDotFree: boolean } {
    let i = this.indexAt(offset);
    const isDotFree = this.#pieces[i]?.source.isDotFree === true;
    const limit = Math.min(offset + max, this.#size);
    let end = offset;
    for (let piece = this.#pieces[i]; piece !== undefined && end < limit; piece = this.#pieces[++i]) {
      if (piece.source.isDotFree !== isDotFree) break;
      // A piece may begin with a dot behind another's LF: the reader looks at the first octet of what it is given.
      if (isDotFree && end > offset) break;
      end = piece.start + piece.size;
    }
    return { size: Math.min(end, limit) - offset, isDotFree };
  }

  /** The octets of the range as views, or `undefined` where some are not in memory. */
  view(offset: number, size: number): Buffer[] | undefined {
    let at = offset;
    const end = offset + size;
    const first = this.indexAt(offset);
    const only = this.#pieces[first];
    // Mostly it is one piece, whose views are the answer.
    if (size > 0 && only !== undefined && only.start + only.size >= end)
      return only.source.view(only.offset + offset - only.start, size);
    const out: Buffer[] = [];
    for (let i = first; at < end; i++) {
      const piece = this.#pieces[i];
      if (piece === undefined) return undefined;
      const from = at - piece.start;
      const length = Math.min(piece.size - from, end - at);
      const views = piece.source.view(piece.offset + from, length);
      if (views === undefined) return undefined;
      for (const view of views) out.push(view);
      at += length;
    }
    return out;
  }

  /** The octets of the range, wherever they are. `done` is called exactly once, never from within `load`. */
  load(offset: number, size: number, done: (error: Error | undefined, octets: Buffer[]) => void): void {
    const views = this.view(offset, size);
    if (views !== undefined) {
      queueMicrotask(() => done(undefined, views));
      return;
    }
    const out: Buffer[] = [];
    const step = (at: number): void => {
      const piece = this.#pieces[this.indexAt(at)];
      if (at >= offset + size || piece === undefined) {
        done(undefined, out);
        return;
      }
      const from = at - piece.start;
      const length = Math.min(piece.size - from, offset + size - at);
      piece.source.load(piece.offset + from, length, (error, octets) => {
        if (error !== undefined) {
          done(error, []);
          return;
        }
        for (const view of octets) out.push(view);
        step(at + length);
      });
    };
    step(offset);
  }

  /** Whether both contents are the same ranges of the same sources. Equal octets in other places do not count. */
  isSameRange(offset: number, other: Content, otherOffset: number, size: number): boolean {
    if (offset + size > this.#size || otherOffset + size > other.#size) return false;
    let done = 0;
    while (done < size) {
      const a = this.#pieces[this.indexAt(offset + done)] as Piece;
      const b = other.#pieces[other.indexAt(otherOffset + done)] as Piece;
      const fromA = offset + done - a.start;
      const fromB = otherOffset + done - b.start;
      if (a.source !== b.source || a.offset + fromA !== b.offset + fromB) return false;
      done += Math.min(a.size - fromA, b.size - fromB, size - done);
    }
    return true;
  }
}

/** A few octets that are in memory for good, such as the trace block, as a source. */
export class FixedOctets implements Source {
  readonly isDotFree = false;
  readonly octets: Buffer;

  constructor(octets: Buffer) {
    this.octets = octets;
  }

  get size(): number {
    return this.octets.length;
  }

  view(offset: number, size: number): Buffer[] {
    return [this.octets.subarray(offset, offset + size)];
  }

  load(offset: number, size: number, done: (error: Error | undefined, octets: Buffer[]) => void): void {
    queueMicrotask(() => done(undefined, this.view(offset, size)));
  }
}
