/**
 * Base64 (RFC 2045 section 6.8), streaming. Decoding passes over every octet that is not of the alphabet, as the RFC
 * demands, and goes on behind padding, as mail programs do; that it had to is told in `broken`.
 */
import { EMPTY } from '../base/index.ts';

export type Base64Fault = 'foreign-octet' | 'data-after-padding' | 'odd-end';

const SKIP = 0x40;
const PAD = 0x41;
const FOREIGN = 0x42;
const VALUES = new Uint8Array(256).fill(FOREIGN);
for (const white of ' \t\r\n') VALUES[white.charCodeAt(0)] = SKIP;
VALUES['='.charCodeAt(0)] = PAD;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
for (let value = 0; value < 64; value++) VALUES[ALPHABET.charCodeAt(value)] = value;

export class Base64Decoder {
  #bits = 0;
  /** Signs of the quantum in progress, 0 to 3. */
  #count = 0;
  #isPadded = false;
  #broken: Base64Fault | undefined;

  /** The first rule the text broke; what could be read was. */
  get broken(): Base64Fault | undefined {
    return this.#broken;
  }

  /** The octets that are whole with this chunk. */
  feed(chunk: Uint8Array): Buffer {
    const out = Buffer.allocUnsafe(((chunk.length + 3) >> 2) * 3 + 3);
    let size = 0;
    let bits = this.#bits;
    let count = this.#count;
    for (let i = 0; i < chunk.length; i++) {
      const value = VALUES[chunk[i] as number] as number;
      if (value < SKIP) {
        if (this.#isPadded) this.#onDataBehindPadding();
        bits = (bits << 6) | value;
        if (++count === 4) {
          out[size++] = bits >> 16;
          out[size++] = bits >> 8;
          out[size++] = bits;
          bits = 0;
          count = 0;
        }
      } else if (value === PAD) {
        size = this.#flush(out, size, bits, count);
        bits = 0;
        count = 0;
        this.#isPadded = true;
      } else if (value === FOREIGN) {
        this.#broken ??= 'foreign-octet';
      }
    }
    this.#bits = bits;
    this.#count = count;
    return out.subarray(0, size);
  }

  /** The octets of a last quantum that was not padded. */
  end(): Buffer {
    const out = Buffer.allocUnsafe(2);
    if (this.#count > 0) this.#broken ??= 'odd-end';
    const size = this.#flush(out, 0, this.#bits, this.#count);
    this.#count = 0;
    return out.subarray(0, size);
  }

  #onDataBehindPadding(): void {
    this.#isPadded = false;
    this.#broken ??= 'data-after-padding';
  }

  /** Two signs hold one octet, three hold two; one alone holds none. */
  #flush(out: Buffer, size: number, bits: number, count: number): number {
    if (count === 1) this.#broken ??= 'odd-end';
    if (count === 2) out[size++] = bits >> 4;
    if (count === 3) {
      out[size++] = bits >> 10;
      out[size++] = bits >> 2;
    }
    return size;
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
    return lines(Buffer.from(octets.buffer, octets.byteOffset, whole));
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
