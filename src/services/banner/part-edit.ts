/** The edit that puts the banner into one part, or why it cannot be done. */
import { printable } from '../../base/index.ts';
import type { RangeChange } from '../../callout/index.ts';
import { findFields, type MimePart } from '../../mail/index.ts';
import { placeInHtml } from './html-place.ts';
import { decodeHead } from './insert.ts';
import { asAsciiHtml, encodeIn, type Notice, plainLines } from './notice.ts';

/** Octets of a body that are searched for the place: long style sheets fit. */
export const HEAD_OCTETS = 64 * 1024;

/**
 * `head` is the beginning of the part's body as it is in the message. The answer names what stands in the way in few words,
 * for the note in the header.
 */
export function editPart(part: MimePart, head: Buffer, notice: Notice): readonly RangeChange[] | string {
  if (!part.header.toString('latin1', part.header.length - 4).endsWith('\r\n\r\n') && part.header.length !== 2)
    return 'no body';
  const charset = part.contentType.params.get('charset')?.trim() ?? 'us-ascii';
  const isHtml = part.contentType.subtype === 'html';
  const isFlowed = part.contentType.params.get('format')?.toLowerCase() === 'flowed';
  const text = isHtml ? `\r\n${asAsciiHtml(notice.html)}\r\n` : plainLines(notice.text, isFlowed);
  const block = encodeIn(charset, text);
  if (block === undefined) return `charset ${printable(charset, 40)}`;
  if (part.encoding === '7bit' && block.some((octet) => octet > 127)) return 'seven bits only';
  const decoded = decodeHead(part.encoding, head);
  if (decoded === undefined) return 'transfer encoding';
  const at = isHtml ? placeInHtml(decoded.octets.toString('latin1')) : 0;
  // Another gateway on the way has put it there: where it is shown it need not stand twice. A field that says so proves nothing.
  if (decoded.octets.subarray(at, at + block.length).equals(block)) return 'there already';
  const insertion = decoded.insert(at, block, isHtml ? 'space' : 'line');
  if (insertion === undefined) return 'transfer encoding';
  const { start, end, data } = insertion;
  return [{ start: part.bodyStart + start, end: part.bodyStart + end, data }, ...digests(part)];
}

/** A digest of the body (RFC 1864) would be wrong from now on, and may not be made anew by anyone but the sender. */
function digests(part: MimePart): readonly RangeChange[] {
  return findFields(part.header, part.fields, 'content-md5').map(({ start, end }) => ({
    start: part.headerStart + start,
    end: part.headerStart + end,
    data: '',
  }));
}
