/** Octets by name, and the few things every grammar does with them. Text from the wire is read as ISO 8859-1, one character an octet. */
export const NUL = 0x00;
export const HT = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const DQUOTE = 0x22;
export const DOT = 0x2e;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const DEL = 0x7f;

export const CRLF: Uint8Array = Buffer.from('\r\n');
export const EMPTY: Buffer = Buffer.alloc(0);

/**
 * Reads `buf[from, to)` as a decimal number: digits only, no sign, no leading zero but `0` itself. Never `Number()` or
 * `parseInt()` on wire text. Returns `undefined` where the octets are not such a number or pass `max` (default 2^31-1).
 */
export function readDecimal(buf: Uint8Array, from: number, to: number, max = 2147483647): number | undefined {
  const digits = to - from;
  if (digits < 1 || digits > 15) return undefined;
  let n = 0;
  for (let i = from; i < to; i++) {
    const d = (buf[i] as number) - 48;
    if (d < 0 || d > 9 || (d === 0 && i === from && digits > 1)) return undefined;
    n = n * 10 + d;
  }
  return n <= max ? n : undefined;
}

/** A view of `octets` as a Buffer, without copying. */
export function asBuffer(octets: Uint8Array): Buffer {
  return Buffer.isBuffer(octets) ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
}

const CONTROL = /[\x00-\x1f\x7f-\x9f]/;

/**
 * Text from outside as it may stand in a reply, a header or a log: controls become `?`, and at most `max` characters stay.
 */
export function printable(text: string, max = 200): string {
  const cut = text.length > max ? `${text.slice(0, max)}...` : text;
  return CONTROL.test(cut) ? cut.replace(/[\x00-\x1f\x7f-\x9f]/g, '?') : cut;
}
