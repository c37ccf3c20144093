/**
 * Looks for what must not be in content: a CR without LF, an LF without CR (RFC 5321, 2.3.8), and lines past a cap.
 * Every octet of every mail passes here, so clean stretches are read four words at a time: a word without an octet
 * below 0x0e holds neither CR nor LF. That costs less than half of an `indexOf` for each CR and each LF, and far less than
 * a loop over octets (bench/micro-smtp.ts), and makes no string.
 */
import { CR, LF } from '../../base/index.ts';

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

  /** Whether the content so far ends in the middle of a line. */
  get isMidLine(): boolean {
    return this.#lineLength > 0 || this.#isAfterCr;
  }

  /** Whether the last octet is a CR that nothing followed yet. */
  get isAfterCr(): boolean {
    return this.#isAfterCr;
  }

  /** The first flaw in `buf[from, to)` seen as what follows the ranges before. After one nothing more may be given. */
  next(buf: Buffer, from: number, to: number): Flaw | undefined {
    if (from === to) return undefined;
    let at = from;
    let lineStart = from - this.#lineLength;
    if (this.#isAfterCr) {
      if (buf[at++] !== LF) return 'bare-newline';
      this.#isAfterCr = false;
      lineStart = at;
    }
    // From the word that holds `from` to the last whole one.
    const firstByte = (buf.byteOffset + from) & ~3;
    const words = new Int32Array(buf.buffer, firstByte, (buf.byteOffset + to - firstByte) >> 2);
    const origin = firstByte - buf.byteOffset;
    for (at = nextControl(buf, words, origin, at, to); at < to; at = nextControl(buf, words, origin, at, to)) {
      const octet = buf[at];
      if (octet !== CR && octet !== LF) {
        at++;
        continue;
      }
      // The line's length is judged first, so that the answer does not depend on where the ranges were cut.
      if (at - lineStart > this.#maxLine) return 'line-too-long';
      if (octet === LF) return 'bare-newline';
      if (at + 1 === to) {
        this.#isAfterCr = true;
        this.#lineLength = at - lineStart;
        return undefined;
      }
      if (buf[at + 1] !== LF) return 'bare-newline';
      at += 2;
      lineStart = at;
    }
    this.#lineLength = to - lineStart;
    return this.#lineLength > this.#maxLine ? 'line-too-long' : undefined;
  }
}

/** The first octet below 0x0e in `buf[at, to)`, or `to`. `words[0]` lies at `origin` in `buf`, perhaps a little before it. */
function nextControl(buf: Buffer, words: Int32Array, origin: number, at: number, to: number): number {
  let i = at;
  let word = (i - origin + 3) >> 2;
  const aligned = Math.min(origin + (word << 2), to);
  for (; i < aligned; i++) if ((buf[i] as number) < 0x0e) return i;
  if (i === to) return to;
  word = skipClean(words, word);
  for (i = origin + (word << 2); i < to; i++) if ((buf[i] as number) < 0x0e) return i;
  return to;
}

/**
 * The first word from `from` on that has an octet below 0x0e, or the number of words. Subtracting 0x0e from each octet
 * at once borrows into its top bit where it was smaller; octets whose top bit was set already are masked out.
 */
function skipClean(words: Int32Array, from: number): number {
  const end = words.length;
  let i = from;
  for (; i < end - 3; i += 4) {
    const a = words[i] as number;
    const b = words[i + 1] as number;
    const c = words[i + 2] as number;
    const d = words[i + 3] as number;
    const low = ((a - STEP) & ~a) | ((b - STEP) & ~b) | ((c - STEP) & ~c) | ((d - STEP) & ~d);
    if ((low & TOP_BITS) !== 0) break;
  }
  for (; i < end; i++) {
    const a = words[i] as number;
    if (((a - STEP) & ~a & TOP_BITS) !== 0) break;
  }
  return i;
}

const STEP = 0x0e0e0e0e;
const TOP_BITS = 0x80808080 | 0;
