/** From what an operator types to one mail, or one of its recipients. */
import type { DeliveryFilter, ListedDelivery, Store } from '../../store/index.ts';
import type { Finding } from './port.ts';

export interface Target {
  readonly mail: string;
  /** Undefined: all of them. */
  readonly n: number | undefined;
}

/** Ids have at most 200 octets, and numbers of recipients are small. */
const TYPED = /^([\x21-\x22\x24-\x7e]{1,200})(?:#(\d{1,6}))?$/;

/** Mails that are named where an id fits several. */
const MAX_NAMED = 5;

/** The whole id of a mail goes before the beginning of others: `x.1` is not `x.10`. */
export async function findTarget(store: Store, typed: string): Promise<Finding<Target>> {
  const match = TYPED.exec(typed);
  if (match === null) return { missing: 'unknown' };
  const [, id = '', number] = match;
  const n = number === undefined ? undefined : Number(number);
  const [whole] = await store.list({ mail: id }, 1);
  if (whole !== undefined) return await targetIn(store, id, n);
  const mails: string[] = [];
  for await (const { mail } of firsts(store, { mailPrefix: id })) {
    mails.push(mail);
    if (mails.length === MAX_NAMED) break;
  }
  const [only] = mails;
  if (only === undefined) return { missing: 'unknown' };
  return mails.length > 1 ? { missing: 'ambiguous', some: mails } : await targetIn(store, only, n);
}

async function targetIn(store: Store, mail: string, n: number | undefined): Promise<Finding<Target>> {
  const target = { mail, n };
  if (n === undefined) return { found: target };
  const [delivery] = await deliveriesOf(store, target);
  return delivery === undefined ? { missing: 'unknown' } : { found: target };
}

/** The first delivery of each mail. */
async function* firsts(store: Store, filter: DeliveryFilter): AsyncGenerator<ListedDelivery> {
  let after: { seq: number; n: number } | undefined;
  for (;;) {
    const [one] = await store.list(filter, 1, after);
    if (one === undefined) return;
    yield one;
    after = { seq: one.seq, n: Number.MAX_SAFE_INTEGER };
  }
}

/** In order, page by page; each page is there as a whole. */
export async function* pages(
  store: Store,
  filter: DeliveryFilter,
  size: number,
): AsyncGenerator<readonly ListedDelivery[]> {
  let after: ListedDelivery | undefined;
  do {
    const page = await store.list(filter, size, after);
    if (page.length > 0) yield page;
    after = page.length < size ? undefined : page.at(-1);
  } while (after !== undefined);
}

/** Those a target names, at most `limit`. */
export async function deliveriesOf(store: Store, { mail, n }: Target, limit = 1): Promise<readonly ListedDelivery[]> {
  if (n === undefined) return await store.list({ mail }, limit);
  for await (const page of pages(store, { mail }, 500)) {
    const found = page.find((one) => one.n === n);
    if (found !== undefined) return [found];
  }
  return [];
}
