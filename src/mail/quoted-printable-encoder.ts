/** Writes quoted-printable (RFC 2045 section 6.7), streaming: what comes out decodes to the same octets. */
import { CR, HT, LF, SP } from '../base/index.ts';
import { EQUALS, hexDigit, Out } from './quoted-printable-out.ts';

/** RFC 2045 section 6.7, rule 5: a line has 76 characters with the sign of its soft break. */
const LINE_CHARS = 76;

export class QuotedPrintableEncoder {
  #column = 0;
  #space = -1;
  #isCrHeld = false;

  /** Text with line ends CRLF; a CR or LF alone is an octet like any other. */
  feed(chunk: Uint8Array): Buffer {
    // Three for an octet, three for the soft breaks between every 25 of those, and what is held.
    const out = new Out(chunk.length * 4 + 16);
    for (let i = 0; i < chunk.length; i++) {
      const octet = chunk[i] as number;
      const isCommon = octet > SP && octet < 0x7f && octet !== EQUALS && this.#space < 0 && !this.#isCrHeld;
      if (isCommon) this.#plain(octet, out);
      else this.#octet(octet, out);
    }
    return out.taken();
  }

  end(): Buffer {
    const out = new Out(16);
    if (this.#space >= 0) this.#escaped(this.#space, out);
    if (this.#isCrHeld) this.#escaped(CR, out);
    this.#space = -1;
    this.#isCrHeld = false;
    return out.taken();
  }

  #octet(octet: number, out: Out): void {
    if (this.#isCrHeld) {
      this.#isCrHeld = false;
      if (octet === LF) {
        this.#releaseSpace(out, true);
        out.push(CR);
        out.push(LF);
        this.#column = 0;
        return;
      }
      this.#releaseSpace(out, false);
      this.#escaped(CR, out);
    }
    if (octet === CR) {
      this.#isCrHeld = true;
      return;
    }
    this.#releaseSpace(out, false);
    if (octet === SP || octet === HT) this.#space = octet;
    else if (octet > SP && octet < 0x7f && octet !== EQUALS) this.#plain(octet, out);
    else this.#escaped(octet, out);
  }

  /** White space is held one octet long: at the end of a line it must be escaped (rule 3). */
  #releaseSpace(out: Out, isLineEnd: boolean): void {
    if (this.#space < 0) return;
    if (isLineEnd) this.#escaped(this.#space, out);
    else this.#plain(this.#space, out);
    this.#space = -1;
  }

  #plain(octet: number, out: Out): void {
    this.#room(1, out);
    out.push(octet);
  }

  #escaped(octet: number, out: Out): void {
    this.#room(3, out);
    out.push(EQUALS);
    out.push(hexDigit(octet >> 4));
    out.push(hexDigit(octet & 15));
  }

  #room(chars: number, out: Out): void {
    if (this.#column + chars > LINE_CHARS - 1) {
      out.push(EQUALS);
      out.push(CR);
      out.push(LF);
      this.#column = 0;
    }
    this.#column += chars;
  }
}
