/** A message as a tree of parts, each a few offsets into the message's octets (RFC 2045, RFC 2046). */
import { decodeEncodedWords, type TextPiece } from './encoded-words.ts';
import type { FieldRange, HeaderFault } from './header.ts';

export interface ContentType {
  /** In lower case. `text` and `plain` where nothing or nonsense was sent (RFC 2045 section 5.2). */
  readonly type: string;
  readonly subtype: string;
  readonly params: ReadonlyMap<string, string>;
  readonly charsets: ReadonlyMap<string, string>;
}

export interface Disposition {
  /** `inline`, `attachment` or whatever was sent, in lower case. */
  readonly kind: string;
  readonly params: ReadonlyMap<string, string>;
  readonly charsets: ReadonlyMap<string, string>;
}

export type TransferEncoding = '7bit' | '8bit' | 'binary' | 'base64' | 'quoted-printable' | 'unknown';

/**
 * What is wrong with a part. A reader that decides about mail (a virus or policy service) does well to distrust every
 * one of them: they are the places where two programs see two different messages.
 */
export type PartFault =
  | HeaderFault
  /** `Content-Type` is not `type/subtype`; read as text/plain. */
  | 'content-type'
  /** Two fields where one may be: the first counts. */
  | 'duplicate-field'
  /** Parameters that programs read differently (RFC 2231 gaps, open quotes, doubles). */
  | 'parameter'
  | 'unknown-encoding'
  /** A multipart or message with base64 or quoted-printable around it (RFC 2045 section 6.4). A multipart is read as if it had none, a message is a leaf. */
  | 'encoded-composite'
  | 'no-boundary'
  | 'boundary-size'
  /** A line begins with the boundary and goes on with other text: no delimiter for us, one for some programs. */
  | 'boundary-tail'
  | 'missing-close'
  | 'no-parts'
  /** Too deep: this composite is kept as a leaf. */
  | 'depth'
  /** Too many parts or false delimiters: from here on the message was not divided any more. */
  | 'part-count'
  | 'delimiter-count';

export interface MimePart {
  /** `1` for the message, `1.2` for its second part; an encapsulated message is the only child of its part. */
  readonly path: string;
  readonly headerStart: number;
  /** Behind the empty line. Equal to `bodyEnd` where the part has no body. */
  readonly bodyStart: number;
  /** Before the line end that belongs to the delimiter. */
  readonly bodyEnd: number;
  /** The header section's octets, a copy; `fields` are offsets in it (add `headerStart` for those in the message). */
  readonly header: Buffer;
  readonly fields: readonly FieldRange[];
  readonly contentType: ContentType;
  readonly encoding: TransferEncoding;
  readonly disposition: Disposition | undefined;
  readonly children: readonly MimePart[];
  /** Multiparts: where the first delimiter (with the line end before it) begins. */
  readonly preambleEnd?: number | undefined;
  /** Multiparts that were closed: behind the closing delimiter. The epilogue begins with that line's end. */
  readonly epilogueStart?: number | undefined;
  /** Text leaves: the first octets of the body as they are in the message. */
  readonly head: Buffer;
  readonly faults: readonly PartFault[];
  /** The first of the faults. */
  readonly broken?: PartFault | undefined;
}

export interface PartRange {
  readonly kind: 'header' | 'body' | 'preamble' | 'delimiter' | 'epilogue';
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

/** The message cut into ranges, in their order and without gap or overlap: all of them together are the message. */
export function partRanges(part: MimePart): readonly PartRange[] {
  const ranges: PartRange[] = [];
  collect(part, ranges);
  return ranges;
}

function collect(part: MimePart, ranges: PartRange[]): void {
  const { path, headerStart, bodyStart, bodyEnd, children, preambleEnd, epilogueStart } = part;
  const add = (kind: PartRange['kind'], start: number, end: number) => {
    if (end > start) ranges.push({ kind, path, start, end });
  };
  add('header', headerStart, bodyStart);
  if (preambleEnd === undefined) {
    for (const child of children) collect(child, ranges);
    if (children.length === 0) add('body', bodyStart, bodyEnd);
    return;
  }
  add('preamble', bodyStart, preambleEnd);
  let at = preambleEnd;
  for (const child of children) {
    add('delimiter', at, child.headerStart);
    collect(child, ranges);
    at = child.bodyEnd;
  }
  if (epilogueStart === undefined) return;
  add('delimiter', at, epilogueStart);
  add('epilogue', epilogueStart, bodyEnd);
}

/** Every part, parents before children. */
export function* allParts(part: MimePart): Generator<MimePart> {
  yield part;
  for (const child of part.children) yield* allParts(child);
}

/**
 * The part's file name as pieces of octets with their charset: `filename`, or the older `name`. Encoded-words in it are
 * read although they do not belong there (RFC 2047 section 5), because mail programs read them.
 */
export function fileName(part: MimePart): readonly TextPiece[] | undefined {
  for (const [field, name] of [[part.disposition, 'filename'] as const, [part.contentType, 'name'] as const]) {
    const text = field?.params.get(name);
    if (field === undefined || text === undefined) continue;
    const charset = field.charsets.get(name);
    return charset === undefined ? decodeEncodedWords(text) : [{ octets: Buffer.from(text, 'latin1'), charset }];
  }
  return undefined;
}
