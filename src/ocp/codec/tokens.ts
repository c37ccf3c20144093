/**
 * Names, atoms and sizes out of octets that come in chunks (RFC 4037, section 3.1). Each reader goes on where it stopped:
 * it gives its token, or says that the octets ended (`undefined`, or -1 for a size) or, with `broken` set, that a rule
 * broke. Which rule breaks never depends on the chunks: a cap is judged by the place in the message, not in the chunk.
 */
import { asBuffer, COLON, DQUOTE, EMPTY, readDecimal } from '../../base/index.ts';
import { Carry } from './carry.ts';
import { internText } from './intern.ts';
import type { CodecLimits } from './limits.ts';
import { CLASSES, DIGIT, SAFE } from './octet-classes.ts';
import type { CodecRule } from './rules.ts';
import { type Atom, MAX_NUMBER } from './values.ts';

/** Digits of the largest number. */
const MAX_DIGITS = 10;
const ZERO = 0x30;

export class TokenReader {
  /** The chunk at hand; the next octet of it. */
  buf: Buffer = EMPTY;
  at = 0;
  end = 0;
  broken: CodecRule | undefined = undefined;
  readonly #limits: CodecLimits;
  readonly #carry = new Carry();
  /** Octets of the message before this chunk, less where it began in this one: plus `at`, the head's size so far. */
  #headBase = 0;
  #size = 0;
  #digits = 0;
  /** Octets a quoted value still lacks, or -1 before its size is known. */
  #left = -1;

  constructor(limits: CodecLimits) {
    this.#limits = limits;
  }

  load(chunk: Uint8Array): void {
    this.#headBase += this.end;
    this.buf = asBuffer(chunk);
    this.at = 0;
    this.end = chunk.length;
  }

  /** Lets go of the chunk. */
  unload(): void {
    this.buf = EMPTY;
  }

  /** Lets go of everything kept; no more tokens will be asked for. */
  drop(): void {
    this.at = this.end;
    this.#carry.take();
    this.unload();
  }

  /** A message begins with the next octet. */
  startHead(): void {
    this.#headBase = -this.at;
  }

  /** Whether the next `octets` are within the cap on heads. */
  mayPass(octets: number): boolean {
    return this.#headBase + this.at + octets <= this.#limits.maxHeadOctets;
  }

  /** The rest of a name, whose first octet the caller has looked at; an octet that is not part of it comes next. */
  name(): string | undefined {
    const from = this.at;
    if (!this.#skipSafe(from, this.#limits.maxNameOctets, 'name-limit')) return undefined;
    const length = this.#carry.length;
    return length === 0 ? internText(this.buf, from, this.at) : internText(this.#carry.take(), 0, length);
  }

  /** The rest of a bare value, like `name`. */
  bare(): Atom | undefined {
    const from = this.at;
    const number = this.#number();
    if (number >= 0) return number;
    if (!this.#skipSafe(from, this.#limits.maxValueOctets, 'value-limit')) return undefined;
    const length = this.#carry.length;
    return length === 0 ? atomOf(this.buf, from, this.at) : atomOf(this.#carry.take(), 0, length);
  }

  /** What follows the opening quote of a quoted value, its closing quote included. */
  quoted(): string | number | undefined {
    if (this.#left < 0 && !this.#quotedSize()) return undefined;
    const { buf, at, end } = this;
    const left = this.#left;
    const isWhole = this.#carry.length === 0 && end - at > left;
    const taken = Math.min(left, end - at);
    if (!isWhole) this.#carry.add(buf, at, at + taken);
    this.at = at + taken;
    this.#left = left - taken;
    if (this.at === end) return undefined;
    if (buf[this.at] !== DQUOTE) return this.#bad('quote-end');
    this.at++;
    this.#left = -1;
    if (isWhole) return quotedAtom(buf, at, at + taken);
    const length = this.#carry.length;
    return quotedAtom(this.#carry.take(), 0, length);
  }

  /** A size and the colon behind it: digits only, no leading zero, at most 2147483647. */
  size(): number {
    const { buf, end } = this;
    let size = this.#size;
    let digits = this.#digits;
    let i = this.at;
    for (; i < end; i++) {
      const digit = (buf[i] as number) - ZERO;
      if (digit === COLON - ZERO && digits > 0) break;
      // Judged digit by digit: a size cannot grow without end, nor be read twice.
      if (digit < 0 || digit > 9 || digits === MAX_DIGITS || (digits === 1 && size === 0)) return this.#badSize();
      size = size * 10 + digit;
      digits++;
    }
    const isWhole = i < end;
    this.at = isWhole ? i + 1 : i;
    this.#size = isWhole ? 0 : size;
    this.#digits = isWhole ? 0 : digits;
    if (!isWhole) return -1;
    return size <= MAX_NUMBER ? size : this.#badSize();
  }

  /** A bare number that is whole in the chunk, or -1: nearly all bare values are, and need no text. */
  #number(): number {
    if (this.#carry.length > 0) return -1;
    const { buf, end, at } = this;
    let n = 0;
    let i = at;
    for (; i < end; i++) {
      const digit = (buf[i] as number) - ZERO;
      if (digit < 0 || digit > 9) break;
      n = n * 10 + digit;
    }
    const digits = i - at;
    if (digits === 0 || digits > MAX_DIGITS || n > MAX_NUMBER) return -1;
    if (i === end || ((CLASSES[buf[i] as number] as number) & SAFE) !== 0) return -1;
    if (digits > 1 && buf[at] === ZERO) return -1;
    this.at = i;
    return this.#isOver(digits, this.#limits.maxValueOctets, 'value-limit') ? -1 : n;
  }

  /** Passes safe octets. True: the token ends before `at`. Else it broke a cap, or goes on and is carried so far. */
  #skipSafe(from: number, max: number, rule: CodecRule): boolean {
    const { buf, end } = this;
    let i = from;
    while (i < end && ((CLASSES[buf[i] as number] as number) & SAFE) !== 0) i++;
    this.at = i;
    if (this.#isOver(this.#carry.length + i - from, max, rule)) return false;
    if (i < end && this.#carry.length === 0) return true;
    this.#carry.add(buf, from, i);
    return i < end;
  }

  /** Reads a quoted value's size and judges it before one octet of the value is kept. */
  #quotedSize(): boolean {
    const size = this.size();
    if (size < 0) return false;
    if (size > this.#limits.maxValueOctets) this.broken = 'value-limit';
    else if (this.#headBase + this.at + size > this.#limits.maxHeadOctets) this.broken = 'head-limit';
    else this.#left = size;
    return this.broken === undefined;
  }

  /** Sets `broken` to the cap that a token of `length` octets up to `at` passed first. */
  #isOver(length: number, max: number, rule: CodecRule): boolean {
    const { maxHeadOctets } = this.#limits;
    const head = this.#headBase + this.at;
    if (length <= max && head <= maxHeadOctets) return false;
    this.broken = head - length + max <= maxHeadOctets ? rule : 'head-limit';
    return true;
  }

  #badSize(): number {
    this.broken = 'size';
    return -1;
  }

  #bad(rule: CodecRule): undefined {
    this.broken = rule;
  }
}

function atomOf(buf: Buffer, from: number, to: number): Atom {
  return decimalOf(buf, from, to) ?? internText(buf, from, to);
}

/** Quoted text is rarely seen twice, so it would only push words out of the interned ones. */
function quotedAtom(buf: Buffer, from: number, to: number): Atom {
  return decimalOf(buf, from, to) ?? buf.toString('latin1', from, to);
}

function decimalOf(buf: Buffer, from: number, to: number): number | undefined {
  if (to === from || to - from > MAX_DIGITS || ((CLASSES[buf[from] as number] as number) & DIGIT) === 0)
    return undefined;
  return readDecimal(buf, from, to, MAX_NUMBER);
}
