/**
 * Transparency of DATA (RFC 5321 section 4.5.2): a dot at the start of a line is doubled on the way out. Content goes
 * through by reference; only where a dot was found the chunk is cut, and one octet of ours stands between.
 *
 * A dot is doubled behind every LF, not only behind CRLF. Content with a bare LF should never come this far; if it does, a
 * hop that takes LF for a line end must not find `LF . LF` and read the rest of a mail as commands.
 */
import { asBuffer, CR, DOT, LF } from '../../base/index.ts';
import { scanLines } from '../scan/line-scan.ts';

const ONE_DOT = Buffer.from('.');
const END = Buffer.from('.\r\n');
const LINE_AND_END = Buffer.from('\r\n.\r\n');

export class DotStuffer {
  /** The last two octets so far. Before the first octet a line starts, as after CRLF. */
  #last = LF;
  #lastButOne = CR;

  /**
   * Appends `octets`, stuffed, to `out`, and says how many octets were appended. `isDotFree`: a dot behind an LF is known
   * not to be among them; at their start it is looked for all the same.
   */
  push(octets: Uint8Array, out: Uint8Array[], isDotFree = false): number {
    const chunk = asBuffer(octets);
    const { length } = chunk;
    if (length === 0) return 0;
    let added = length;
    let from = 0;
    const scanned = isDotFree ? 1 : length;
    for (let at = scanLines(chunk, 0, scanned, this.#last); at < scanned; ) {
      if (chunk[at] === DOT && (at === 0 ? this.#last : chunk[at - 1]) === LF) {
        // Up to and with the dot; the dot that begins the next piece is the doubled one.
        out.push(at === 0 ? ONE_DOT : chunk.subarray(from, at + 1));
        from = at;
        added++;
      }
      at = scanLines(chunk, at + 1, scanned, chunk[at] as number);
    }
    out.push(from === 0 ? chunk : chunk.subarray(from));
    this.#lastButOne = length > 1 ? (chunk[length - 2] as number) : this.#last;
    this.#last = chunk[length - 1] as number;
    return added;
  }

  /** The end of the content: CRLF where the content lacks its last, and the dot line. */
  end(): Uint8Array {
    return this.#last === LF && this.#lastButOne === CR ? END : LINE_AND_END;
  }
}
