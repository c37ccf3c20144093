/**
 * One line of the command dialog (RFC 5321, 2.3.8 and 4.1.1). A line ends at CRLF only: a lone CR or LF ends the
 * session, since two readers would see different commands there.
 */
import { bad, CR, got, LF, MORE, type Step } from '../../base/index.ts';

export type LineRule = 'bare-newline' | 'line-too-long' | 'auth-line-too-long' | 'not-smtp';

/** Takes the line at `at`, without its CRLF; `used` counts it. `max` is with CRLF. */
export function takeLine(buf: Buffer, at: number, max: number): Step<string> {
  // No command begins with a control octet; a TLS client on the wrong port (0x16) may never send a line end.
  const first = buf[at];
  if (first === undefined) return MORE;
  if (first < 0x20 && first !== CR && first !== LF) return bad('not-smtp', at);
  const limit = Math.min(buf.length, at + max - 1);
  let stop = at;
  while (stop < limit && buf[stop] !== CR && buf[stop] !== LF) stop++;
  // The length is judged up to the first CR or LF, so that the answer does not depend on how the octets came.
  if (stop - at > max - 2) return bad('line-too-long', at);
  if (stop === buf.length) return MORE;
  if (buf[stop] === LF) return bad('bare-newline', stop);
  if (stop + 1 === buf.length) return MORE;
  if (buf[stop + 1] !== LF) return bad('bare-newline', stop);
  return got(buf.toString('latin1', at, stop), stop + 2 - at);
}

export interface CommandLine {
  /** Upper case. */
  readonly verb: string;
  /** What stands behind the verb and its spaces, without spaces at the end. */
  readonly argument: string;
}

export function splitLine(line: string): CommandLine {
  const space = line.indexOf(' ');
  if (space < 0) return { verb: line.toUpperCase(), argument: '' };
  return { verb: line.slice(0, space).toUpperCase(), argument: trimSpaces(line, space) };
}

/** Not `trim()`: that takes 0xa0 for a space, which ends many a UTF-8 character. */
function trimSpaces(text: string, from: number): string {
  let start = from;
  let end = text.length;
  while (start < end && text[start] === ' ') start++;
  while (end > start && text[end - 1] === ' ') end--;
  return text.slice(start, end);
}

/** Browsers and proxies made to talk to a mail port (cross-protocol attacks): they would go on to send mail in a request body. */
const HTTP_VERBS: ReadonlySet<string> = new Set('GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PRI'.split(' '));

export function isHttp(verb: string): boolean {
  return HTTP_VERBS.has(verb);
}
