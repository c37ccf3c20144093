/** Header octets as the text a person reads, for rules that look at it. Never used to write anything. */
import { decodeEncodedWords } from '../../mail/index.ts';

/** Text of one character an octet, read as UTF-8 where it is UTF-8 (SMTPUTF8, RFC 6532), left alone where not. */
export function utf8Text(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1)) return latin1;
  const octets = Buffer.from(latin1, 'latin1');
  try {
    return utf8.decode(octets);
  } catch {
    return latin1;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** An unfolded field body with its encoded-words (RFC 2047) read. An unknown charset is read as if it were UTF-8. */
export function headerText(body: string): string {
  if (!body.includes('=?')) return utf8Text(body);
  let text = '';
  for (const piece of decodeEncodedWords(body)) {
    text +=
      piece.charset === undefined ? utf8Text(piece.octets.toString('latin1')) : decoded(piece.octets, piece.charset);
  }
  return text;
}

function decoded(octets: Buffer, charset: string): string {
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return utf8Text(octets.toString('latin1'));
  }
}
