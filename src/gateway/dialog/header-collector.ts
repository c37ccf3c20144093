/** Collects the header section of a message while it comes in, up to a cap; the rest passes by untouched. */
import { cutHeader, join } from '../content/compare.ts';

const LF = 0x0a;
const CR = 0x0d;

export class HeaderCollector {
  readonly #maxOctets: number;
  readonly #chunks: Buffer[] = [];
  #size = 0;
  #header: Buffer | undefined;

  constructor(maxOctets: number) {
    this.#maxOctets = maxOctets;
  }

  /** The section with the empty line that ends it, once it is known. */
  get header(): Buffer | undefined {
    return this.#header;
  }

  get isTooLarge(): boolean {
    return (this.#header?.length ?? this.#size) > this.#maxOctets;
  }

  /** Returns whether the header is known now. To be called only while it is not. */
  feed(octets: Buffer): boolean {
    // The first chunk nearly always has it all; joining happens only where a header comes in pieces.
    const last = this.#chunks.at(-1);
    this.#chunks.push(octets);
    this.#size += octets.length;
    if (last !== undefined && !mayEndHere(octets, last)) return false;
    const so = join(this.#chunks);
    const cut = cutHeader(so);
    if (cut.length === so.length && !endsHeader(so)) {
      if (this.#size > this.#maxOctets) this.#header = so;
      else if (this.#chunks.length > 1) this.#chunks.splice(0, this.#chunks.length, so);
      return this.#header !== undefined;
    }
    this.#header = cut;
    return true;
  }

  /** The message is over: all of it is header section where nothing ended it. */
  end(): Buffer {
    this.#header ??= this.#chunks.length === 0 ? Buffer.alloc(0) : join(this.#chunks);
    return this.#header;
  }
}

/** Whether the empty line may lie in `octets` or over the border to it: else there is nothing to join and search. */
function mayEndHere(octets: Buffer, before: Buffer): boolean {
  return (
    octets.indexOf('\r\n\r\n') >= 0 ||
    octets[0] === CR ||
    octets[0] === LF ||
    before.at(-1) === CR ||
    before.at(-1) === LF
  );
}

function endsHeader(octets: Buffer): boolean {
  return octets.length === 2
    ? octets[0] === CR && octets[1] === LF
    : octets.subarray(-4).toString('latin1') === '\r\n\r\n';
}
