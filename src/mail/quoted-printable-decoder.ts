/**
 * Reads quoted-printable (RFC 2045 section 6.7), streaming, octet for octet: line ends come out as they went in, CRLF or
 * LF.
 */
import { CR, HT, LF, SP } from '../base/index.ts';
import { EQUALS, hexValue, Out } from './quoted-printable-out.ts';

export type QuotedPrintableFault = 'bad-escape' | 'long-space';

/**
 * White space at the end of a line is no content (rule 3), so a run of it is held until what follows is known. A longer
 * run than this is content, whatever follows: nobody pads a line so, and holding it would let a peer fill the memory.
 */
const MAX_SPACE = 1024;

type DecoderState = 'text' | 'escape' | 'escape-digit' | 'soft' | 'soft-cr';

export class QuotedPrintableDecoder {
  #state: DecoderState = 'text';
  #digit = 0;
  /** White space that may turn out to be padding. */
  readonly #space = Buffer.allocUnsafe(MAX_SPACE);
  #spaces = 0;
  #isLongSpace = false;
  /** A CR came behind the held space; it belongs to a line end or not. */
  #isCrHeld = false;
  #broken: QuotedPrintableFault | undefined;

  /** The first rule the text broke; what broke it stands in the output as it was. */
  get broken(): QuotedPrintableFault | undefined {
    return this.#broken;
  }

  feed(chunk: Uint8Array): Buffer {
    // Held octets come on top of the chunk's own; an escape that turns out to be none gives two more.
    const out = new Out(chunk.length + this.#spaces + 4);
    for (let i = 0; i < chunk.length; ) {
      const used = this.#isPlain() ? this.#common(chunk, i, out) : 0;
      if (used === 0) this.#octet(chunk[i] as number, out);
      i += used || 1;
    }
    return out.taken();
  }

  /** Nothing is held or begun. */
  #isPlain(): boolean {
    return this.#state === 'text' && this.#spaces === 0 && !this.#isCrHeld && !this.#isLongSpace;
  }

  /** Goes through what most text consists of: text, spaces inside it, whole escapes, line ends. Says how far it came. */
  #common(chunk: Uint8Array, from: number, out: Out): number {
    const { octets } = out;
    let { size } = out;
    let i = from;
    for (; i < chunk.length; i++) {
      const octet = chunk[i] as number;
      const next = chunk[i + 1] as number;
      if ((octet > SP && octet !== EQUALS) || (octet === SP && next > SP)) {
        octets[size++] = octet;
      } else if (octet === CR && next === LF) {
        octets[size++] = CR;
        octets[size++] = LF;
        i++;
      } else if (octet === EQUALS && i + 2 < chunk.length) {
        const high = hexValue(next);
        const low = hexValue(chunk[i + 2] as number);
        if (high < 0 || low < 0) break;
        octets[size++] = (high << 4) | low;
        i += 2;
      } else {
        break;
      }
    }
    out.size = size;
    return i - from;
  }

  /** What was still held. White space at the very end is padding. */
  end(): Buffer {
    const out = new Out(this.#spaces + 4);
    if (this.#isCrHeld) {
      this.#release(out);
      out.push(CR);
      this.#isCrHeld = false;
    }
    this.#spaces = 0;
    if (this.#state === 'escape-digit') {
      this.#giveBack(out);
    } else if (this.#state === 'soft-cr') {
      out.push(CR);
    }
    this.#state = 'text';
    return out.taken();
  }

  #octet(octet: number, out: Out): void {
    switch (this.#state) {
      case 'text':
        this.#text(octet, out);
        return;
      case 'escape':
        this.#escape(octet, out);
        return;
      case 'escape-digit': {
        const low = hexValue(octet);
        if (low < 0) {
          this.#giveBack(out);
          this.#text(octet, out);
          return;
        }
        out.push((hexValue(this.#digit) << 4) | low);
        this.#state = 'text';
        return;
      }
      case 'soft':
        // Padding behind the sign of a soft line break.
        if (octet === SP || octet === HT) return;
        this.#soft(octet, out);
        return;
      case 'soft-cr':
        this.#state = 'text';
        if (octet === LF) return;
        out.push(CR);
        this.#text(octet, out);
    }
  }

  #text(octet: number, out: Out): void {
    if (this.#isCrHeld) {
      this.#isCrHeld = false;
      if (octet !== LF) this.#release(out);
      else this.#drop();
      out.push(CR);
    }
    if (octet === SP || octet === HT) {
      this.#holdSpace(octet, out);
    } else if (octet === CR) {
      this.#isCrHeld = true;
    } else if (octet === LF) {
      this.#drop();
      out.push(LF);
    } else {
      this.#release(out);
      if (octet === EQUALS) this.#state = 'escape';
      else out.push(octet);
    }
  }

  #escape(octet: number, out: Out): void {
    if (hexValue(octet) >= 0) {
      this.#digit = octet;
      this.#state = 'escape-digit';
    } else if (octet === SP || octet === HT) {
      this.#state = 'soft';
    } else {
      this.#soft(octet, out);
    }
  }

  /** Behind `=` and perhaps padding: a line end, or no soft break at all. */
  #soft(octet: number, out: Out): void {
    this.#state = 'text';
    if (octet === LF) return;
    if (octet === CR) {
      this.#state = 'soft-cr';
      return;
    }
    this.#broken ??= 'bad-escape';
    out.push(EQUALS);
    this.#text(octet, out);
  }

  /** `=4` and no second digit: it was no escape. */
  #giveBack(out: Out): void {
    this.#broken ??= 'bad-escape';
    this.#state = 'text';
    out.push(EQUALS);
    out.push(this.#digit);
  }

  #holdSpace(octet: number, out: Out): void {
    if (this.#isLongSpace) {
      out.push(octet);
    } else if (this.#spaces < MAX_SPACE) {
      this.#space[this.#spaces++] = octet;
    } else {
      this.#broken ??= 'long-space';
      this.#release(out);
      this.#isLongSpace = true;
      out.push(octet);
    }
  }

  #release(out: Out): void {
    for (let i = 0; i < this.#spaces; i++) out.push(this.#space[i] as number);
    this.#drop();
  }

  #drop(): void {
    this.#spaces = 0;
    this.#isLongSpace = false;
  }
}
