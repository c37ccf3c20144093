/**
 * Header fields that a callout server asks to have added (`Add-Header`, draft section 3.3.5; profile notes, question 14).
 * The text goes into the mail as it is, so it is judged like input from any peer: one well-formed field (RFC 5322,
 * section 2.2), folded properly, in US-ASCII, of a name that services may write. Anything else would let a service, or
 * whoever can make it echo his text, end the header section or forge a trace.
 */

/** As many fields as one answer may add: real filters add fewer than ten. */
export const MAX_ADDED_FIELDS = 32;
/** Octets of one added field, folds included: room for a spam report, none for smuggling a message. */
export const MAX_ADDED_FIELD_OCTETS = 8192;
/** Octets of all fields of one answer: they go in the head of one message, and one too large ends the connection for all mails on it. */
export const MAX_ADDED_OCTETS = 128 * 1024;
/** RFC 5322, section 2.1.1. */
const MAX_LINE_OCTETS = 998;

/**
 * Why `field` (a whole field without its last CRLF) may not be added, or `undefined` where it may.
 * @example
 * checkAddedField('X-Spam-Score: 1.2'); // undefined
 * checkAddedField('Received: from nowhere'); // 'add-header-forbidden'
 */
export function checkAddedField(field: string): string | undefined {
  if (field === lastGood) return undefined;
  if (field.length > MAX_ADDED_FIELD_OCTETS) return 'add-header-size';
  const colon = field.indexOf(':');
  if (colon <= 0 || countPrintable(field, 0, false) < colon) return 'add-header-name';
  if (isForbiddenName(field.slice(0, colon))) return 'add-header-forbidden';
  // Nearly all fields are one short line of ASCII: no pattern is needed to see that.
  if (field.length <= MAX_LINE_OCTETS && countPrintable(field, colon, true) === field.length - colon) {
    lastGood = field;
    return undefined;
  }
  if (/[^\t\r\n -~]/.test(field)) return 'add-header-octets';
  for (const [i, line] of field.split('\r\n').entries()) {
    if (line.length > MAX_LINE_OCTETS) return 'add-header-size';
    // A line of blanks only would look like the end of the header to a lax reader.
    if (line.includes('\r') || line.includes('\n') || (i > 0 && !/^[\t ].*[!-~]/.test(line)))
      return 'add-header-folding';
  }
  return undefined;
}

/** A field is judged where it is made and where it is written, and many are the same from mail to mail. */
let lastGood: string | undefined;

/** Whether `name` is the name of a field (RFC 5322, section 2.2): printable ASCII without a colon. */
export function isFieldName(name: string): boolean {
  return name.length > 0 && countPrintable(name, 0, false) === name.length && !name.includes(':');
}

/** Characters of `text` from `from` on that are printable ASCII, up to the first that is not. */
function countPrintable(text: string, from: number, withBlanks: boolean): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code <= 0x20 || code > 0x7e) && !(withBlanks && (code === 0x20 || code === 0x09))) break;
  }
  return at - from;
}

/** Fields that belong to the transport, to the trace or to somebody's signature. */
export function isForbiddenName(name: string): boolean {
  // Most names can be told by their first letter.
  if (!FIRST_LETTERS.has(name.charCodeAt(0) | 0x20)) return false;
  const lower = name.toLowerCase();
  return FORBIDDEN.has(lower) || FORBIDDEN_PREFIXES.some((prefix) => lower.startsWith(prefix));
}

const FORBIDDEN: ReadonlySet<string> = new Set([
  'received',
  'return-path',
  'bcc',
  'resent-bcc',
  'domainkey-signature',
  'message-instance', // DKIM2: the record of what changed between two signatures
]);

const FORBIDDEN_PREFIXES: readonly string[] = ['opes-', 'arc-', 'dkim'];

const FIRST_LETTERS: ReadonlySet<number> = new Set(
  [...FORBIDDEN, ...FORBIDDEN_PREFIXES].map((name) => name.charCodeAt(0)),
);
