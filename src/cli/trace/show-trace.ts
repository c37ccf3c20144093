/** What is known of a mail, in words. */
import { printable } from '../../base/index.ts';
import { type DeliveryRecord, fateOf, hopSilence } from '../../gateway/index.ts';
import type { TraceReport } from '../admin/protocol.ts';
import { reply, section } from '../check/show-report.ts';
import { shownMs, shownOctets, table } from '../check/table.ts';
import { age, showQueue } from '../queue/show-queue.ts';

const OUTCOMES = {
  relayed: 'relayed: the next hop took it',
  stored: 'stored: this gateway answers for it',
  refused: 'refused',
  tempfailed: 'refused for now',
  aborted: 'given up: the client went away',
} as const;

/** What became of a stored mail, behind its outcome. */
const FATES = {
  stored: '',
  delivered: '; delivered since',
  failed: '; not delivered to all',
  held: '; kept aside',
  removed: '; some of it removed by an operator',
} as const;

export function showTrace({ id, record, entries }: TraceReport, nowMs: number): string {
  const parts = [`mail ${id}\n`];
  if (record !== undefined) parts.push(showRecord(record));
  // What is still there stands below, as it is now.
  const there = new Set(entries.map((one) => one.id));
  const ended = record?.deliveries.filter((one) => !there.has(one.id)) ?? [];
  const rows = ended.map((one) => showDelivery(one, nowMs));
  if (rows.length > 0) parts.push(section('deliveries', rows));
  if (entries.length > 0) parts.push(`\nin the queue\n${showQueue(entries, nowMs, true)}`);
  else if (record?.outcome === 'stored' && fateOf(record) === 'stored')
    parts.push('\nnothing else of it is in the queue any more: the log says how it ended\n');
  return parts.join('');
}

function showDelivery({ to, state, nextHop, said, atMs, nextMs }: DeliveryRecord, nowMs: number): string[] {
  const when = nextMs === undefined || nextMs <= nowMs ? 'now' : `in ${age(nextMs - nowMs)}`;
  const words = {
    delivered: 'delivered',
    reported: 'failed, its sender is told',
    excepted: 'ended, nobody is told',
    removed: 'removed',
    held: 'kept aside',
    queued: `tried again ${when}`,
  };
  return [printable(to), words[state], `${age(nowMs - atMs)} ago`, nextHop ?? '', printable(said, 400)];
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
    ['outcome', OUTCOMES[mail.outcome] + (mail.outcome === 'stored' ? FATES[fateOf(mail)] : '')],
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
        : [[nextHop.address, nextHop.reply === undefined ? hopSilence({ ...mail, nextHop }) : reply(nextHop.reply)]],
    ),
    section('answer to the client', mail.reply === undefined ? [] : [[reply(mail.reply)]]),
  ].join('');
}
