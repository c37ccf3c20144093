/** The first part: what happened, to whom, what to do, whom to ask. One language behind the other (decision 0032). */
import { replyText, serverName, visible } from './fields.ts';
import type { ReportedRecipient, ReportInput } from './input.ts';
import { type ReportLanguage, reportTexts } from './languages.ts';
import { MAX_NAMED, MAX_SHOWN_CHARS } from './limits.ts';
import { type Advice, adviceOn, filled, type ReportTexts } from './texts.ts';

const WIDTH = 72;
const BETWEEN = `\r\n${'* '.repeat(12).trimEnd()}\r\n\r\n`;

/** Unicode; lines end with CRLF and are short but for words of strangers, which are bounded. */
export function reportText(input: ReportInput): string {
  return input.languages.map((language) => inLanguage(input, language)).join(BETWEEN);
}

function inLanguage(input: ReportInput, language: ReportLanguage): string {
  const texts = reportTexts[language];
  const { recipients, kind, mail } = input;
  const host = shown(input.hostname);
  const contact = shown(input.contact);
  const named = recipients.slice(0, MAX_NAMED);
  const rest = recipients.length - named.length;
  const advice = new Set(recipients.map(({ why }) => adviceOn[why]).filter((one): one is Advice => one !== undefined));
  const paragraphs = [
    wrapped(filled(texts.intro[kind], { date: when(mail.arrivalMs) })),
    ...named.map((recipient) => aboutOne(recipient, texts, host)),
    ...(rest > 0 ? [wrapped(filled(texts.more, { count: String(rest) }), 4)] : []),
    ...[...advice].map((one) => wrapped(filled(texts.advice[one], { contact }))),
    ...bypassHint(input, texts),
    [
      wrapped(filled(texts.from, { host })),
      line(`${texts.id} ${shown(mail.id)}`),
      line(`${texts.system} ${shown(mail.systemEntry)}`),
      line(`${texts.contact} ${contact}`),
    ].join(''),
  ];
  return paragraphs.join('\r\n');
}

function aboutOne(recipient: ReportedRecipient, texts: ReportTexts, host: string): string {
  const { final, why, remote, reply, retryUntilMs, cause } = recipient;
  const domain = final.slice(final.lastIndexOf('@') + 1);
  const server = (remote === undefined ? undefined : serverName(remote)) ?? shown(domain);
  const until = retryUntilMs === undefined ? '-' : when(retryUntilMs);
  const lines = [line(`    ${shown(final)}`), wrapped(filled(texts.why[why], { server, host, until }), 8)];
  if (reply !== undefined && reply.code >= 400)
    lines.push(wrapped(filled(texts.answer, { reply: replyText(reply) }), 8));
  if (cause !== undefined) lines.push(wrapped(filled(texts.service, { uri: shown(cause.service) }), 8));
  return lines.join('');
}

/** REQ-057: what a request to leave a service out must name. */
function bypassHint({ recipients, mail }: ReportInput, texts: ReportTexts): string[] {
  const uris = new Set<string>();
  for (const { cause } of recipients) if (cause?.isBypassable === true) uris.add(shown(cause.service));
  if (uris.size === 0) return [];
  return [[wrapped(texts.bypass), ...[shown(mail.systemEntry), ...uris].map((uri) => line(`    ${uri}`))].join('')];
}

/** Without words of any language: 2026-11-22 07:40 UTC. */
function when(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** A line of its own: its length is that of the value. */
function shown(value: string): string {
  return visible(value, MAX_SHOWN_CHARS);
}

function line(text: string): string {
  return `${text}\r\n`;
}

function wrapped(text: string, indent = 0): string {
  const lines: string[] = [];
  let current = '';
  for (const word of text.split(' ')) {
    if (current !== '' && indent + current.length + word.length + 1 > WIDTH) {
      lines.push(current);
      current = word;
    } else {
      current = current === '' ? word : `${current} ${word}`;
    }
  }
  return [...lines, current].map((one) => line(' '.repeat(indent) + one)).join('');
}
