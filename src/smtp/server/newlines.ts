/**
 * Looks for what must not be in content: a CR without LF, an LF without CR (RFC 5321, 2.3.8), and lines past a cap.
 * The octets are looked at by `scanLines`; of the lines only as many are measured as could be too long.
 */
import { CR, DOT, LF } from '../../base/index.ts';
import { scanLines } from '../scan/line-scan.ts';

export type Flaw = 'bare-newline' | 'line-too-long';

/** One for each content. Ranges are given in order; together they are the content. */
export class NewlineCheck {
  readonly #maxLine: number;
  /** Octets of the line that the last range ended in, without its CR. */
  #lineLength = 0;
  #isAfterCr = false;

  constructor(maxLine: number) {
    this.#maxLine = maxLine;
  }

  /** Whether the last octet is a CR that nothing followed yet. */
  get isAfterCr(): boolean {
    return this.#isAfterCr;
  }

  /** The first flaw in `buf[from, to)` seen as what follows the ranges before. After one nothing more may be given. */
  next(buf: Buffer, from: number, to: number): Flaw | undefined {
    let at = scanLines(buf, from, to, this.#isAfterCr ? CR : 0);
    while (at > from && at < to && buf[at] === DOT && buf[at - 1] === LF) at = scanLines(buf, at + 1, to, DOT);
    if (at === to) return this.#measure(buf, from, to) ? 'line-too-long' : undefined;
    // The line's length is judged first, so that the answer does not depend on where the ranges were cut.
    const newline = buf[at] === LF ? at : at - 1;
    return newline > from && this.#measure(buf, from, newline) ? 'line-too-long' : 'bare-newline';
  }

  /** The same for a range that `scanLines` found nothing but dots in; it may yet not fit behind the ranges before. */
  nextClean(buf: Buffer, from: number, to: number): Flaw | undefined {
    if (from < to && this.#isAfterCr && buf[from] !== LF) return 'bare-newline';
    return this.#measure(buf, from, to) ? 'line-too-long' : undefined;
  }

  /** Takes note of the lines in `buf[from, to)`, whose newlines are right. True: one is too long. */
  #measure(buf: Buffer, from: number, to: number): boolean {
    if (from === to) return false;
    this.#isAfterCr = buf[to - 1] === CR;
    const end = this.#isAfterCr ? to - 1 : to;
    let lineStart = from - this.#lineLength;
    while (end - lineStart > this.#maxLine) {
      // The last LF by which a line that starts here may end: the lines before it are shorter still.
      const lf = buf.lastIndexOf(LF, Math.min(lineStart + this.#maxLine + 1, to - 1));
      if (lf < from || lf < lineStart) return true;
      lineStart = lf + 1;
    }
    const lf = buf.lastIndexOf(LF, to - 1);
    this.#lineLength = end - (lf < from ? lineStart : lf + 1);
    return false;
  }
}
