/**
 * Fields of a report, written so that no value can end its field: line ends and controls are gone, words are bounded,
 * folds stand between words only (RFC 5322, 2.2.3: what is unfolded is the value again).
 */

import type { ReportReply } from './input.ts';
import { FOLD_OCTETS, MAX_REPLY_CHARS, MAX_VALUE_CHARS, MAX_WORD_OCTETS } from './limits.ts';

/** Controls, and characters that turn text around, end lines or hide: a report is read by people. */
const UNSEEN = /[\p{Cc}\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/** Text of a stranger as it may be shown on one line. */
export function visible(text: string, maxChars = MAX_VALUE_CHARS): string {
  const cut = text.length > maxChars ? `${text.slice(0, maxChars - 3)}...` : text;
  return cut
    .toWellFormed()
    .replace(/[\t\r\n]/g, ' ')
    .replace(UNSEEN, '?');
}

export function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text);
}

/** The same in ASCII: what is not becomes `?`. */
export function ascii(text: string, maxChars?: number): string {
  return visible(text, maxChars).replace(/[^\x20-\x7e]/gu, '?');
}

/** A field with its line end; none where there is no value. Cleaned here once more, whoever calls. */
export function field(name: string, value: string | undefined): string {
  const words = visible(value ?? '')
    .trim()
    .match(/ *[^ ]+/g);
  if (words === null) return '';
  let out = `${name}:`;
  let line = Buffer.byteLength(out);
  for (const [i, word] of words.entries()) {
    const spaced = i === 0 ? ` ${word}` : word;
    const bounded = Buffer.byteLength(spaced) > MAX_WORD_OCTETS ? boundedWord(spaced) : spaced;
    const size = Buffer.byteLength(bounded);
    if (i > 0 && line + size > FOLD_OCTETS) {
      out += `\r\n${bounded}`;
      line = size;
    } else {
      out += bounded;
      line += size;
    }
  }
  return `${out}\r\n`;
}

/** Three octets a character at most, as UTF-16 counts them. */
function boundedWord(word: string): string {
  return `${word.slice(0, Math.floor(MAX_WORD_OCTETS / 3) - 3).toWellFormed()}...`;
}

/** RFC 5322, 3.3. */
export function date(ms: number): string {
  return new Date(ms).toUTCString().replace('GMT', '+0000');
}

/** A server's answer on one line, the code first. */
export function replyText({ code, enhanced, text }: ReportReply): string {
  const words = [String(code), enhanced ?? '', ...text].join(' ').replace(/\s+/g, ' ').trim();
  return ascii(words, MAX_REPLY_CHARS);
}

/** A name that can be one in the DNS, or an address literal; nothing else is passed for a server's name. */
export function serverName(name: string): string | undefined {
  return /^(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9])?|\[[A-Za-z0-9.:]{1,64}\])$/.test(name)
    ? name
    : undefined;
}
