/**
 * The second part, for programs (RFC 3464, 2; RFC 6533, 4): fields of the mail, then fields of each recipient. Our own are
 * `OPES-System` and `OPES-Via`, as in the mail's header, and `OPES-Cause` where OPES processing is what happened to a
 * recipient (decision 0031).
 */
import { ascii, date, field, isAscii, replyText, serverName, visible } from './fields.ts';
import type { Action, ReportedMail, ReportedRecipient, ReportInput } from './input.ts';

export interface StatusPart {
  readonly type: 'message/delivery-status' | 'message/global-delivery-status';
  readonly text: string;
}

export function statusPart(input: ReportInput): StatusPart {
  const { mail, recipients } = input;
  const blocks = [
    mailFields(mail, input.hostname),
    ...recipients.map((recipient) => recipientFields(recipient, mail.isUtf8)),
  ];
  const text = blocks.join('\r\n');
  return { type: isAscii(text) ? 'message/delivery-status' : 'message/global-delivery-status', text };
}

function mailFields(mail: ReportedMail, hostname: string): string {
  return [
    field('Original-Envelope-Id', mail.envelopeId === undefined ? undefined : ascii(mail.envelopeId)),
    field('Reporting-MTA', `dns; ${ascii(hostname)}`),
    field('Received-From-MTA', receivedFrom(mail)),
    field('Arrival-Date', date(mail.arrivalMs)),
    field('OPES-System', ascii(mail.systemEntry)),
    field('OPES-Via', mail.via === undefined ? undefined : ascii(mail.via)),
  ].join('');
}

/** RFC 3464, 2.2.4: the name the client gave itself, and the address it came from as a comment. */
function receivedFrom({ receivedFrom: peer }: ReportedMail): string | undefined {
  if (peer === undefined) return undefined;
  const address = peer.address.replace(/[^0-9A-Fa-f.:]/g, '').slice(0, 45);
  const name = serverName(peer.name);
  if (name === undefined) return address === '' ? undefined : `dns; [${address}]`;
  return address === '' ? `dns; ${name}` : `dns; ${name} ([${address}])`;
}

function recipientFields(recipient: ReportedRecipient, isUtf8: boolean): string {
  const { original, final, action, status, remote, reply, lastAttemptMs, retryUntilMs, cause } = recipient;
  const remoteName = remote === undefined ? undefined : serverName(remote);
  return [
    field('Original-Recipient', original && addressField(original.type, original.address, isUtf8)),
    field('Final-Recipient', addressField('rfc822', final, isUtf8)),
    field('Action', action),
    field('Status', fittingStatus(action, status)),
    field('Remote-MTA', remoteName && `dns; ${remoteName}`),
    field('Diagnostic-Code', reply && `smtp; ${replyText(reply)}`),
    field('Last-Attempt-Date', lastAttemptMs === undefined ? undefined : date(lastAttemptMs)),
    field('Will-Retry-Until', retryUntilMs === undefined || action !== 'delayed' ? undefined : date(retryUntilMs)),
    field('OPES-Cause', cause && causeValue(cause)),
  ].join('');
}

function causeValue({ kind, service, reason }: NonNullable<ReportedRecipient['cause']>): string {
  // The URI stands alone between two semicolons: one of its own would end it.
  const uri = ascii(service).replaceAll(';', '%3B').replaceAll(' ', '%20');
  return `${kind}; ${uri}${
    reason === undefined
      ? ''
      : `;reason=${ascii(reason)
          .replace(/[^a-z-]/g, '')
          .slice(0, 40)}`
  }`;
}

/** RFC 6533, 3: an address beyond ASCII is of type `utf-8`, and in ASCII form where its reader may not know better. */
function addressField(type: string, address: string, isUtf8: boolean): string {
  const name =
    type
      .replace(/[^A-Za-z0-9-]/g, '')
      .slice(0, 64)
      .toLowerCase() || 'unknown';
  if (name === 'utf-8' || (name === 'rfc822' && !isAscii(address)))
    return `utf-8; ${isUtf8 ? visible(address) : utf8InAscii(visible(address))}`;
  return `${name}; ${ascii(address)}`;
}

/** utf-8-addr-xtext (RFC 6533, 3). */
function utf8InAscii(address: string): string {
  return address.replace(/[^\x21-\x7e]|[\\+=]/gu, (char) => {
    const hex = (char.codePointAt(0) ?? 0).toString(16).toUpperCase();
    return `\\x{${hex.padStart(2, '0')}}`;
  });
}

const CLASS: Readonly<Record<Action, RegExp>> = {
  failed: /^[45]\./,
  delayed: /^4\./,
  delivered: /^2\./,
  relayed: /^2\./,
  expanded: /^2\./,
};
const GENERAL: Readonly<Record<Action, string>> = {
  failed: '5.0.0',
  delayed: '4.0.0',
  delivered: '2.0.0',
  relayed: '2.0.0',
  expanded: '2.0.0',
};

/** RFC 3463, 2, of the class that the action has (RFC 3464, 2.3.4). */
function fittingStatus(action: Action, status: string): string {
  return /^[245]\.\d{1,3}\.\d{1,3}$/.test(status) && CLASS[action].test(status) ? status : GENERAL[action];
}
