/**
 * Base64 (RFC 2045 section 6.8), streaming. Decoding passes over every octet that is not of the alphabet, as the RFC
 * demands, and goes on behind padding, as mail programs do; that it had to is told in `broken`.
 */
import { asBuffer, EMPTY } from '../base/index.ts';

export type Base64Fault = 'foreign-octet' | 'data-after-padding' | 'odd-end';

/** Runs of what cannot be given to the native decoder: it stops at padding and says nothing of foreign octets. */
const UNUSUAL = /[^A-Za-z0-9+/\r\n\t ]+/g;

export class Base64Decoder {
  /** The signs of the quantum in progress, 0 to 3. */
  #signs = '';
  #isPadded = false;
  #broken: Base64Fault | undefined;

  /** The first rule the text broke; what could be read was. */
  get broken(): Base64Fault | undefined {
    return this.#broken;
  }

  /** The octets that are whole with this chunk. */
  feed(chunk: Uint8Array): Buffer {
    const text = asBuffer(chunk).toString('latin1');
    let decoded: Buffer[] | undefined;
    let from = 0;
    for (const match of text.matchAll(UNUSUAL)) {
      decoded ??= [];
      decoded.push(this.#decode(text.slice(from, match.index)));
      from = match.index + match[0].length;
      if (match[0].includes('=')) {
        decoded.push(this.#flush());
        this.#isPadded = true;
      }
      if (/[^=]/.test(match[0])) this.#broken ??= 'foreign-octet';
    }
    if (decoded === undefined) return this.#decode(text);
    decoded.push(this.#decode(text.slice(from)));
    return Buffer.concat(decoded);
  }

  /** The octets of a last quantum that was not padded. */
  end(): Buffer {
    if (this.#signs !== '') this.#broken ??= 'odd-end';
    return this.#flush();
  }

  /** Signs and white space. */
  #decode(text: string): Buffer {
    const signs = text.replace(/[\r\n\t ]+/g, '');
    if (signs === '') return EMPTY;
    if (this.#isPadded) this.#broken ??= 'data-after-padding';
    const all = this.#signs + signs;
    const whole = all.length - (all.length % 4);
    this.#signs = all.slice(whole);
    return Buffer.from(all.slice(0, whole), 'base64');
  }

  /** Two signs hold one octet, three hold two; one alone holds none. */
  #flush(): Buffer {
    const signs = this.#signs;
    this.#signs = '';
    if (signs.length === 1) this.#broken ??= 'odd-end';
    return signs.length < 2 ? EMPTY : Buffer.from(signs, 'base64');
  }
}

/** 57 octets are a line of 76 signs, the longest allowed. */
const LINE_OCTETS = 57;

export class Base64Encoder {
  #rest: Buffer = EMPTY;

  /** Whole lines of 76 signs, each with CRLF. */
  feed(chunk: Uint8Array): Buffer {
    const octets = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const whole = octets.length - (octets.length % LINE_OCTETS);
    this.#rest = Buffer.from(octets.subarray(whole));
    return lines(asBuffer(octets).subarray(0, whole));
  }

  /** The last line, with CRLF where there is one. */
  end(): Buffer {
    const last = lines(this.#rest);
    this.#rest = EMPTY;
    return last;
  }
}

function lines(octets: Buffer): Buffer {
  return Buffer.from(octets.toString('base64').replace(/.{1,76}/g, '$&\r\n'), 'latin1');
}
