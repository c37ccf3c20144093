/** `opes queue` and `opes quarantine`: what a running gateway answers for, seen and dealt with. */
import type { QueueAct, QueueEntry, QueueFilter, QueueOrder, QueuePlace } from '../../gateway/index.ts';
import { lowerAscii } from '../../smtp/index.ts';
import { AdminClient, AnswerFailure } from '../admin/client.ts';
import { EXIT, Failure } from '../exit.ts';
import { loadConfig } from '../load.ts';
import { out } from '../output.ts';
import { showCounters, showMail, showQuarantine, showQueue, showReport } from './show-queue.ts';

export interface AdminOptions {
  readonly config?: string;
  readonly json?: boolean;
}

export interface ListOptions extends AdminOptions {
  readonly state: 'queued' | 'held' | 'all';
  readonly to?: string;
}

/** Entries of one answer: a page is shown before the next is asked for. */
const PAGE = 200;

export async function list(options: ListOptions, kind: 'queue' | 'quarantine'): Promise<number> {
  return await withGateway(options, async (client) => {
    const { state, to } = options;
    const filter: QueueFilter = { ...(state !== 'all' && { state }), ...(to !== undefined && { text: to }) };
    const show = options.json === true ? jsonLines : kind === 'queue' ? showQueue : showQuarantine;
    let after: QueuePlace | undefined;
    let count = 0;
    do {
      const page = await client.ask({ do: 'list', filter, limit: PAGE, after });
      if (page.entries.length > 0) await out(show(page.entries, Date.now(), count === 0));
      count += page.entries.length;
      after = page.after;
    } while (after !== undefined);
    if (options.json !== true) await out(await footer(client, options, kind, count));
    return EXIT.ok;
  });
}

/** Nothing must look like nothing at all, and what is held aside must not be forgotten. */
async function footer(client: AdminClient, { state, to }: ListOptions, kind: string, count: number): Promise<string> {
  const what = to === undefined ? '' : ` for ${to}`;
  const empty =
    count > 0
      ? ''
      : kind === 'queue'
        ? `nothing is ${state === 'held' ? 'held' : 'queued'}${what}\n`
        : `nothing is in quarantine${what}\n`;
  if (kind !== 'queue' || state !== 'queued') return empty;
  const { held } = await client.ask({ do: 'counters' });
  return held === 0 ? empty : `${empty}held aside: ${held} (opes quarantine list)\n`;
}

function jsonLines(entries: readonly QueueEntry[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
}

export async function show(id: string, options: AdminOptions & { readonly octets?: boolean }): Promise<number> {
  return await withGateway(options, async (client) => {
    if (options.octets === true) {
      await showOctets(client, id);
      return EXIT.ok;
    }
    const mail = await client.ask({ do: 'show', id });
    await out(options.json === true ? `${JSON.stringify(mail)}\n` : showMail(mail, Date.now()));
    return EXIT.ok;
  });
}

/** The message exactly, and nothing else. */
async function showOctets(client: AdminClient, id: string): Promise<void> {
  if (process.stdout.isTTY)
    throw new Failure('a message may hold what a terminal obeys: write it to a file, or through a pager', EXIT.usage);
  for await (const octets of client.message(id)) await out(octets);
}

const DONE: Readonly<Record<QueueAct, string>> = {
  retry: 'to be tried now',
  hold: 'held',
  release: 'released',
  remove: 'removed',
};

/** Failed where anything that was named was not done. */
export async function act(orders: readonly QueueOrder[], options: AdminOptions): Promise<number> {
  return await withGateway(options, async (client) => {
    let isAllDone = true;
    for (const order of orders) {
      const report = await client.ask({ do: 'act', order }).catch(tellUnknown);
      if (report === undefined) {
        isAllDone = false;
        continue;
      }
      const isBulk = !('id' in order);
      if (options.json === true) await out(`${JSON.stringify(report)}\n`);
      else if (isBulk) await out(showBulk(report.done, report.refused));
      else await out(showReport(report, DONE[order.act]));
      // What is being delivered need not be tried again.
      if (!isBulk && report.refused > 0) isAllDone = false;
    }
    return isAllDone ? EXIT.ok : EXIT.failed;
  });
}

/** One id that leads nowhere does not keep the others from being dealt with. */
function tellUnknown(error: unknown): undefined {
  if (!(error instanceof AnswerFailure) || (error.code !== 'unknown' && error.code !== 'ambiguous')) throw error;
  process.stderr.write(`${error.message}\n`);
}

function showBulk(done: number, underWay: number): string {
  return `to be tried now: ${done}${underWay > 0 ? `; under way already: ${underWay}` : ''}\n`;
}

export async function retry(
  ids: readonly string[],
  options: AdminOptions & { readonly all?: boolean; readonly to?: string },
): Promise<number> {
  const { all, to } = options;
  const ways = [ids.length > 0, all === true, to !== undefined].filter((isGiven) => isGiven).length;
  if (ways !== 1) throw new Failure('say what to retry: an ID or several, --to DOMAIN, or --all', EXIT.usage);
  if (ids.length > 0)
    return await act(
      ids.map((id) => ({ act: 'retry', id })),
      options,
    );
  return await act([{ act: 'retry', destination: to === undefined ? undefined : lowerAscii(to) }], options);
}

/** Ids, or what `all` and `by` (the service that held it) mean together. */
export async function release(
  ids: readonly string[],
  options: AdminOptions & { readonly all?: boolean; readonly by?: string },
): Promise<number> {
  const { all, by } = options;
  const isMany = all === true || by !== undefined;
  if (isMany === ids.length > 0 || (all === true && by !== undefined))
    throw new Failure('say what to release: an ID or several, --by SERVICE, or --all', EXIT.usage);
  const meant = isMany ? await heldBy(by, options) : ids;
  if (meant.length === 0 && options.json !== true)
    await out(`nothing is in quarantine${by === undefined ? '' : ` by ${by}`}\n`);
  return await act(
    meant.map((id) => ({ act: 'release', id, only: 'held' })),
    options,
  );
}

/** All of it is listed before any of it is released: what a service holds again is not released again. */
async function heldBy(service: string | undefined, options: AdminOptions): Promise<readonly string[]> {
  const ids: string[] = [];
  await withGateway(options, async (client) => {
    let after: QueuePlace | undefined;
    do {
      const page = await client.ask({ do: 'list', filter: { state: 'held' }, limit: PAGE, after });
      for (const { id, held } of page.entries) if (service === undefined || held?.service === service) ids.push(id);
      after = page.after;
    } while (after !== undefined);
    return EXIT.ok;
  });
  return ids;
}

export async function counters(options: AdminOptions): Promise<number> {
  return await withGateway(options, async (client) => {
    const found = await client.ask({ do: 'counters' });
    await out(options.json === true ? `${JSON.stringify(found)}\n` : showCounters(found));
    return EXIT.ok;
  });
}

export async function withGateway(
  options: AdminOptions,
  use: (client: AdminClient) => Promise<number>,
): Promise<number> {
  // Notices on the configuration are for whoever starts or checks it.
  const { dataDir } = loadConfig(options.config, () => undefined);
  const client = await AdminClient.connect(dataDir);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}
