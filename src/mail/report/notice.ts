/**
 * The notice of a mail kept aside, to the recipient it was for (design D18). It shows who says they sent it and what its
 * Subject was, as text a person can judge by and no program follows: cleaned, bounded, without links of its own.
 */
import { encodeWords } from '../encoded-words.ts';
import { ascii, date, field, isAscii, visible } from './fields.ts';
import type { ReportLanguage } from './languages.ts';
import { noticeTexts } from './notice-texts.ts';
import { quotedPrintable } from './returned-part.ts';
import { filled } from './texts.ts';

export interface NoticeInput {
  readonly hostname: string;
  readonly contact: string;
  /** At least one; one behind the other in the text. */
  readonly languages: readonly ReportLanguage[];
  /** Of the notice. */
  readonly id: string;
  /** Of the mail kept aside. */
  readonly mailId: string;
  readonly to: string;
  /** The reverse-path; '' is the null path. */
  readonly from: string;
  readonly subject: string;
  readonly arrivalMs: number;
  readonly untilMs: number;
  readonly nowMs: number;
}

/** Of a stranger's words in the text. */
const MAX_SHOWN = 200;

/** The octets of the notice, lines ending with CRLF. `isUtf8`: the address asks for SMTPUTF8. */
export function makeNotice(input: NoticeInput): { readonly octets: Buffer; readonly isUtf8: boolean } {
  const [language = 'en'] = input.languages;
  const text = Buffer.from(input.languages.map((one) => inLanguage(input, one)).join('\r\n'));
  const isPlain = isAscii(text.toString());
  const host = ascii(input.hostname);
  const header = [
    field('From', `Mail Quarantine <MAILER-DAEMON@${host}>`),
    field('To', `<${visible(input.to)}>`),
    field('Subject', encodeWords(noticeTexts[language].subject)),
    field('Date', date(input.nowMs)),
    field('Message-ID', `<${ascii(input.id)}@${host}>`),
    field('Auto-Submitted', 'auto-generated'),
    field('MIME-Version', '1.0'),
    field('Content-Type', 'text/plain; charset=utf-8'),
    field('Content-Transfer-Encoding', isPlain ? '7bit' : 'quoted-printable'),
    field('Content-Language', input.languages.join(', ')),
  ];
  const octets = Buffer.concat([Buffer.from(`${header.join('')}\r\n`), isPlain ? text : quotedPrintable(text)]);
  return { octets, isUtf8: !isAscii(visible(input.to)) };
}

function inLanguage(input: NoticeInput, language: ReportLanguage): string {
  const texts = noticeTexts[language];
  const host = visible(input.hostname, MAX_SHOWN);
  const contact = visible(input.contact, MAX_SHOWN);
  const lines = [
    filled(texts.intro, { date: date(input.arrivalMs), host }),
    '',
    `    ${texts.from} <${visible(input.from, MAX_SHOWN)}>`,
    `    ${texts.title} ${visible(input.subject, MAX_SHOWN)}`,
    '',
    filled(texts.kept, { until: date(input.untilMs) }),
    filled(texts.ask, { contact }),
    '',
    `${texts.id} ${visible(input.mailId)}`,
    '',
  ];
  return lines.join('\r\n');
}
