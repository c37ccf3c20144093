/**
 * Looks through content for the two things that cannot just pass: a CR or LF that is no part of CRLF (RFC 5321, 2.3.8),
 * and a dot at the start of a line (4.5.2). Every octet of every mail comes here, on its way in and on its way out, so
 * the loop is WebAssembly over a copy in its memory, ten times faster than one in JavaScript with the copy counted
 * (bench/micro-smtp.ts).
 */
import { program } from './program.ts';

/**
 * What is copied and looked at first; then four times as much, up to MOST. Where a mail has a dot at the start of every
 * line, no more than FIRST is copied again for each.
 */
const FIRST = 1024;
const MOST = 65_536;

/** What we use of it; the types of Node leave it to those of browsers. */
declare const WebAssembly: {
  Module: new (octets: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: Scanner };
};

interface Scanner {
  readonly memory: { readonly buffer: ArrayBuffer };
  scan(size: number): number;
}

const scanner = new WebAssembly.Instance(new WebAssembly.Module(program)).exports;
const memory = Buffer.from(scanner.memory.buffer);

/**
 * The first offset in `buf[from, to)` of an LF behind something else than CR, of something else than LF behind a CR, or
 * of a dot behind an LF; `to` where there is none. `before` is the octet in front of `from`, or 0 for any other.
 */
export function scanLines(buf: Buffer, from: number, to: number, before: number): number {
  let last = before;
  let window = FIRST;
  let at = from;
  while (at < to) {
    const size = Math.min(window, to - at);
    memory[0] = last;
    buf.copy(memory, 1, at, at + size);
    const hit = scanner.scan(size);
    if (hit < size) return at + hit;
    at += size;
    last = buf[at - 1] as number;
    if (window < MOST) window *= 4;
  }
  return to;
}
