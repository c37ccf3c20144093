/**
 * A report on the fate of a mail (RFC 3464 in RFC 6522; RFC 6533 for mail beyond ASCII). Pure: time, ids and the nonce of the
 * boundary come in. Whether somebody is to be told at all is decided by the caller: never the null path, never twice.
 */
import { encodeWords } from '../encoded-words.ts';
import { ascii, date, field, isAscii, visible } from './fields.ts';
import type { Report, ReportInput } from './input.ts';
import { reportTexts } from './languages.ts';
import { quotedPrintable, returnedPart } from './returned-part.ts';
import { statusPart } from './status-part.ts';
import { reportText } from './text-part.ts';

export function makeReport(input: ReportInput): Report {
  const parts = [textEntity(input), statusEntity(input), returnedEntity(input)];
  const boundary = freeBoundary(input.nonce, parts);
  const chunks: Buffer[] = [Buffer.from(`${reportHeader(input, boundary)}\r\n`)];
  for (const part of parts)
    chunks.push(Buffer.from(`--${boundary}\r\n${part.fields}\r\n`), part.body, Buffer.from('\r\n'));
  chunks.push(Buffer.from(`--${boundary}--\r\n`));
  return {
    chunks: chunks.filter((chunk) => chunk.length > 0),
    size: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    isEightBit: !isAscii(visible(input.to)) || parts.some(({ isEightBit }) => isEightBit),
    isUtf8: !isAscii(visible(input.to)),
  };
}

interface Entity {
  readonly fields: string;
  readonly body: Buffer;
  readonly isEightBit: boolean;
}

function reportHeader(input: ReportInput, boundary: string): string {
  const host = ascii(input.hostname);
  const answered = messageId(input.mail.messageId);
  const [language = 'en'] = input.languages;
  return [
    field('From', `Mail Delivery System <MAILER-DAEMON@${host}>`),
    field('To', `<${visible(input.to)}>`),
    field('Subject', encodeWords(reportTexts[language].subject[input.kind])),
    field('Date', date(input.nowMs)),
    field('Message-ID', `<${ascii(input.id)}@${host}>`),
    field('In-Reply-To', answered),
    field('References', answered),
    // RFC 3834, 5: nobody's program shall answer it.
    field('Auto-Submitted', 'auto-replied'),
    field('MIME-Version', '1.0'),
    `Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"\r\n`,
  ].join('');
}

/** msg-id of RFC 5322, 3.6.4, without its old forms. */
function messageId(text: string | undefined): string | undefined {
  return text !== undefined && /^<[\w!#$%&'*+\-/=?^`{|}~.]{1,200}@[\w.\-:[\]]{1,200}>$/.test(text) ? text : undefined;
}

function textEntity(input: ReportInput): Entity {
  const text = reportText(input);
  const isPlain = isAscii(text);
  const octets = Buffer.from(text);
  const fields =
    field('Content-Type', 'text/plain; charset=utf-8') +
    field('Content-Transfer-Encoding', isPlain ? '7bit' : 'quoted-printable') +
    field('Content-Language', input.languages.join(', ')) +
    field('Content-Description', 'Notification');
  return { fields, body: isPlain ? octets : quotedPrintable(octets), isEightBit: false };
}

function statusEntity(input: ReportInput): Entity {
  const { type, text } = statusPart(input);
  const isEightBit = !isAscii(text);
  const fields =
    field('Content-Type', type) +
    field('Content-Transfer-Encoding', isEightBit ? '8bit' : '7bit') +
    field('Content-Description', 'Delivery report');
  return { fields, body: Buffer.from(text), isEightBit };
}

function returnedEntity(input: ReportInput): Entity {
  const { type, encoding, description, body } = returnedPart(input);
  const fields =
    field('Content-Type', type) +
    field('Content-Transfer-Encoding', encoding) +
    field('Content-Description', description);
  return { fields, body, isEightBit: encoding === '8bit' };
}

/** RFC 2046, 5.1.1: it stands in no part. The nonce makes that so; the count is for whoever knew it all the same. */
function freeBoundary(nonce: string, parts: readonly Entity[]): string {
  const stem = `=_${nonce.replace(/[^A-Za-z0-9_-]/g, '').slice(0, 40)}`;
  for (let n = 0; ; n++) {
    const boundary = `${stem}.${n}`;
    if (!parts.some(({ body }) => body.includes(boundary))) return boundary;
  }
}
