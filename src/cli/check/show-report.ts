/** What would be done to a mail, for `opes check`: decision, calls, edits, way and answer. */
import { printable } from '../../base/index.ts';
import type { CheckReport, ReplyRecord } from '../../gateway/options.ts';
import { shownMs, shownOctets, table } from './table.ts';

export function showReport({ decision, routes, each, mail }: CheckReport): string {
  const to = mail.recipients.map((one) => `<${one.address}>`).join(', ');
  const size = mail.sizeBefore > 0 ? `, ${shownOctets(mail.sizeBefore)}` : '';
  return [
    `mail from <${mail.sender}> to ${to} by listener ${mail.listener}${size}\n`,
    section(
      'decision',
      decision.map((one) => [
        one.stage,
        one.service,
        one.recipient ?? '',
        one.called ? 'called:' : 'not called:',
        one.because,
      ]),
    ),
    section(
      'calls',
      mail.calls.map((one) => [
        one.service,
        one.verdict,
        one.endpoint === undefined ? '' : shownMs(one.tookMs),
        one.parts.join(' '),
        printable(one.detail),
      ]),
    ),
    section(
      'edits',
      mail.edits.map((one) => [one.service, one.part, printable(one.what)]),
    ),
    section(
      'way',
      routes.map((one) => [one.recipient, '->', place(one), one.kept?.what ?? reply(one.reply)]),
    ),
    section(
      'trace',
      mail.trace.map((field) => [printable(field, 1000)]),
    ),
    section(
      'answer to the client, if the next hop takes it',
      each === undefined ? [[answer(mail.reply, routes)]] : each.map((one) => [one.recipient, reply(one.reply)]),
    ),
  ].join('');
}

function place({ nextHop = 'nowhere', kept }: CheckReport['routes'][number]): string {
  switch (kept?.where) {
    case undefined:
      return nextHop;
    case 'spool':
      return `the spool, then ${nextHop}`;
    case 'quarantine':
      return 'quarantine';
    case 'report':
      return 'a report to the sender';
  }
}

/** Of a mail that nobody would get, the refusals stand in the way. */
function answer(one: ReplyRecord | undefined, routes: CheckReport['routes']): string {
  const isRefused = routes.every((route) => route.reply !== undefined && route.reply.code >= 400);
  return one === undefined && isRefused ? 'none: no recipient is accepted, so no content is asked for' : reply(one);
}

export function section(name: string, rows: readonly (readonly string[])[]): string {
  return `\n${name}\n${rows.length === 0 ? '  none\n' : table(rows)}`;
}

export function reply(one: ReplyRecord | undefined): string {
  if (one === undefined) return 'none yet: no content was asked for';
  const enhanced = one.enhanced === undefined ? '' : `${one.enhanced} `;
  return one.text
    .map((line, at) => `${one.code}${at === one.text.length - 1 ? ' ' : '-'}${enhanced}${printable(line, 500)}`)
    .join('\n');
}
