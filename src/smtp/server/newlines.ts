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
    const count = (buf.byteOffset + to - firstByte) >> 2;
    const words = isLittleEndian ? new Int32Array(buf.buffer, firstByte, count) : NO_WORDS;
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

/**
 * The first octet below 0x0e in `buf[at, to)`, or `to`; sometimes one of 0x0e behind a smaller one. `words[0]` lies at
 * `origin` in `buf`, perhaps a little before `at`.
 */
function nextControl(buf: Buffer, words: Int32Array, origin: number, at: number, to: number): number {
  const offset = at - origin;
  let word = offset >> 2;
  const end = words.length;
  if (word < end) {
    // Octets of the word that lie before `at` do not count.
    let hits = lowOctets(words[word] as number) & (-1 << ((offset & 3) << 3));
    if (hits === 0) {
      word = skipClean(words, word + 1);
      if (word < end) hits = lowOctets(words[word] as number);
    }
    // The lowest bit set belongs to the first octet.
    if (hits !== 0) return origin + (word << 2) + ((31 - Math.clz32(hits & -hits)) >> 3);
  }
  for (let i = Math.max(at, origin + (end << 2)); i < to; i++) if ((buf[i] as number) < 0x0e) return i;
  return to;
}

/** The first word from `from` on that has an octet below 0x0e, or the number of words. */
function skipClean(words: Int32Array, from: number): number {
  const end = words.length;
  let i = from;
  for (; i < end - 3; i += 4) {
    const first = lowOctets(words[i] as number) | lowOctets(words[i + 1] as number);
    if ((first | lowOctets(words[i + 2] as number) | lowOctets(words[i + 3] as number)) !== 0) break;
  }
  while (i < end && lowOctets(words[i] as number) === 0) i++;
  return i;
}

/**
 * The top bit of each octet that is below 0x0e. Subtracting 0x0e from all four at once borrows into the top bit where one
 * was smaller (and perhaps from the next, which then must be 0x0e); those that had it set already are masked out.
 */
function lowOctets(word: number): number {
  return (word - 0x0e0e0e0e) & ~word & 0x80808080;
}

const NO_WORDS = new Int32Array();

/** Where the first octet of a word is its highest, words are of no use here, and octets are looked at one by one. */
const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
