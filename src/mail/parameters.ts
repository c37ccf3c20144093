/**
 * Structured fields of MIME: a value and its parameters (RFC 2045 section 5.1, RFC 2183), with the continuations and
 * charsets of RFC 2231. Octets stay octets: a value is text of one character an octet, and where the sender named a
 * charset its name stands beside it.
 *
 * Tolerant, because what one program refuses another shows: comments may stand anywhere, a value without quotes runs to
 * the next semicolon, a quote that never closes to the end. Whatever two programs could read in two ways is marked
 * `broken`.
 */
import { type MailLimits, mailLimits } from './limits.ts';

export interface StructuredField {
  /** In lower case, without comments. */
  readonly value: string;
  /** Names in lower case, continuations joined. The first of equal names counts, an extended one (`name*`) before a plain one. */
  readonly params: ReadonlyMap<string, string>;
  /** The charset's name in lower case, for the parameters that carry one (RFC 2231 section 4). */
  readonly charsets: ReadonlyMap<string, string>;
  readonly broken: boolean;
}

interface Raw {
  readonly text: string;
  readonly isExtended: boolean;
}

/** Reads an unfolded body. */
export function parseStructured(body: string, limits: MailLimits = mailLimits): StructuredField {
  const reader = new Reader(body);
  const value = reader.until(';').trim().toLowerCase();
  const raw = new Map<string, Map<number, Raw>>();
  let count = 0;
  while (reader.skipSign()) {
    const name = reader.until('=;').trim().toLowerCase();
    if (!reader.isAt('=')) {
      if (name !== '') reader.broken = true;
      continue;
    }
    reader.skipSign();
    const text = reader.value();
    if (++count > limits.params || text.length > limits.paramOctets || !addRaw(raw, name, text)) reader.broken = true;
  }
  const params = new Map<string, string>();
  const charsets = new Map<string, string>();
  for (const [name, pieces] of raw) {
    const { text, charset, isWhole } = join(pieces);
    if (!isWhole || text.length > limits.paramOctets) reader.broken = true;
    params.set(name, text.slice(0, limits.paramOctets));
    if (charset !== undefined) charsets.set(name, charset);
  }
  return { value, params, charsets, broken: reader.broken };
}

/** A value that is the whole parameter, before its pieces in the order of use: `name*` wins over `name*0`, that over `name`. */
const EXTENDED = -2;
const PLAIN = -1;

/** Files a parameter under its base name; false where that place is taken or the name is none. */
function addRaw(raw: Map<string, Map<number, Raw>>, name: string, text: string): boolean {
  const match = /^([^*\s]+)(?:\*(\d{1,3}))?(\*)?$/.exec(name);
  if (match === null) return false;
  const [, base, index, star] = match as unknown as [string, string, string | undefined, string | undefined];
  const isExtended = star !== undefined;
  const place = index !== undefined ? Number(index) : isExtended ? EXTENDED : PLAIN;
  const pieces = raw.get(base) ?? new Map<number, Raw>();
  raw.set(base, pieces);
  if (pieces.has(place)) return false;
  pieces.set(place, { text, isExtended });
  return true;
}

function join(pieces: Map<number, Raw>): { text: string; charset: string | undefined; isWhole: boolean } {
  const extended = pieces.get(EXTENDED);
  if (extended !== undefined) return { ...first(extended.text), isWhole: true };
  const start = pieces.get(0);
  if (start === undefined) {
    const plain = pieces.get(PLAIN);
    return { text: plain?.text ?? '', charset: undefined, isWhole: plain !== undefined };
  }
  const { text, charset } = start.isExtended ? first(start.text) : { text: start.text, charset: undefined };
  const all = [text];
  let index = 1;
  for (let piece = pieces.get(index); piece !== undefined; piece = pieces.get(++index)) {
    all.push(piece.isExtended ? percentDecoded(piece.text) : piece.text);
  }
  const counted = pieces.size - (pieces.has(PLAIN) ? 1 : 0);
  return { text: all.join(''), charset, isWhole: counted === index };
}

/** `charset'language'text`; without the two quotes all of it is text. */
function first(text: string): { text: string; charset: string | undefined } {
  const match = /^([^']*)'[^']*'/.exec(text);
  if (match === null) return { text: percentDecoded(text), charset: undefined };
  const charset = (match[1] as string).toLowerCase();
  return { text: percentDecoded(text.slice(match[0].length)), charset: charset === '' ? undefined : charset };
}

function percentDecoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Goes through a body once, leaving out comments. */
class Reader {
  broken = false;
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  isAt(sign: string): boolean {
    return this.#text[this.#at] === sign;
  }

  /** Steps over the sign that ended the last piece; false at the end. */
  skipSign(): boolean {
    if (this.#at >= this.#text.length) return false;
    this.#at++;
    return true;
  }

  /** The text before one of `signs`. */
  until(signs: string): string {
    let out = '';
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] as string;
      if (signs.includes(char)) break;
      if (char === '(') this.#comment();
      else {
        out += char;
        this.#at++;
      }
    }
    return out;
  }

  /** A parameter's value: a quoted string, or everything up to the semicolon. */
  value(): string {
    this.#space();
    if (!this.isAt('"')) return this.until(';').trimEnd();
    const text = this.#quoted();
    // Text behind the closing quote: some programs join it, some drop it.
    if (this.until(';').trim() !== '') this.broken = true;
    return text;
  }

  #space(): void {
    for (;;) {
      const char = this.#text[this.#at];
      if (char === '(') this.#comment();
      else if (char === ' ' || char === '\t') this.#at++;
      else return;
    }
  }

  #quoted(): string {
    let out = '';
    this.#at++;
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at++] as string;
      if (char === '"') return out;
      if (char === '\\' && this.#at < this.#text.length) out += this.#text[this.#at++];
      else out += char;
    }
    this.broken = true;
    return out;
  }

  /** Comments nest (RFC 5322 section 3.2.2); one that never closes runs to the end. */
  #comment(): void {
    let depth = 0;
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at++];
      if (char === '\\') this.#at++;
      else if (char === '(') depth++;
      else if (char === ')' && --depth === 0) return;
    }
    this.broken = true;
  }
}
