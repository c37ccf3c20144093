/** Mail as people may look at it: octets as text in which nothing hides, and the few words of it a list shows. */

/** UTF-8 where it is UTF-8, else one character an octet: nothing is lost and nothing guessed. */
export function shownText(octets: Uint8Array): string {
  try {
    return strictUtf8.decode(octets);
  } catch {
    return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1');
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Lines without their ends. Text that was cut off in the middle of a line keeps what there is of it. */
export function shownLines(octets: Uint8Array): string[] {
  const lines = shownText(octets).split(/\r?\n/).map(visible);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/**
 * Controls become their pictures; characters that turn the writing direction become their numbers. A mail can otherwise
 * show something else than it holds, and this page is where people look to find out.
 */
export function visible(text: string): string {
  return text
    .replace(/[\x00-\x08\x0a-\x1f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\x7f/g, '\u2421')
    .replace(/[\x80-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (c) => `\u27e8U+${hex(c)}\u27e9`);
}

const hex = (c: string) => c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');

/** The subject of a mail, decoded (RFC 2047); '' where it has none. */
export function subjectOf(octets: Uint8Array): string {
  const text = shownText(octets);
  const end = /(?:^|\r?\n)\r?\n/.exec(text);
  const header = end === null ? text : text.slice(0, end.index);
  const field = /^subject:[ \t]*(.*(?:\r?\n[ \t].*)*)/im.exec(header)?.[1] ?? '';
  return visible(decodeWords(field.replace(/\r?\n/g, ''))).slice(0, 200);
}

const ENCODED_WORD = /=\?([\w-]+)(?:\*[\w-]+)?\?([BbQq])\?([^?\s]*)\?=(?:\s+(?==\?))?/g;

function decodeWords(text: string): string {
  return text.replace(ENCODED_WORD, (whole: string, charset: string, encoding: string, data: string) => {
    try {
      const octets = encoding.toUpperCase() === 'B' ? Buffer.from(data, 'base64') : quotedOctets(data);
      return new TextDecoder(charset).decode(octets);
    } catch {
      return whole; // a charset nobody knows: shown as it is
    }
  });
}

function quotedOctets(data: string): Buffer {
  const text = data
    .replace(/_/g, ' ')
    .replace(/=([0-9A-Fa-f]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
  return Buffer.from(text, 'latin1');
}

/** `4.1 kB`. */
export function shownSize(octets: number): string {
  if (octets < 1000) return `${octets} octets`;
  if (octets < 1e6) return `${(octets / 1e3).toFixed(1)} kB`;
  return `${(octets / 1e6).toFixed(1)} MB`;
}

/** `0.4 ms`, `23 ms`, `1.2 s`. */
export function shownTime(ms: number): string {
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Time of day, and the date where it was not today. */
export function shownClock(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const time = at.toTimeString().slice(0, 8);
  return new Date(nowMs).toDateString() === at.toDateString() ? time : `${at.toISOString().slice(0, 10)} ${time}`;
}

export function shownReply(reply: {
  readonly code: number;
  readonly enhanced: string | undefined;
  readonly text: readonly string[];
}): string[] {
  const last = reply.text.length - 1;
  const enhanced = reply.enhanced === undefined ? '' : `${reply.enhanced} `;
  return reply.text.map((line, i) => visible(`${reply.code}${i === last ? ' ' : '-'}${enhanced}${line}`));
}
