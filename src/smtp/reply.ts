/**
 * SMTP replies (RFC 5321, 4.2) as values, with enhanced status codes (RFC 2034), and their two written forms: on the
 * wire, and as the text of a reply that a callout service hands us. Text is latin1, one character an octet.
 *
 * Whatever text a reply holds, what is written is well-formed: one code, lines within 512 octets, printable ASCII.
 */
import { MAX_REPLY_LINE, MAX_REPLY_LINES } from './limits.ts';

export interface Reply {
  readonly code: number;
  /** Such as '5.7.1'; its class is that of the code. Absent in greetings, answers to EHLO and HELO, and 3yz. */
  readonly enhanced: string | undefined;
  /** At least one line, without CR and LF. */
  readonly text: readonly string[];
}

export function reply(code: number, enhanced: string | undefined, ...text: readonly string[]): Reply {
  return { code, enhanced, text: text.length > 0 ? text : [''] };
}

/** 2yz: the command did what it should. */
export function isPositive(r: Reply): boolean {
  return r.code >= 200 && r.code < 300;
}

/** 4yz: the client shall come again. */
export function isTransient(r: Reply): boolean {
  return r.code >= 400 && r.code < 500;
}

/** 5yz: the client shall give up. */
export function isPermanent(r: Reply): boolean {
  return r.code >= 500;
}

/** RFC 2034, 4: every 2yz, 4yz and 5yz but the greeting and the answers to EHLO and HELO carries a code; where there is none, the class alone. */
export function withEnhanced(r: Reply): Reply {
  if (r.enhanced !== undefined || (r.code >= 300 && r.code < 400)) return r;
  return { code: r.code, enhanced: `${Math.trunc(r.code / 100)}.0.0`, text: r.text };
}

/** The reply as it goes on the wire, CRLF at the end. */
export function writeReply(r: Reply): string {
  return written.get(r) ?? makeText(r);
}

/** Replies that are said again and again, by identity. */
const written = new Map<Reply, string>();

/** For constants: the text of each is made once. */
export function keepWritten(all: readonly Reply[]): void {
  for (const r of all) written.set(r, makeText(r));
}

function makeText(r: Reply): string {
  const prefix = r.enhanced === undefined ? '' : `${r.enhanced} `;
  const room = MAX_REPLY_LINE - 2 - 4 - prefix.length;
  const [only = ''] = r.text;
  if (r.text.length <= 1 && only.length <= room) return `${r.code} ${prefix}${clean(only)}\r\n`;
  const lines = r.text.flatMap((line) => fold(clean(line), room)).slice(0, MAX_REPLY_LINES);
  const last = lines.length - 1;
  return lines.map((line, i) => `${r.code}${i === last ? ' ' : '-'}${prefix}${line}\r\n`).join('');
}

/**
 * What came from a peer, a next hop or a service must not end our line or steer a terminal. Octets beyond ASCII go too:
 * most replies answer clients that never asked for SMTPUTF8 (RFC 6531, 3.7.4.2).
 */
function clean(text: string): string {
  return /[^\x20-\x7e]/.test(text) ? text.replace(/\t/g, ' ').replace(/[^\x20-\x7e]/g, '?') : text;
}

/** Cuts at a space near the end where there is one. */
function fold(line: string, room: number): string[] {
  const out: string[] = [];
  let rest = line;
  while (rest.length > room) {
    const space = rest.lastIndexOf(' ', room);
    const cut = space > room / 2 ? space : room;
    out.push(rest.slice(0, cut));
    rest = rest.slice(space === cut ? cut + 1 : cut);
  }
  out.push(rest);
  return out;
}

const LINE = /^([2-5][0-5][0-9])(?:([ -])([^\r\n]*))?$/s;

export interface ReplyLine {
  readonly code: number;
  readonly isLast: boolean;
  readonly text: string;
}

/** One line without its CRLF. RFC 5321, 4.2: a code alone is a last line. */
export function parseReplyLine(line: string): ReplyLine | undefined {
  const m = LINE.exec(line);
  if (m === null) return undefined;
  return { code: Number(m[1]), isLast: m[2] !== '-', text: m[3] ?? '' };
}

/** Makes the reply of its lines' texts; an enhanced code of the right class at their start is taken off. */
export function joinReply(code: number, texts: readonly string[]): Reply {
  const first = texts[0] ?? '';
  const size = enhancedSize(first);
  if (size === 0 || first.charCodeAt(0) - DIGIT_0 !== Math.trunc(code / 100))
    return texts.length === 0 ? reply(code, undefined) : { code, enhanced: undefined, text: texts };
  const enhanced = first.slice(0, size);
  if (texts.length === 1) return { code, enhanced, text: [first.slice(size + 1)] };
  const bare = texts.map((text) => {
    if (text === enhanced) return '';
    return text.startsWith(`${enhanced} `) ? text.slice(size + 1) : text;
  });
  return { code, enhanced, text: bare };
}

const DIGIT_0 = 0x30;

/**
 * The length of the enhanced code that `text` begins with (RFC 3463, 2: `("2" / "4" / "5") "." 1*3DIGIT "." 1*3DIGIT`, then a
 * space or the end), or 0. By hand: each reply of each next hop comes here.
 */
function enhancedSize(text: string): number {
  const first = text.charCodeAt(0) - DIGIT_0;
  if (first !== 2 && first !== 4 && first !== 5) return 0;
  const second = digitsBehindDot(text, 1);
  const end = second === 0 ? 0 : digitsBehindDot(text, second);
  return end > 0 && (end === text.length || text[end] === ' ') ? end : 0;
}

/** The offset behind a dot at `at` and one to three digits, or 0 where they do not stand there. */
function digitsBehindDot(text: string, at: number): number {
  if (text[at] !== '.') return 0;
  let end = at + 1;
  while (end < at + 4 && isDigit(text.charCodeAt(end))) end++;
  return end > at + 1 ? end : 0;
}

function isDigit(char: number): boolean {
  return char >= DIGIT_0 && char <= DIGIT_0 + 9;
}

/**
 * Reads a reply given as text, its lines joined by CRLF and the last one without: `550-5.7.1 a\r\n550 5.7.1 b`. One
 * that no server could send (other codes between lines, control characters, no last line) is `undefined`.
 */
export function parseReplyText(text: string): Reply | undefined {
  const texts: string[] = [];
  const lines = text.split('\r\n');
  let code = 0;
  for (const [i, line] of lines.entries()) {
    const parsed = parseReplyLine(line);
    if (parsed === undefined || parsed.isLast !== (i === lines.length - 1)) return undefined;
    if (i > 0 && parsed.code !== code) return undefined;
    code = parsed.code;
    texts.push(parsed.text);
  }
  return /[\x00-\x08\x0b-\x1f\x7f]/.test(texts.join('')) ? undefined : joinReply(code, texts);
}
