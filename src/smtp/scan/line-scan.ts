/**
 * Looks through content for the two things that cannot just pass: a CR or LF that is no part of CRLF (RFC 5321, 2.3.8),
 * and a dot at the start of a line (4.5.2). Every octet of every mail comes here, on its way in and on its way out, so
 * the loop is WebAssembly, ten times faster than one in JavaScript (bench/micro-smtp.ts). It sees only memory of its own:
 * sockets are read into that, and what lies elsewhere is copied there.
 */
import { CR, DOT, LF } from '../../base/index.ts';
import { DATA_OCTETS, program } from './program.ts';

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
  scan(at: number, end: number): number;
}

const scanner = new WebAssembly.Instance(new WebAssembly.Module(program)).exports;
/** Where what lies elsewhere is copied to. */
const window = Buffer.from(scanner.memory.buffer, 0, 1 + MOST);

/** Memory for reads of a socket: what lies in it is scanned where it is. */
export const readMemory = Buffer.from(scanner.memory.buffer, DATA_OCTETS - MOST, MOST);

/**
 * The first offset in `buf[from, to)` of an LF behind something else than CR, of something else than LF behind a CR, or
 * of a dot behind an LF; `to` where there is none. `before` is the octet in front of `from`, or 0 for any other.
 */
export function scanLines(buf: Buffer, from: number, to: number, before: number): number {
  if (from === to) return to;
  const first = buf[from];
  if ((first === LF) !== (before === CR) || (first === DOT && before === LF)) return from;
  if (buf.buffer !== window.buffer) return scanCopies(buf, from, to);
  return Math.min(to, scanner.scan(buf.byteOffset + from, buf.byteOffset + to - 1) + 1 - buf.byteOffset);
}

/** The same, for what follows the first octet. */
function scanCopies(buf: Buffer, from: number, to: number): number {
  let size = FIRST;
  for (let at = from; at + 1 < to; at += size, size = Math.min(size * 4, MOST)) {
    size = Math.min(size, to - 1 - at);
    // Each copy begins with the last octet of the one before.
    buf.copy(window, 0, at, at + size + 1);
    const hit = scanner.scan(0, size);
    if (hit < size) return at + hit + 1;
  }
  return to;
}
