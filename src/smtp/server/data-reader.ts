/**
 * Reads content sent with DATA (RFC 5321, 4.5.2): finds the end, which is CRLF "." CRLF and nothing else, and takes one
 * dot off lines that start with one. Whoever accepts other ends, such as LF "." CRLF, can be made to see two mails
 * where the sender's server saw one (SMTP smuggling).
 *
 * Ranges of the chunk that are content go to the intake. Between chunks only this is kept:
 *
 *                     CR            LF            "."             CR
 *        ┌──────┐ ─────────▶ cr ─────────▶ line ─────────▶ dot ─────────▶ dot-cr ──LF──▶ end
 *        │ text │ ◀──other── cr ◀────CR─── line            dot                │
 *        └──────┘ ◀──────────────other──── line ◀─other─── dot    cr ◀─other──┘ (CR becomes content)
 */
import { CR, DOT, LF } from '../../base/index.ts';
import { scanLines } from '../scan/line-scan.ts';

export interface RangeSink {
  /** `isClean`: every LF within the range stands behind a CR within it, and every CR but a last one before an LF. */
  take(buf: Buffer, from: number, to: number, isClean: boolean): void;
}

type Before =
  /** Inside a line. */
  | 'text'
  /** A CR, handed on. */
  | 'cr'
  /** CRLF, handed on, or the start of the content. */
  | 'line'
  /** A dot at the start of a line, held back. */
  | 'dot'
  /** The same and a CR, both held back. */
  | 'dot-cr';

const DOT_LINE = Buffer.from('\r\n.');
const LONE_CR = Buffer.from('\r');

export class DataReader {
  readonly #sink: RangeSink;
  #before: Before = 'line';
  /** A bare CR or LF was seen: the sink will refuse the content, and only its end is looked for. */
  #isBroken = false;
  #hasDotLine = false;

  constructor(sink: RangeSink) {
    this.#sink = sink;
  }

  /** Whether a line of the content itself begins with a dot: whoever sends it on has to stuff it. */
  get hasDotLine(): boolean {
    return this.#hasDotLine;
  }

  /** Reads `chunk` from `from` on. Returns the offset behind the final dot line, or -1 where the content goes on. */
  next(chunk: Buffer, from: number): number {
    const end = chunk.length;
    let at = from;
    while (at < end) {
      switch (this.#before) {
        case 'text':
          at = this.#onText(chunk, at, 0);
          break;
        case 'cr':
          // "\n." cannot be found by a search for "\r\n.", whose CR was in the chunk before.
          if (!this.#isBroken) {
            this.#before = 'text';
            at = this.#onText(chunk, at, CR);
          } else if (chunk[at] !== LF || (at + 1 < end && chunk[at + 1] !== DOT)) {
            this.#before = 'text';
          } else {
            this.#sink.take(chunk, at, at + 1, false);
            this.#before = 'line';
            at++;
          }
          break;
        case 'line':
          this.#before = chunk[at] === DOT ? 'dot' : 'text';
          if (this.#before === 'dot') at++;
          break;
        case 'dot':
          if (chunk[at] === DOT) this.#hasDotLine = true;
          this.#before = chunk[at] === CR ? 'dot-cr' : 'text';
          if (this.#before === 'dot-cr') at++;
          break;
        case 'dot-cr':
          if (chunk[at] === LF) return at + 1;
          this.#sink.take(LONE_CR, 0, 1, false);
          this.#before = 'text';
          break;
      }
    }
    return -1;
  }

  /** Hands on up to the next line that starts with a dot, or all. `last` is the octet before `at`, if a CR. */
  #onText(chunk: Buffer, at: number, last: number): number {
    const end = chunk.length;
    const found = this.#isBroken ? findDotLine(chunk, at) : scanLines(chunk, at, end, last);
    if (found < end && (chunk[found] !== DOT || chunk[found - 1] !== LF)) {
      this.#isBroken = true;
      if (last === CR) this.#before = 'cr';
      return at;
    }
    this.#sink.take(chunk, at, found, !this.#isBroken);
    if (found < end) {
      this.#before = 'dot';
      return found + 1;
    }
    if (chunk[end - 1] === CR) this.#before = 'cr';
    else if (chunk[end - 1] === LF && (end - 2 >= at ? chunk[end - 2] : last) === CR) this.#before = 'line';
    return end;
  }
}

/** Where a dot stands behind CRLF, from `at` on; the length where nowhere. */
function findDotLine(chunk: Buffer, at: number): number {
  const found = chunk.indexOf(DOT_LINE, at);
  return found < 0 ? chunk.length : found + 2;
}
