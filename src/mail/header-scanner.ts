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
    let at = from;
    while (this.#state === 'open' && at < chunk.length) {
      const lf = chunk.indexOf(LF, at);
      const end = lf < 0 ? chunk.length : lf + 1;
      const room = this.#limits.headerOctets - this.#size;
      if (end - at > room) {
        this.#append(chunk, at, at + room);
        this.#state = 'cut';
        return at + room;
      }
      this.#append(chunk, at, end);
      at = end;
      if (lf >= 0) this.#onLine();
    }
    return at;
  }

  /** No more octets come. A last line without line end may still be the one that stops. */
  end(): void {
    if (this.#state !== 'open') return;
    if (this.#lineStart < this.#size) this.#onLine();
    if (this.#state === 'open') this.#state = 'ended';
  }

  /** The section, once it is not open any more. */
  header(): KeptHeader {
    const octets = this.#kept.subarray(0, this.octetCount);
    const scanned = scanHeader(octets, this.#limits);
    const broken: HeaderFault | undefined = this.#state === 'cut' ? 'header-size' : scanned.broken;
    const { fields, end, whole } = scanned;
    return broken === undefined ? { octets, fields, end, whole } : { octets, fields, end, whole, broken };
  }

  #onLine(): void {
    const kept = this.#kept;
    const start = this.#lineStart;
    if (emptyLineAt(kept, start) > 0) {
      this.#state = 'whole';
    } else if (
      this.#stopLine !== undefined &&
      kept[start] === DASH &&
      kept[start + 1] === DASH &&
      this.#stopLine(kept, start, this.#size)
    ) {
      this.#state = 'stopped';
    } else {
      this.#lineStart = this.#size;
    }
  }

  #append(chunk: Buffer, from: number, to: number): void {
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
