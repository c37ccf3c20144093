/**
 * The grammar of what stands in a path (RFC 5321, 4.1.2 and 4.1.3; RFC 6531, 3.3), by hand, as two paths of each mail come
 * here. Each function returns the offset behind what it reads at `at`, or `at` where that does not stand there.
 * `path-grammar.test.ts` has the same grammar as regular expressions.
 */

/** RFC 1035, 2.3.4. */
const MAX_LABEL = 63;
const MAX_LITERAL = 64;

// Classes of characters; bits of `classes`.
const ATEXT = 1;
/** What a label begins and ends with; `_` is no part of the standard, and of many host names. */
const LET_DIG = 2;
/** Inside of a label. */
const LDH = 4;
/** Inside of a quoted string, unescaped. */
const QTEXT = 8;
/** Inside of an address literal. */
const DCONTENT = 16;

const classes = makeClasses();

function makeClasses(): Uint8Array {
  const table = new Uint8Array(256);
  const mark = (chars: string, bits: number): void => {
    for (const char of chars) table[char.charCodeAt(0)] = (table[char.charCodeAt(0)] as number) | bits;
  };
  const between = (from: number, to: number): string =>
    Array.from({ length: to - from + 1 }, (_, i) => String.fromCharCode(from + i)).join('');
  const alphanumeric = `${between(0x30, 0x39)}${between(0x41, 0x5a)}${between(0x61, 0x7a)}`;
  mark(`${alphanumeric}_${between(0x80, 0xff)}`, ATEXT | LET_DIG | LDH);
  mark("!#$%&'*+-/=?^`{|}~", ATEXT);
  mark('-', LDH);
  mark(`${between(0x20, 0x7e).replace(/["\\]/g, '')}${between(0x80, 0xff)}`, QTEXT);
  mark(between(0x21, 0x7e).replace(/[[\\\]]/g, ''), DCONTENT);
  return table;
}

function is(text: string, at: number, bits: number): boolean {
  // Past the end it is NaN, beyond latin1 there is no entry: neither is of any class.
  return ((classes[text.charCodeAt(at)] ?? 0) & bits) !== 0;
}

/** `@a,@b:` in front of a mailbox; all of it or nothing. */
export function skipRoute(text: string, at: number): number {
  let end = at;
  while (text[end] === '@') {
    const domain = skipDomain(text, end + 1);
    if (domain === end + 1) return at;
    if (text[domain] === ':') return domain + 1;
    if (text[domain] !== ',') return at;
    end = domain + 1;
  }
  return at;
}

/** Dot-string or quoted string. */
export function skipLocalPart(text: string, at: number): number {
  if (text[at] === '"') return skipQuoted(text, at);
  let end = at;
  while (is(text, end, ATEXT)) {
    end++;
    while (is(text, end, ATEXT)) end++;
    if (text[end] !== '.' || !is(text, end + 1, ATEXT)) return end;
    end++;
  }
  return end;
}

function skipQuoted(text: string, at: number): number {
  let end = at + 1;
  for (;;) {
    if (is(text, end, QTEXT)) end++;
    else if (text[end] === '"') return end + 1;
    else if (text[end] === '\\' && isPrintable(text.charCodeAt(end + 1))) end += 2;
    else return at;
  }
}

function isPrintable(char: number): boolean {
  return char >= 0x20 && char <= 0x7e;
}

/** Labels, or an address literal. */
export function skipDomain(text: string, at: number): number {
  if (text[at] === '[') return skipLiteral(text, at);
  let end = skipLabel(text, at);
  while (end > at && text[end] === '.') {
    const label = skipLabel(text, end + 1);
    if (label === end + 1) return end;
    end = label;
  }
  return end;
}

function skipLabel(text: string, at: number): number {
  if (!is(text, at, LET_DIG)) return at;
  const limit = at + MAX_LABEL;
  let end = at + 1;
  while (end < limit && is(text, end, LDH)) end++;
  while (!is(text, end - 1, LET_DIG)) end--;
  return end;
}

function skipLiteral(text: string, at: number): number {
  const limit = at + 1 + MAX_LITERAL;
  let end = at + 1;
  while (end < limit && is(text, end, DCONTENT)) end++;
  return end > at + 1 && text[end] === ']' ? end + 1 : at;
}
