/** The queue and the quarantine in words and columns, for people. */
import { printable } from '../../base/index.ts';
import type { ActReport, QueuedMail, QueuedRecipient, QueueEntry, Refusal } from '../../gateway/index.ts';
import type { Counters } from '../../store/index.ts';
import { shownOctets, table } from '../check/table.ts';

/** Addresses may be long and are not ours: they get a width, and nothing that moves the cursor. */
const MAX_ADDRESS = 60;
const MAX_TEXT = 300;

const QUEUE_HEAD = ['ID', 'AGE', 'NEXT TRY', 'TRIES', 'FROM', 'TO'];
const QUARANTINE_HEAD = ['ID', 'HELD', 'KEPT', 'BY', 'FROM', 'TO'];

/** `nowMs`: of this machine; the gateway is on it. */
export function showQueue(entries: readonly QueueEntry[], nowMs: number, hasHead: boolean): string {
  const rows = entries.map(({ id, acceptedMs, attempts, from, to, ...entry }) => [
    id,
    age(nowMs - acceptedMs),
    nextTry(entry, nowMs),
    String(attempts),
    address(from),
    address(to),
  ]);
  const lines = table(hasHead ? [QUEUE_HEAD, ...rows] : rows, '').split('\n');
  const notes = entries.map((entry) => note(entry));
  // What was said last stands below its line: it may be long, and most have nothing.
  return lines.flatMap((line, at) => [line, ...(notes[at - (hasHead ? 1 : 0)] ?? [])]).join('\n');
}

export function showQuarantine(entries: readonly QueueEntry[], nowMs: number, hasHead: boolean): string {
  const rows = entries.map(({ id, held, expiresMs, from, to }) => [
    id,
    age(nowMs - (held?.sinceMs ?? nowMs)),
    `${age(expiresMs - nowMs)} more`,
    heldBy(held),
    address(from),
    address(to),
  ]);
  return table(hasHead ? [QUARANTINE_HEAD, ...rows] : rows, '');
}

export function showMail(mail: QueuedMail, nowMs: number): string {
  const session = sessionOf(mail);
  return [
    table(
      [
        ['mail', mail.mail],
        ...(mail.trace === mail.mail ? [] : [['in trace and log', mail.trace]]),
        ['accepted', `${new Date(mail.acceptedMs).toISOString()}, ${age(nowMs - mail.acceptedMs)} ago`],
        ...(session === undefined ? [] : [['came in by', session]]),
        ['from', address(mail.from) + params(mail.params)],
        ['size', shownOctets(mail.octets)],
        ['sha256', mail.sha256],
      ],
      '',
    ),
    ...mail.deliveries.map((one) => `\n${showRecipient(one, nowMs)}`),
    mail.hasMore ? '\n... and more recipients\n' : '',
    '\nheader\n',
    ...headerLines(mail.header).map((line) => `  ${printable(line, 1000)}\n`),
  ].join('');
}

function showRecipient(one: QueuedRecipient, nowMs: number): string {
  const rows = [['to', address(one.to) + params(one.params)]];
  if (one.held !== undefined) {
    rows.push(['held', `for ${age(nowMs - one.held.sinceMs)}, by ${heldBy(one.held)}`]);
    rows.push(['kept', `for ${age(one.expiresMs - nowMs)} more`]);
  } else {
    rows.push(['next try', nextTry(one, nowMs)], ['tries', String(one.attempts)]);
    rows.push(['given up', `in ${age(one.expiresMs - nowMs)}`]);
  }
  rows.push(['still to run', one.lane === 'adapt' ? stillToRun(one) : 'nothing: services are done']);
  if (one.lastReply !== undefined) rows.push(['said last', printable(one.lastReply, MAX_TEXT)]);
  return `${one.id}\n${table(rows)}`;
}

function stillToRun({ notes }: QueuedRecipient): string {
  const { service, isReleased } = (notes ?? {}) as { readonly service?: unknown; readonly isReleased?: unknown };
  const from = typeof service === 'string' ? `services from ${printable(service)} on` : 'its services';
  return isReleased === true ? `${from}, without those that may be bypassed` : from;
}

export function showReport(report: ActReport, act: string): string {
  const lines = report.entries.map(({ id, to, refused }) =>
    refused === undefined
      ? `${id}  ${address(to)}  ${act}\n`
      : `${id}  ${address(to)}  not ${act}: ${REFUSALS[refused]}\n`,
  );
  const untold = report.done + report.refused - report.entries.length;
  return `${lines.join('')}${untold > 0 ? `... and ${untold} more\n` : ''}`;
}

const REFUSALS: Readonly<Record<Refusal, string>> = {
  active: 'it is being delivered now; try again',
  held: 'it is held aside: release or remove it',
  'not-held': 'it is not held aside',
};

export function showCounters(counters: Counters): string {
  const { accepted, delivered, reported, excepted, removed, queued, held } = counters;
  return table(
    [
      ['accepted', accepted, 'recipients of mail this gateway answered for'],
      ['delivered', delivered, 'taken by a next hop'],
      ['reported', reported, 'not delivered, and the sender was told'],
      ['excepted', excepted, 'ended without either, each with a line in the log'],
      ['removed', removed, 'taken out by an operator'],
      ['queued', queued, 'to be delivered'],
      ['held', held, 'kept aside for an operator'],
    ].map(([name, count, what]) => [String(name), String(count).padStart(12), String(what)]),
    '',
  );
}

// --- words --------------------------------------------------------------------------------------------------------

/** In one unit, the largest that is at least one. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 2 * 3600) return `${Math.round(seconds / 60)}m`;
  if (seconds < 2 * 86_400) return `${Math.round(seconds / 3600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
}

function nextTry({ state, nextMs }: Pick<QueueEntry, 'state' | 'nextMs'>, nowMs: number): string {
  if (state === 'active') return 'under way';
  if (state === 'held') return 'held';
  return nextMs <= nowMs ? 'now' : `in ${age(nextMs - nowMs)}`;
}

function note({ held, lastReply }: QueueEntry): string[] {
  if (held !== undefined) return [`    held by ${heldBy(held)}`];
  return lastReply === undefined ? [] : [`    ${printable(lastReply, MAX_TEXT)}`];
}

function heldBy(held: QueueEntry['held']): string {
  if (held === undefined) return '';
  const { service, reason } = held;
  return service === reason ? printable(service) : printable(`${service} (${reason})`);
}

function address(path: string): string {
  if (path === '') return '<>';
  // Kept as octets; what turns the text around or hides in it would make another address of it.
  return printable(Buffer.from(path, 'latin1').toString(), MAX_ADDRESS).replace(/[\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

function params(all: Readonly<Record<string, string | true>>): string {
  const words = Object.entries(all).map(([name, value]) => (value === true ? name : `${name}=${value}`));
  return words.length === 0 ? '' : ` ${printable(words.join(' '), MAX_TEXT)}`;
}

function sessionOf({ facts }: QueuedMail): string | undefined {
  const { session } = (facts ?? {}) as { readonly session?: Readonly<Record<string, string>> };
  if (session === undefined) return undefined;
  const { clientAddress = '', verb = '', helo = '', listener = '' } = session;
  return printable(`${listener} from ${clientAddress} (${verb} ${helo})`, MAX_TEXT);
}

function headerLines(header: string): string[] {
  return header.replace(/\r?\n$/, '').split(/\r?\n/);
}
