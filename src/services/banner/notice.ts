/** The words of the banner in the forms that parts of a message need. */
import iconv from 'iconv-lite';

export interface Notice {
  /** The words themselves. */
  readonly text: string;
  /** As HTML, in US-ASCII. */
  readonly html: string;
}

/** HTML for `text` where the operator gave none: shown apart from the mail's own words, whatever its style sheet says. */
export function htmlFor(text: string): string {
  const style =
    'border:1px solid #c90;background:#fff8e1;color:#000;padding:8px;margin:0 0 12px 0;font:14px sans-serif';
  const lines = text.split('\n').map(escapeHtml);
  return `<div style="${style}">${lines.join('<br>')}</div>`;
}

/** Whatever is not US-ASCII as a character reference: right in any charset that has US-ASCII in it. */
export function asAsciiHtml(html: string): string {
  return Array.from(html, (c) => (c > '~' ? `&#${c.codePointAt(0)};` : c)).join('');
}

/**
 * `text` in `charset`, or `undefined` where that is unknown, has no place for one of its characters, or is none in which
 * US-ASCII stands for itself (UTF-16, or ISO-2022-JP, which a banner in front would leave in the wrong state).
 */
export function encodeIn(charset: string, text: string): Buffer | undefined {
  if (NO_CHARSETS.has(charset.toLowerCase()) || !iconv.encodingExists(charset)) return undefined;
  const ascii = '\r\n <>&;"=Az09';
  if (!iconv.encode(ascii, charset).equals(Buffer.from(ascii))) return undefined;
  const octets = iconv.encode(text, charset);
  // What it has no place for is written as `?`.
  return iconv.decode(octets, charset) === text ? octets : undefined;
}

/** Names that iconv-lite takes for its own purposes and no mail program for a charset. */
const NO_CHARSETS: ReadonlySet<string> = new Set(['binary', 'base64', 'hex']);

const LINE_CHARACTERS = 72;

/** The words as lines of a text/plain part, an empty line behind them. `isFlowed`: format=flowed (RFC 3676). */
export function plainLines(text: string, isFlowed: boolean): string {
  const lines = text.split('\n').flatMap(wrap);
  // A line that ends with a space would flow into the next, and some beginnings have a meaning (sections 4.1 and 4.4).
  const written = isFlowed ? lines.map((line) => (/^(?: |>|From )/.test(line) ? ` ${line}` : line)) : lines;
  return `${written.join('\r\n')}\r\n\r\n`;
}

function wrap(line: string): string[] {
  const lines: string[] = [];
  let current = '';
  for (const word of line.trim().split(/\s+/)) {
    if (current !== '' && current.length + 1 + word.length > LINE_CHARACTERS) {
      lines.push(current);
      current = word;
    } else {
      current = current === '' ? word : `${current} ${word}`;
    }
  }
  return [...lines, current];
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
