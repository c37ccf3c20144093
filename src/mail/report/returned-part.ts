/**
 * The third part: what comes back of the mail. Its header (RFC 6522, 4; RFC 6533, 5), or all of it where that is asked for
 * and can travel: not too long, no line beyond 998 octets, and eight bits only to whom they came from.
 */
import { isUtf8 } from 'node:buffer';
import { asBuffer, CR, EMPTY, LF } from '../../base/index.ts';
import { scanHeader } from '../header.ts';
import { QuotedPrintableEncoder } from '../quoted-printable-encoder.ts';
import type { ReportInput } from './input.ts';
import { MAX_RETURNED_FULL, MAX_RETURNED_HEADER } from './limits.ts';

export interface ReturnedPart {
  readonly type: 'text/rfc822-headers' | 'message/global-headers' | 'message/rfc822' | 'message/global';
  readonly encoding: '7bit' | '8bit' | 'quoted-printable';
  readonly description: string;
  readonly body: Buffer;
}

export function returnedPart({ mail, returned }: ReportInput): ReturnedPart {
  const full = returned.full === undefined ? undefined : fullMail(returned.full, mail.isUtf8, mail.isEightBit);
  return full ?? headerOnly(returned.header, mail.isUtf8);
}

function fullMail(chunks: readonly Uint8Array[], isSmtpUtf8: boolean, isEightBit: boolean): ReturnedPart | undefined {
  const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (size > MAX_RETURNED_FULL) return undefined;
  const body = Buffer.concat(chunks);
  const look = lookAt(body);
  if (!look.isPlain || (look.hasEightBit && !isEightBit)) return undefined;
  const header = body.subarray(0, scanHeader(body).end);
  const isGlobal = isSmtpUtf8 && lookAt(header).hasEightBit && isUtf8(header);
  return {
    type: isGlobal ? 'message/global' : 'message/rfc822',
    encoding: look.hasEightBit ? '8bit' : '7bit',
    description: 'Returned mail',
    body,
  };
}

function headerOnly(octets: Uint8Array, isSmtpUtf8: boolean): ReturnedPart {
  const { header, isCut } = wholeFields(asBuffer(octets));
  const look = lookAt(header);
  const isGlobal = isSmtpUtf8 && look.hasEightBit && isUtf8(header);
  const isAsItIs = look.isPlain && (!look.hasEightBit || isGlobal);
  return {
    type: isGlobal ? 'message/global-headers' : 'text/rfc822-headers',
    encoding: isAsItIs ? (look.hasEightBit ? '8bit' : '7bit') : 'quoted-printable',
    description: isCut ? 'Header of the returned mail (the last fields are left out)' : 'Header of the returned mail',
    body: isAsItIs ? header : quotedPrintable(header),
  };
}

/** The fields that fit, none in part; without the empty line. */
function wholeFields(octets: Buffer): { readonly header: Buffer; readonly isCut: boolean } {
  const scanned = scanHeader(octets);
  let end = 0;
  for (const field of scanned.fields) {
    if (field.end > MAX_RETURNED_HEADER) return { header: octets.subarray(0, end), isCut: true };
    end = field.end;
  }
  return { header: octets.subarray(0, end), isCut: scanned.broken === 'field-count' };
}

/** RFC 5321, 4.5.3.1.6, without CRLF. */
const MAX_LINE = 998;

/** `isPlain`: CR and LF stand together only, there is no NUL, and lines are of lawful length. */
function lookAt(octets: Buffer): { readonly isPlain: boolean; readonly hasEightBit: boolean } {
  let isPlain = true;
  let hasEightBit = false;
  let lineStart = 0;
  for (let i = 0; i < octets.length; i++) {
    const octet = octets[i] as number;
    if (octet === LF) {
      if (octets[i - 1] !== CR || i - 1 - lineStart > MAX_LINE) isPlain = false;
      lineStart = i + 1;
    } else if (octet === 0 || (octet === CR && octets[i + 1] !== LF)) isPlain = false;
    else if (octet > 0x7f) hasEightBit = true;
  }
  return { isPlain: isPlain && octets.length - lineStart <= MAX_LINE, hasEightBit };
}

export function quotedPrintable(octets: Buffer): Buffer {
  const encoder = new QuotedPrintableEncoder();
  const out = [encoder.feed(octets), encoder.end()].filter((piece) => piece.length > 0);
  return out.length === 0 ? EMPTY : Buffer.concat(out);
}
