/**
 * What an operator does to the queue and the quarantine, over the store and beside the running spool. A delivery is
 * changed only by whoever has it: an act takes its deliveries first, as the spool does, and leaves those that are being
 * delivered alone. So no act is lost under a delivery, and no mail is delivered that was removed.
 */
import { createHash } from 'node:crypto';
import { type Log, printable } from '../../base/index.ts';
import type {
  Change,
  Counters,
  DeliveryFilter,
  ListedDelivery,
  Store,
  StoredDelivery,
  StoredMail,
} from '../../store/index.ts';
import { type DeliveryBook, deliveryRecord } from '../record/deliveries.ts';
import { traceOf } from '../spool/damage.ts';
import type { Spool } from '../spool/spool.ts';
import { changeOf, refusalOf } from './acts.ts';
import { deliveryId, queuedRecipient, queueEntry } from './entries.ts';
import { deliveriesOf, findTarget, pages, type Target } from './find.ts';
import {
  type ActedOn,
  type ActReport,
  type Finding,
  MAX_PAGE,
  type QueueAct,
  type QueueAdmin,
  type QueuedMail,
  type QueueFilter,
  type QueueOrder,
  type QueuePage,
  type QueuePlace,
  type StoredMessage,
} from './port.ts';

/** One read of the store. */
const PORTION = 256 * 1024;
const MAX_HEADER = 64 * 1024;
const NO_MAILS: ReadonlyMap<string, StoredMail> = new Map();

export interface QueueAdminWorld {
  readonly store: Store;
  readonly spool: Pick<Spool, 'wake' | 'isUnderWay' | 'giveBack'>;
  /** The last mails, which are told what becomes of their deliveries. */
  readonly book: DeliveryBook | undefined;
  readonly wallClock: () => number;
  readonly log: Log;
  readonly lifetimeMs: number;
  readonly keepMs: number;
}

export class StoreQueueAdmin implements QueueAdmin {
  readonly #world: QueueAdminWorld;

  constructor(world: QueueAdminWorld) {
    this.#world = world;
  }

  async list({ state, id, text }: QueueFilter, limit: number, after?: QueuePlace): Promise<QueuePage> {
    const filter: DeliveryFilter = {
      ...(state !== undefined && { state }),
      ...(id !== undefined && { mailPrefix: id }),
      ...(text !== undefined && { text }),
    };
    const size = Math.min(limit, MAX_PAGE);
    const page = await this.#world.store.list(filter, size, after);
    const last = page.at(-1);
    const mails = await this.#mailsOf(page);
    return {
      // A mail that ended while it was looked for is no entry any more.
      entries: page.flatMap((one) => {
        const mail = mails.get(one.mail);
        return mail === undefined ? [] : [queueEntry(this.#seen(one), mail)];
      }),
      after: last === undefined || page.length < size ? undefined : { seq: last.seq, n: last.n },
    };
  }

  async show(id: string): Promise<Finding<QueuedMail>> {
    const { store } = this.#world;
    const target = await findTarget(store, id);
    if ('missing' in target) return target;
    const deliveries = await deliveriesOf(store, target.found, MAX_PAGE + 1);
    const mail = await store.mail(target.found.mail);
    const content = await store.content(deliveries[0]?.content ?? '');
    if (mail === undefined || content === undefined) return { missing: 'unknown' };
    const recipients = deliveries.slice(0, MAX_PAGE).map((one) => queuedRecipient(this.#seen(one), mail));
    return {
      found: {
        mail: mail.id,
        trace: recipients[0]?.trace ?? mail.id,
        acceptedMs: mail.acceptedMs,
        from: mail.reversePath,
        params: mail.params,
        facts: mail.facts,
        deliveries: recipients,
        hasMore: deliveries.length > MAX_PAGE,
        ...(await this.#fingerprint(content.id, content.size)),
      },
    };
  }

  async message(id: string): Promise<Finding<StoredMessage>> {
    const { store } = this.#world;
    const target = await findTarget(store, id);
    if ('missing' in target) return target;
    const [delivery] = await deliveriesOf(store, target.found);
    const content = await store.content(delivery?.content ?? '');
    if (content === undefined) return { missing: 'unknown' };
    return { found: { octets: content.size, chunks: this.#chunks(content.id, content.size) } };
  }

  async counters(): Promise<Counters> {
    return await this.#world.store.counters();
  }

  async act(order: QueueOrder): Promise<Finding<ActReport>> {
    const report = { done: 0, refused: 0, entries: [] as ActedOn[] };
    const scope = await this.#scope(order);
    if ('missing' in scope) return scope;
    const only = 'id' in order ? order.only : undefined;
    const { n } = scope.found;
    for await (const page of pages(this.#world.store, scope.found.filter, MAX_PAGE)) {
      const meant = n === undefined ? page : page.filter((one) => one.n === n);
      for (const entry of await this.#actOn(order, only, meant)) {
        if (entry.refused === undefined) report.done++;
        else report.refused++;
        if (report.entries.length < MAX_PAGE) report.entries.push(entry);
      }
    }
    // It came to its end since it was found.
    if ('id' in order && report.done + report.refused === 0) return { missing: 'unknown' };
    // Everything at once would be a line for each of very many.
    if (!('id' in order)) this.#world.log.info('operator', { ...order, done: report.done, refused: report.refused });
    if (report.done > 0 && (order.act === 'retry' || order.act === 'release')) this.#world.spool.wake();
    return { found: report };
  }

  async #scope(order: QueueOrder): Promise<Finding<{ filter: DeliveryFilter; n: Target['n'] }>> {
    if (!('id' in order)) {
      const { destination } = order;
      const filter = { state: 'queued', ...(destination !== undefined && { destination }) } as const;
      return { found: { filter, n: undefined } };
    }
    const target = await findTarget(this.#world.store, order.id);
    if ('missing' in target) return target;
    return { found: { filter: { mail: target.found.mail }, n: target.found.n } };
  }

  /** All of `deliveries` that are free and fit, in one unit. */
  async #actOn(order: QueueOrder, only: 'held' | undefined, deliveries: readonly ListedDelivery[]): Promise<ActedOn[]> {
    const { act } = order;
    const { store, spool, book, wallClock, lifetimeMs, keepMs } = this.#world;
    // A try may outlast its claim.
    const isFit = (one: StoredDelivery): boolean => refusalOf(act, only, one) === undefined && !spool.isUnderWay(one);
    const taken = await store.take(deliveries.filter(isFit), wallClock());
    // They may have changed since they were listed.
    const fit = taken.filter(isFit);
    const times = { nowMs: wallClock(), lifetimeMs, keepMs };
    const changes = fit.map((one) => changeOf(act, one, times));
    // What is only to be tried sooner is no news; a mail that is removed is not found any more.
    let mails = NO_MAILS;
    try {
      if (book !== undefined && act !== 'retry') mails = await this.#mailsOf(fit);
      await store.commit({ changes });
    } catch (error) {
      await this.#release(taken);
      throw error;
    }
    await this.#release(taken.filter((one) => !fit.includes(one)));
    if ('id' in order) for (const one of fit) this.#tell(act, one);
    if (mails.size > 0) this.#record(act, fit, changes, mails);
    const done = new Set(fit.map(deliveryId));
    return deliveries.map((one) => {
      const id = deliveryId(one);
      const refused = done.has(id) ? undefined : (refusalOf(act, only, one) ?? 'active');
      return { id, to: one.forwardPath, refused };
    });
  }

  #record(
    act: QueueAct,
    deliveries: readonly StoredDelivery[],
    changes: readonly Change[],
    mails: ReadonlyMap<string, StoredMail>,
  ): void {
    const { book, wallClock } = this.#world;
    for (const [at, change] of changes.entries()) {
      const mail = mails.get(change.mail);
      const facts = {
        to: deliveries[at]?.forwardPath ?? '',
        nextHop: undefined,
        said: act === 'release' ? 'released by an operator' : 'by an operator',
      };
      if (mail !== undefined) book?.tell(traceOf(mail), [deliveryRecord(change, facts, wallClock())]);
    }
  }

  /** What cannot be given back now is the spool's to give back: else nobody would work on it until its claim ends. */
  async #release(taken: readonly StoredDelivery[]): Promise<void> {
    const { store, spool } = this.#world;
    await store.release(taken).catch(() => spool.giveBack(taken));
  }

  /** Whoever takes mail out, or lets it out, does it under the log's eyes. */
  #tell(act: QueueAct, { mail, n, forwardPath, hold }: StoredDelivery): void {
    this.#world.log.info('operator', {
      act,
      mail,
      n,
      to: printable(forwardPath, 400),
      heldBy: hold === undefined ? undefined : `${hold.service}: ${hold.reason}`,
    });
  }

  #seen(delivery: ListedDelivery): ListedDelivery {
    return this.#world.spool.isUnderWay(delivery) ? { ...delivery, isClaimed: true } : delivery;
  }

  async #mailsOf(deliveries: readonly StoredDelivery[]): Promise<ReadonlyMap<string, StoredMail>> {
    const ids = new Set(deliveries.map(({ mail }) => mail));
    const mails = await Promise.all([...ids].map((id) => this.#world.store.mail(id)));
    return new Map(mails.flatMap((mail) => (mail === undefined ? [] : [[mail.id, mail] as const])));
  }

  async #fingerprint(content: string, octets: number): Promise<Pick<QueuedMail, 'header' | 'octets' | 'sha256'>> {
    const hash = createHash('sha256');
    let start: Buffer | undefined;
    for await (const chunk of this.#chunks(content, octets)) {
      hash.update(chunk);
      start ??= Buffer.from(chunk.subarray(0, MAX_HEADER));
    }
    return { octets, sha256: hash.digest('hex'), header: headerOf(start ?? Buffer.alloc(0)) };
  }

  async *#chunks(content: string, octets: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < octets; at += PORTION)
      yield await this.#world.store.read(content, at, Math.min(PORTION, octets - at));
  }
}

function headerOf(start: Buffer): string {
  const end = start.indexOf('\r\n\r\n');
  return start.toString('utf8', 0, end < 0 ? start.length : end + 2);
}
