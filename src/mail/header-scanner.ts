/**
 * A header section that comes in chunks. Its octets are kept, up to the cap, until the empty line: fields are worth
 * little in pieces. Where a section passes the cap it is cut at exactly that octet, whatever the chunks were, and is
 * `broken`: the rest counts as body.
 */
import { EMPTY, LF } from '../base/index.ts';
import { emptyLineAt, type HeaderFault, type ScannedHeader, scanHeader } from './header.ts';
import { type MailLimits, mailLimits } from './limits.ts';

export interface KeptHeader extends ScannedHeader {
  /** The section's octets with its empty line: a copy, free to keep. The fields' offsets are offsets in it. */
  readonly octets: Buffer;
}

/** Whether a line (with its line end) that begins with `--` ends the section and is not part of it. */
export type StopLine = (octets: Buffer, start: number, end: number) => boolean;

const DASH = 0x2d;
const FIRST_OCTETS = 2048;

export class HeaderScanner {
  readonly #limits: MailLimits;
  readonly #stopLine: StopLine | undefined;
  #kept: Buffer = EMPTY;
  #size = 0;
  #lineStart = 0;
  #state: 'open' | 'whole' | 'cut' | 'stopped' | 'ended' = 'open';

  constructor(limits: MailLimits = mailLimits, stopLine?: StopLine) {
    this.#limits = limits;
    this.#stopLine = stopLine;
  }

  /** Whether more octets may belong to the section. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Octets of the section so far. */
  get octetCount(): number {
    return this.#state === 'stopped' ? this.#lineStart : this.#size;
  }

  /** The line that stopped the section, or nothing. Valid until the scanner is let go. */
  get stoppedBy(): Buffer | undefined {
    return this.#state === 'stopped' ? this.#kept.subarray(this.#lineStart, this.#size) : undefined;
  }

  /** Takes what belongs to the section from `chunk[from..]`; the offset behind it, a line that stopped it included. */
  feed(chunk: Buffer, from = 0): number {
    // A line begun in an earlier chunk is finished in the copy; all others are looked at where they are.
    let at = this.#lineStart < this.#size ? this.#finishLine(chunk, from) : from;
    if (this.#lineStart < this.#size) return at; // the line goes on, or ended the section
    const start = at;
    while (this.#state === 'open' && at < chunk.length) {
      const lf = chunk.indexOf(LF, at);
      const end = lf < 0 ? chunk.length : lf + 1;
      const over = this.#size + (end - start) - this.#limits.headerOctets;
      if (over > 0) {
        this.#append(chunk, start, end - over);
        this.#state = 'cut';
        return end - over;
      }
      if (lf < 0 || this.#isStop(chunk, at, end)) {
        this.#append(chunk, start, at);
        this.#lineStart = this.#size;
        this.#append(chunk, at, end);
        if (lf >= 0) this.#state = 'stopped';
        return end;
      }
      if (emptyLineAt(chunk, at) > 0) this.#state = 'whole';
      at = end;
    }
    this.#append(chunk, start, at);
    this.#lineStart = this.#size;
    return at;
  }

  #finishLine(chunk: Buffer, from: number): number {
    if (this.#state !== 'open') return from;
    const lf = chunk.indexOf(LF, from);
    const end = lf < 0 ? chunk.length : lf + 1;
    const over = this.#size + (end - from) - this.#limits.headerOctets;
    this.#append(chunk, from, over > 0 ? end - over : end);
    if (over > 0) {
      this.#state = 'cut';
      return end - over;
    }
    if (lf >= 0) this.#onKeptLine();
    return end;
  }

  /** No more octets come. A last line without line end may still be the one that stops. */
  end(): void {
    if (this.#state !== 'open') return;
    if (this.#lineStart < this.#size) this.#onKeptLine();
    if (this.#state === 'open') this.#state = 'ended';
  }

  /** Whether the section passed the cap and was cut there. */
  get isCut(): boolean {
    return this.#state === 'cut';
  }

  /** The section with its empty line, once it is not open any more: a copy, free to keep. */
  get octets(): Buffer {
    return this.#kept.subarray(0, this.octetCount);
  }

  /** The section and its fields, once it is not open any more. */
  header(): KeptHeader {
    const { octets } = this;
    const scanned = scanHeader(octets, this.#limits);
    const broken: HeaderFault | undefined = this.#state === 'cut' ? 'header-size' : scanned.broken;
    const { fields, end, whole } = scanned;
    return broken === undefined ? { octets, fields, end, whole } : { octets, fields, end, whole, broken };
  }

  #onKeptLine(): void {
    if (emptyLineAt(this.#kept, this.#lineStart) > 0) this.#state = 'whole';
    else if (this.#isStop(this.#kept, this.#lineStart, this.#size)) this.#state = 'stopped';
    else this.#lineStart = this.#size;
  }

  #isStop(octets: Buffer, start: number, end: number): boolean {
    if (this.#stopLine === undefined || octets[start] !== DASH || octets[start + 1] !== DASH) return false;
    return this.#stopLine(octets, start, end);
  }

  #append(chunk: Buffer, from: number, to: number): void {
    if (to === from) return;
    const size = this.#size + (to - from);
    if (size > this.#kept.length) {
      const grown = Buffer.allocUnsafe(Math.max(size, this.#kept.length * 2, FIRST_OCTETS));
      this.#kept.copy(grown, 0, 0, this.#size);
      this.#kept = grown;
    }
    chunk.copy(this.#kept, this.#size, from, to);
    this.#size = size;
  }
}
