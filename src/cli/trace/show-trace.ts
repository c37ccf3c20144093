/** What is known of a mail, in words. */
import { printable } from '../../base/index.ts';
import type { TraceReport } from '../admin/protocol.ts';
import { reply, section } from '../check/show-report.ts';
import { shownMs, shownOctets, table } from '../check/table.ts';
import { showQueue } from '../queue/show-queue.ts';

const OUTCOMES = {
  relayed: 'relayed: the next hop took it',
  stored: 'stored: this gateway answers for it',
  refused: 'refused',
  tempfailed: 'refused for now',
  aborted: 'given up: the client went away',
} as const;

export function showTrace(id: string, { record, entries }: TraceReport, nowMs: number): string {
  const parts = [`mail ${id}\n`];
  if (record !== undefined) parts.push(showRecord(record));
  if (entries.length > 0) parts.push(`\nin the queue\n${showQueue(entries, nowMs, true)}`);
  else if (record?.outcome === 'stored')
    parts.push('\nnothing of it is in the queue any more: the log says how it ended\n');
  return parts.join('');
}

function showRecord(mail: NonNullable<TraceReport['record']>): string {
  const { client, nextHop } = mail;
  const to = mail.recipients.map(({ address, relayedAs, reply: answer }) => [
    printable(address),
    relayedAs === undefined ? '' : `as ${printable(relayedAs)}`,
    answer === undefined ? '' : reply(answer),
  ]);
  const facts = [
    ['at', `${new Date(mail.atMs).toISOString()}, took ${shownMs(mail.tookMs)}`],
    [
      'client',
      printable(`${client.address} (${client.helo})${client.tls ? ' with TLS' : ''}, listener ${mail.listener}`),
    ],
    [
      'from',
      `<${printable(mail.sender)}>${mail.relayedSender === undefined ? '' : ` as <${printable(mail.relayedSender)}>`}`,
    ],
    ['size', `${shownOctets(mail.sizeBefore)} before, ${shownOctets(mail.sizeAfter)} after`],
    ['outcome', OUTCOMES[mail.outcome]],
  ];
  const calls = mail.calls.map(({ service, verdict, tookMs, endpoint, detail }) => [
    service,
    verdict,
    endpoint === undefined ? '' : shownMs(tookMs),
    printable(detail),
  ]);
  return [
    table(facts),
    section('recipients', to),
    section('services', calls),
    section(
      'edits',
      mail.edits.map(({ service, part, what }) => [service, part, printable(what)]),
    ),
    section(
      'trace',
      mail.trace.map((field) => [printable(field, 1000)]),
    ),
    section(
      'next hop',
      nextHop === undefined
        ? []
        : [[nextHop.address, nextHop.reply === undefined ? 'no answer' : reply(nextHop.reply)]],
    ),
    section('answer to the client', mail.reply === undefined ? [] : [[reply(mail.reply)]]),
  ].join('');
}
