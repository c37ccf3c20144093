/**
 * The reply grammar of RFC 5321 section 4.2, as a client reads it:
 *
 *     Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
 *
 * Strict where two readers could disagree about where a reply ends, or which it is: lines end with CRLF (a bare CR or LF
 * is refused), every line carries the same code. Lenient where nothing hangs on it: text may hold any other octet (the writer
 * cleans it), a line may be longer than 512 octets, and a code is any three digits from 100 to 599: hops do say 571, and a
 * 1yz is refused by whoever knows what was asked.
 *
 * Pull, not push: after each reply the caller may stop (STARTTLS must look at what follows). A broken rule is final.
 */
import { CR, LF } from '../../base/index.ts';
import type { ReplyLimits } from '../limits.ts';
import { joinReply, type Reply } from '../reply.ts';

const HYPHEN = 0x2d;
const SPACE = 0x20;

export class ReplyParser {
  readonly #limits: ReplyLimits;
  /** Octets behind the last whole line; a copy, as chunks may lie in a buffer the socket uses again. */
  #rest: Buffer | undefined;
  #chunk: Buffer | undefined;
  #at = 0;
  /** Lines of the reply that is not yet whole; all of `#code`. */
  #lines: string[] = [];
  #code = 0;
  #rule: string | undefined;

  constructor(limits: ReplyLimits) {
    this.#limits = limits;
  }

  /** The rule the peer broke; from then on nothing is read. */
  get rule(): string | undefined {
    return this.#rule;
  }

  /** Nothing is left over: neither unread octets nor half a reply. */
  get isEmpty(): boolean {
    return this.#rest === undefined && this.#lines.length === 0 && this.#chunk === undefined;
  }

  /** Takes `chunk`; call `next` until it says `undefined` before the chunk's memory is used again. */
  feed(chunk: Buffer): void {
    if (this.#rule !== undefined || chunk.length === 0) return;
    // Only a line may wait here, and it has a cap: joining costs no more than that.
    this.#chunk = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    this.#at = 0;
  }

  /** The next whole reply, or undefined where more octets are needed or a rule was broken. */
  next(): Reply | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined) return undefined;
    while (this.#at < chunk.length) {
      const at = this.#at;
      const lf = chunk.indexOf(LF, at);
      if (lf < 0) return this.#keep(chunk);
      if (lf + 1 - at > this.#limits.line) return this.#break('reply-line-size');
      if (lf === at || chunk[lf - 1] !== CR) return this.#break('bare-lf');
      this.#at = lf + 1;
      if (this.#at === chunk.length) this.#chunk = undefined;
      const reply = this.#line(chunk, at, lf - 1);
      if (reply !== undefined || this.#rule !== undefined) return reply;
    }
    this.#chunk = undefined;
    return undefined;
  }

  /** One line, `chunk[from, to)` without its CRLF. */
  #line(chunk: Buffer, from: number, to: number): Reply | undefined {
    const code = readCode(chunk, from, to);
    if (code === undefined) return this.#break('reply-code');
    const mark = to - from > 3 ? chunk[from + 3] : SPACE;
    if (mark !== SPACE && mark !== HYPHEN) return this.#break('reply-code');
    const text = chunk.toString('latin1', Math.min(from + 4, to), to);
    if (text.includes('\r')) return this.#break('bare-cr');
    if (mark === SPACE && this.#lines.length === 0) return joinReply(code, [text]);
    if (this.#lines.length > 0 && code !== this.#code) return this.#break('reply-code-changed');
    if (this.#lines.length >= this.#limits.lines) return this.#break('reply-lines');
    this.#code = code;
    this.#lines.push(text);
    if (mark === HYPHEN) return undefined;
    const lines = this.#lines;
    this.#lines = [];
    return joinReply(code, lines);
  }

  #keep(chunk: Buffer): undefined {
    const left = chunk.length - this.#at;
    // One octet may be the CR of a line of exactly the greatest length, whose LF is still to come.
    if (left >= this.#limits.line) return this.#break('reply-line-size');
    this.#rest = Buffer.from(chunk.subarray(this.#at));
    this.#chunk = undefined;
    return undefined;
  }

  #break(rule: string): undefined {
    this.#rule = rule;
    this.#chunk = undefined;
    this.#rest = undefined;
    return undefined;
  }
}

function readCode(chunk: Buffer, from: number, to: number): number | undefined {
  if (to - from < 3) return undefined;
  const a = (chunk[from] as number) - 48;
  const b = (chunk[from + 1] as number) - 48;
  const c = (chunk[from + 2] as number) - 48;
  if (a < 1 || a > 5 || b < 0 || b > 9 || c < 0 || c > 9) return undefined;
  return a * 100 + b * 10 + c;
}
