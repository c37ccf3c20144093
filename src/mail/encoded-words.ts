/**
 * Encoded-words of header fields (RFC 2047, with the language tag of RFC 2231 section 5). What comes out is octets with the name
 * of their charset: reading a charset needs tables, which are for whoever shows text.
 *
 * Tolerant: words may stand anywhere, also where the RFC forbids them (inside quotes, glued to other text), because mail
 * programs show them there too. A word that is not well-formed stays text.
 */
import { type MailLimits, mailLimits } from './limits.ts';

export interface TextPiece {
  readonly octets: Buffer;
  /** As written, in lower case, without a language tag; `undefined`: text that was not encoded. */
  readonly charset: string | undefined;
}

/** A charset and a word have no `?`, so the match never has two ways to go: it is linear. */
const WORD = /=\?([!->@-~]+)\?([BbQq])\?([^?]*)\?=/g;

/**
 * The pieces of an unfolded field body (one character an octet). White space between two words is not text (section 6.2), and
 * neighbouring words of one charset are one piece, because programs divide words inside a character.
 */
export function decodeEncodedWords(body: string, limits: MailLimits = mailLimits): readonly TextPiece[] {
  const pieces: TextPiece[] = [];
  let at = 0;
  let words = 0;
  for (const match of body.matchAll(WORD)) {
    if (++words > limits.encodedWords) break;
    const between = body.slice(at, match.index);
    if (between !== '' && (at === 0 || /[^ \t\r\n]/.test(between))) pieces.push(plain(between));
    const [whole, tag, encoding, text] = match as unknown as [string, string, string, string];
    const charset = tag.replace(/\*.*$/, '').toLowerCase();
    push(pieces, {
      octets: encoding === 'B' || encoding === 'b' ? Buffer.from(text, 'base64') : decodeQ(text),
      charset,
    });
    at = match.index + whole.length;
  }
  if (at < body.length) pieces.push(plain(body.slice(at)));
  return pieces;
}

function push(pieces: TextPiece[], piece: TextPiece): void {
  const last = pieces.at(-1);
  if (last?.charset === piece.charset) {
    pieces[pieces.length - 1] = {
      octets: Buffer.concat([last?.octets ?? piece.octets, piece.octets]),
      charset: piece.charset,
    };
  } else {
    pieces.push(piece);
  }
}

function plain(text: string): TextPiece {
  return { octets: Buffer.from(text, 'latin1'), charset: undefined };
}

/** The Q encoding (section 4.2): `_` is a space, `=XX` an octet; anything else stands for itself. */
function decodeQ(text: string): Buffer {
  const spaced = text.replaceAll('_', ' ');
  return Buffer.from(
    spaced.replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
}

/** An encoded-word has at most 75 characters; `=?utf-8?B?` and `?=` take 12, and four signs carry three octets. */
const WORD_OCTETS = 45;

/**
 * Text as it may stand in an unstructured field: as it is where it is plain ASCII and could not be read as an encoded-word, else
 * UTF-8 in base64 words, divided between characters (RFC 2047 section 5) and joined by spaces, at which a field folds.
 */
export function encodeWords(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text) && !text.includes('=?')) return text;
  const words: string[] = [];
  let piece = '';
  let octets = 0;
  const flush = () => words.push(`=?utf-8?B?${Buffer.from(piece).toString('base64')}?=`);
  for (const char of text.toWellFormed()) {
    const size = Buffer.byteLength(char);
    if (octets + size > WORD_OCTETS) {
      flush();
      piece = '';
      octets = 0;
    }
    piece += char;
    octets += size;
  }
  flush();
  return words.join(' ');
}
