/**
 * The delimiters of the multiparts that are open (RFC 2046 section 5.1.1), searched for in views of the message with
 * `Buffer.indexOf`. Where each boundary comes next is remembered while a view lasts, so that a view is gone through once for
 * each open multipart, however many delimiters are in it.
 */
import { CR, HT, LF, SP } from '../base/index.ts';
import type { Part } from './part-builder.ts';

const DASH = 0x2d;
/** White space behind a delimiter that is still waited for. */
const PADDING = 256;

/** A multipart that has not been closed. `hit` is where its delimiter may come next in the view numbered `view`. */
interface Open {
  readonly part: Part;
  readonly boundary: Buffer;
  readonly needle: Buffer;
  hit: number;
  view: number;
}

export class Delimiters {
  /** The longest line that can be a delimiter, without its LF. */
  readonly longest: number;
  // What `judge` found: whose delimiter, whether it closes, the offsets of the line's end and of the next line.
  foundIndex = 0;
  isClosing = false;
  lineEnd = 0;
  next = 0;
  /** Outer ones first. */
  readonly #open: Open[] = [];
  #view = 0;

  constructor(boundaryOctets: number) {
    this.longest = 2 + boundaryOctets + 2 + PADDING + 2;
  }

  get count(): number {
    return this.#open.length;
  }

  /** Whose delimiter was found. */
  get owner(): Part {
    return (this.#open[this.foundIndex] as Open).part;
  }

  open(part: Part, boundary: string): void {
    const needle = Buffer.from(`\n--${boundary}`, 'latin1');
    this.#open.push({ part, boundary: needle.subarray(3), needle, hit: -1, view: 0 });
  }

  /** Takes away those from `index` on. */
  closeFrom(index: number): readonly Part[] {
    return this.#open.splice(index).map(({ part }) => part);
  }

  /** The octets that come now are others than before. */
  startView(): void {
    this.#view++;
  }

  /** Where the next delimiter of any open multipart may be: the offset of the LF before it. */
  nearest(view: Buffer, from: number): number {
    let nearest = -1;
    for (const open of this.#open) {
      if (open.view !== this.#view || (open.hit >= 0 && open.hit < from)) {
        open.view = this.#view;
        open.hit = view.indexOf(open.needle, from);
      }
      if (open.hit >= 0 && (nearest < 0 || open.hit < nearest)) nearest = open.hit;
    }
    return nearest;
  }

  /** Whether the line at `start` is a delimiter of an open multipart. `more`: its end is not in the view. */
  judge(view: Buffer, start: number, isLast: boolean): 'delimiter' | 'none' | 'more' {
    if (start + 1 < view.length && (view[start] !== DASH || view[start + 1] !== DASH)) return 'none';
    const lf = view.indexOf(LF, start);
    if (lf < 0 && !isLast && view.length - start <= this.longest) return 'more';
    const lineEnd = lf < 0 ? view.length : lf;
    if (lineEnd - start > this.longest) return 'none';
    let end = lineEnd > start && view[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd;
    const textEnd = end;
    while (end > start && (view[end - 1] === SP || view[end - 1] === HT)) end--;
    for (let i = this.#open.length - 1; i >= 0; i--) {
      const { boundary } = this.#open[i] as Open;
      const tail = end - start - 2 - boundary.length;
      if ((tail !== 0 && tail !== 2) || !startsWith(view, start + 2, boundary)) continue;
      if (tail === 2 && (view[end - 2] !== DASH || view[end - 1] !== DASH)) continue;
      this.foundIndex = i;
      this.isClosing = tail === 2;
      this.lineEnd = textEnd;
      this.next = lf < 0 ? view.length : lf + 1;
      return 'delimiter';
    }
    for (const { part, boundary } of this.#open) {
      if (end - start > 2 + boundary.length && startsWith(view, start + 2, boundary)) part.fault('boundary-tail');
    }
    return 'none';
  }

  /** Where a delimiter may begin whose end is not in the view yet: the last line end, if only dashes follow so far. */
  keepFrom(view: Buffer, at: number): number {
    const floor = Math.max(at, view.length - this.longest - 1);
    const lf = view.subarray(floor).lastIndexOf(LF) + floor;
    if (lf < floor) return view[view.length - 1] === CR ? view.length - 1 : view.length;
    const couldBe =
      (lf + 1 >= view.length || view[lf + 1] === DASH) && (lf + 2 >= view.length || view[lf + 2] === DASH);
    if (couldBe) return lf > at && view[lf - 1] === CR ? lf - 1 : lf;
    return view[view.length - 1] === CR ? view.length - 1 : view.length;
  }
}

function startsWith(view: Buffer, at: number, octets: Buffer): boolean {
  const end = at + octets.length;
  return end <= view.length && view.compare(octets, 0, octets.length, at, end) === 0;
}
