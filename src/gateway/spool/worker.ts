/**
 * The work on mail that is stored and claimed: services for what waits for them, next hops for what is ready, and the
 * ends of both. Every end is stored before it counts; where it cannot be, the same is tried until it can.
 */
import { Armed, type Counter, printable } from '../../base/index.ts';
import type { Reply } from '../../smtp/index.ts';
import type { Change, Ending, Json, NewMail, StoredMail, Unit } from '../../store/index.ts';
import { Content, FixedOctets } from '../content/index.ts';
import { type QueueOptions, showNextHop } from '../options.ts';
import { destinationOf } from '../relay/destination.ts';
import { nextTryMs } from './backoff.ts';
import { Destinations } from './destinations.ts';
import { contentInMemory, writeAhead } from './intake.ts';
import { logDeliveries } from './log.ts';
import type { Reports } from './port.ts';
import { type PutOff, storeProgress } from './put-off.ts';
import { spoolReplies } from './replies.ts';
import { deliveryAsSent, mailAsSent, notesOf, type QueuedDelivery, storedDeliveries, storedMail } from './rows.ts';
import { type Settlement, settle } from './settle.ts';
import { type Blocker, groupBy, Lease, type Outcome, type Task } from './task.ts';
import { Transaction, type TransactionResult } from './transaction.ts';
import type { AdaptResult, Refusal, SpoolWorld } from './world.ts';

/** After a unit that says how deliveries ended could not be stored. */
const AGAIN_MS = 2000;

/** What is being ended, and what is needed to tell its sender. */
export interface Case {
  readonly mail: StoredMail;
  readonly deliveries: readonly QueuedDelivery[];
  readonly content: Content;
  readonly nextHop: string | undefined;
}

export interface WorkerEvents {
  /** A piece of work has ended, and none is left. */
  onIdle(): void;
  /** Something in the store has become due. */
  onWork(): void;
}

export class Worker {
  readonly #options: QueueOptions;
  readonly #world: SpoolWorld;
  readonly #events: WorkerEvents;
  readonly #places: Destinations;
  readonly #counts: Readonly<Record<'delivered' | 'failed' | 'later', Counter>>;
  readonly #running = new Map<Task, Transaction>();
  /** What we work on. A claim's lease may end before a long wait does, and the store then hands it out once more. */
  readonly #mine = new Set<string>();
  /** Cases and adaptations under way. */
  #jobs = 0;
  #isGivenUp = false;

  constructor(options: QueueOptions, world: SpoolWorld, events: WorkerEvents) {
    this.#options = options;
    this.#world = world;
    this.#events = events;
    const { metrics } = world;
    this.#counts = {
      delivered: metrics.counter('opes_deliveries_total', { outcome: 'delivered' }),
      failed: metrics.counter('opes_deliveries_total', { outcome: 'failed' }),
      later: metrics.counter('opes_deliveries_total', { outcome: 'later' }),
    };
    this.#places = new Destinations(
      options,
      (task) => this.#run(task),
      (task, untilMs) => this.#defer(task, untilMs),
    );
  }

  /** Transactions under way or waiting. */
  get load(): number {
    return this.#places.waiting + this.#places.active;
  }

  get isIdle(): boolean {
    return this.load === 0 && this.#jobs === 0;
  }

  isUnderWay(delivery: { readonly mail: string; readonly n: number }): boolean {
    return this.#mine.has(keyOf(delivery));
  }

  /** What waits goes back to the store; what is under way ends. */
  close(): void {
    for (const task of this.#places.takeWaiting()) task.lease.give();
  }

  abort(): void {
    this.#isGivenUp = true;
    for (const [task, transaction] of this.#running) {
      transaction.abort();
      this.#places.free(task, false, this.#world.wallClock());
      task.lease.give();
    }
    this.#running.clear();
  }

  /** An operator wants everything tried now. */
  revive(): void {
    this.#places.revive();
  }

  /** Deliveries of one mail with one content. `lease` is the caller's. What is under way already is left alone. */
  take(mail: StoredMail, claimed: readonly QueuedDelivery[], content: Content, lease: Lease): void {
    const deliveries = claimed.filter((one) => !this.#mine.has(keyOf(one)));
    for (const one of deliveries) this.#mine.add(keyOf(one));
    const lanes = groupBy(deliveries, laneOf);
    const refused = lanes.get('refused');
    if (refused !== undefined) {
      const outcomes = refused.map(refusedAtEntry);
      this.#end({ mail, deliveries: refused, content, nextHop: undefined }, outcomes, lease.take());
    }
    const held = lanes.get('held');
    if (held !== undefined) this.#endHeld(mail, held);
    const adapt = lanes.get('adapt');
    if (adapt !== undefined) this.#adapt(mail, adapt, content, lease);
    const relay = lanes.get('relay');
    if (relay !== undefined) this.#relay(mail, relay, content, lease);
  }

  // --- to the next hop ----------------------------------------------------------------------------------------------

  #relay(mail: StoredMail, deliveries: readonly QueuedDelivery[], content: Content, lease: Lease): void {
    for (const same of groupBy(deliveries, (one) => JSON.stringify(notesOf(one).rewritten?.from)).values())
      this.#relaySame(mailAsSent(mail, same[0] as QueuedDelivery), same.map(deliveryAsSent), content, lease);
  }

  /** Deliveries with one reverse-path. */
  #relaySame(mail: StoredMail, deliveries: readonly QueuedDelivery[], content: Content, lease: Lease): void {
    const { dispatcher, wallClock } = this.#world;
    for (const [destination, group] of groupBy(deliveries, (one) => destinationOf(dispatcher, one.destination))) {
      const route = dispatcher.routeOf(group[0]?.destination ?? '');
      if (route !== undefined)
        this.#places.push({ mail, deliveries: group, route, destination, content, lease: lease.take() }, wallClock());
      else {
        const outcomes = group.map((): Outcome => ({ kind: 'later', reply: spoolReplies.noRoute }));
        const about: Case = { mail, deliveries: group, content, nextHop: undefined };
        this.#end(about, outcomes, lease.take());
      }
    }
  }

  #run(task: Task): void {
    this.#running.set(task, new Transaction(this.#world.relay, task, (result) => this.#ran(task, result)));
  }

  #ran(task: Task, { outcomes, isUnreachable }: TransactionResult): void {
    this.#running.delete(task);
    this.#end(caseOf(task), outcomes, task.lease);
    this.#places.free(task, isUnreachable, this.#world.wallClock());
  }

  /** The destination is known to be down: no try is made, and none is counted. */
  #defer(task: Task, untilMs: number): void {
    const { wallClock, random } = this.#world;
    const atMs = Math.max(untilMs, nextTryMs(1, wallClock(), this.#options, random()));
    const outcomes = task.deliveries.map((): Outcome => ({ kind: 'later', reply: spoolReplies.down, atMs }));
    this.#end(caseOf(task), outcomes, task.lease);
  }

  // --- through the services -----------------------------------------------------------------------------------------

  #adapt(mail: StoredMail, deliveries: readonly QueuedDelivery[], content: Content, lease: Lease): void {
    for (const group of groupBy(deliveries, (one) => this.#world.adapt.keyOf(mail, one)).values())
      this.#adaptTogether({ mail, deliveries: group, content, nextHop: undefined }, lease.take());
  }

  #adaptTogether(about: Case, lease: Lease): void {
    this.#jobs++;
    this.#world.adapt.run(about, (result) => {
      // Services that lose their connections because we end say nothing of the mail: the next start runs them again.
      if (!this.#isGivenUp) this.#adapted(about, result, lease);
      else {
        if (result.kind === 'release') result.dispose();
        if (result.kind === 'delay') result.progress.dispose();
        lease.give();
      }
      this.#jobDone();
    });
  }

  #adapted(about: Case, result: AdaptResult, lease: Lease): void {
    const { deliveries } = about;
    switch (result.kind) {
      case 'release':
        this.#released(about, result, lease);
        return;
      case 'refused':
        this.#end(
          about,
          deliveries.map((): Outcome => ({ kind: 'failed', reply: result.reply, by: result.by })),
          lease,
        );
        return;
      case 'later':
        this.#end(
          about,
          deliveries.map((): Outcome => ({ kind: 'later', reply: result.reply, ...(result.by && { by: result.by }) })),
          lease,
        );
        return;
      case 'split':
        for (const group of result.groups) this.#adaptTogether({ ...about, deliveries: group }, lease.take());
        lease.give();
        return;
      case 'delay':
        this.#putOff(about, result, lease);
        return;
      case 'hold':
        this.#holdAll(about, result.service, result.reason, lease);
    }
  }

  #holdAll({ mail, deliveries, content }: Case, service: string, reason: string, lease: Lease): void {
    const changes = deliveries.map((one) => this.#hold(one, service, reason));
    this.#jobs++;
    void this.#notices(mail, deliveries, content).then((mails) => {
      this.#commit({ mails, changes }, (isStored) => {
        lease.give();
        if (isStored && !this.#isGivenUp) this.takeNew(mails);
      });
      this.#jobDone();
    });
  }

  async #notices(mail: StoredMail, held: readonly QueuedDelivery[], content: Content): Promise<readonly NewMail[]> {
    const { notices, wallClock, log } = this.#world;
    if (notices === undefined || held.length === 0) return [];
    try {
      const expiresMs = wallClock() + this.#options.keepMs;
      return await notices.make(
        mail,
        held.map((one) => ({ ...one, expiresMs })),
        content,
        wallClock(),
      );
    } catch (error) {
      log.error('notice.failed', { mail: mail.id, error: String(error) });
      return [];
    }
  }

  #hold({ mail, n }: QueuedDelivery, service: string, reason: string): Change {
    const heldMs = this.#world.wallClock();
    return { kind: 'hold', mail, n, hold: { service, reason, heldMs }, expiresMs: heldMs + this.#options.keepMs };
  }

  /** Tried again from there; that it took place is stored with it. */
  #putOff(all: Case, { atMs, refused, progress }: Extract<AdaptResult, { kind: 'delay' }>, lease: Lease): void {
    const { store, wallClock, log } = this.#world;
    const both = new Lease(() => {
      progress.dispose();
      lease.give();
    });
    // The services that refused some will not be asked about them again.
    const about: Case = { ...all, deliveries: this.#endRefused(all, refused, both) };
    const { mail, deliveries } = about;
    const by: Blocker = { service: progress.service, because: 'delay', isOnContent: false };
    this.#jobs++;
    storeProgress(store, mail, deliveries, progress, `${mail.id}/a${deliveries[0]?.n}.${wallClock()}`).then(
      (putOff) => {
        const outcomes = deliveries.map((): Outcome => ({ kind: 'later', reply: spoolReplies.delayed, atMs, by }));
        this.#end(about, outcomes, both, putOff);
        this.#jobDone();
      },
      (error: Error) => {
        log.error('spool.store-failed', { mail: mail.id, error: error.message });
        const outcomes = deliveries.map((): Outcome => ({ kind: 'later', reply: spoolReplies.unreadable, atMs }));
        this.#end(about, outcomes, both);
        this.#jobDone();
      },
    );
  }

  /** The result is stored before it goes on: a crash must not run services with side effects again. */
  #released(about: Case, result: Extract<AdaptResult, { kind: 'release' }>, lease: Lease): void {
    const both = new Lease(() => {
      result.dispose();
      lease.give();
    });
    const rest = this.#endRefused(about, result.refused, both);
    if (rest.length === 0) {
      both.give();
      return;
    }
    this.#jobs++;
    this.#storeAdapted(about.mail, rest, result).then(
      () => {
        for (const one of rest) this.#mine.delete(keyOf(one));
        both.give();
        this.#events.onWork();
        this.#jobDone();
      },
      (error: Error) => {
        this.#world.log.error('spool.store-failed', { mail: about.mail.id, error: error.message });
        const outcomes = rest.map((): Outcome => ({ kind: 'later', reply: spoolReplies.unreadable }));
        this.#end({ ...about, deliveries: rest }, outcomes, both);
        this.#jobDone();
      },
    );
  }

  /** Recipients that services refused one by one come to their ends; returns the others. */
  #endRefused(about: Case, by: ReadonlyMap<number, Refusal>, lease: Lease): readonly QueuedDelivery[] {
    if (by.size === 0) return about.deliveries;
    const isRefused = ({ n }: QueuedDelivery): boolean => by.has(n);
    const refused = about.deliveries.filter(isRefused);
    const outcomes = refused.map(({ n }): Outcome => {
      const refusal = by.get(n) as Refusal;
      return { kind: 'failed', reply: refusal.reply, ...(refusal.by && { by: refusal.by }) };
    });
    if (refused.length > 0) this.#end({ ...about, deliveries: refused }, outcomes, lease.take());
    return about.deliveries.filter((one) => !isRefused(one));
  }

  /** They are unclaimed then: whoever claims them relays them, and nobody else does. */
  async #storeAdapted(
    mail: StoredMail,
    deliveries: readonly QueuedDelivery[],
    { content, rewritten }: Extract<AdaptResult, { kind: 'release' }>,
  ): Promise<void> {
    const { store, wallClock } = this.#world;
    const first = deliveries[0] as QueuedDelivery;
    // A try that was stored and lost its answer must not meet its own name.
    const id = `${mail.id}/a${first.n}.${wallClock()}`;
    const nextMs = wallClock();
    const stored = contentInMemory(id, content) ?? (await writeAhead(store, id, content));
    await store.commit({
      contents: [{ mail: mail.id, content: stored }],
      changes: deliveries.map((one): Change => {
        const made = rewritten?.get(one.n);
        const before = notesOf(one);
        const all = made && { ...before, rewritten: { ...before.rewritten, ...made } };
        const notes = all && { notes: all as unknown as Json };
        return { kind: 'queue', mail: mail.id, n: one.n, nextMs, lane: 'relay', content: id, ...notes };
      }),
    });
  }

  /** Nobody released it in time. It is in the counters and the log, and nobody is written to: senders of such mail are mostly forged (D19). */
  #endHeld(mail: StoredMail, held: readonly QueuedDelivery[]): void {
    const { log } = this.#world;
    for (const { n, forwardPath, hold } of held)
      log.info('quarantine.expired', { mail: mail.id, n, to: printable(forwardPath), service: hold?.service });
    const changes = held.map(({ n }): Change => ({ kind: 'end', mail: mail.id, n, as: 'excepted' }));
    this.#commit({ changes }, () => undefined);
  }

  // --- ends ---------------------------------------------------------------------------------------------------------

  #end(about: Case, outcomes: readonly Outcome[], lease: Lease, putOff?: PutOff): void {
    const { wallClock, random, log } = this.#world;
    const settlement = settle(about.mail, about.deliveries, outcomes, wallClock(), this.#options, random);
    logDeliveries(log, about, settlement, wallClock());
    for (const outcome of ['delivered', 'failed', 'later'] as const)
      if (settlement[outcome].length > 0) this.#counts[outcome].add(settlement[outcome].length);
    const { retries } = settlement;
    const changes = [
      ...settlement.delivered.map(({ delivery }) => ending(delivery, 'delivered')),
      ...(putOff === undefined ? retries : retries.flatMap((retry) => putOff.goingOn(retry))),
    ];
    const contents = putOff === undefined || retries.length === 0 ? [] : putOff.contents;
    if (!wantsReport(settlement)) {
      this.#commit({ contents, changes }, () => lease.give());
      return;
    }
    this.#jobs++;
    void this.#tell(about, settlement).then(({ mails, excepted, held }) => {
      for (const { delivery, by } of settlement.failed) {
        if (held.has(delivery.n)) changes.push(this.#hold(delivery, by?.service ?? '', 'refused'));
        else changes.push(ending(delivery, excepted.has(delivery.n) ? 'excepted' : 'reported'));
      }
      this.#commit({ mails, contents, changes }, (isStored) => {
        lease.give();
        if (isStored && !this.#isGivenUp) this.takeNew(mails);
      });
      this.#jobDone();
    });
  }

  /** Reports to the sender, notices to recipients of what may not be reported. */
  async #tell(about: Case, settlement: Settlement): Promise<Reports> {
    const reports = await this.#report(about, settlement);
    const held = about.deliveries.filter(({ n }) => reports.held.has(n));
    return { ...reports, mails: [...reports.mails, ...(await this.#notices(about.mail, held, about.content))] };
  }

  /** A report that cannot be made must not keep its mail: it ends as an exception, which is logged and counted. */
  async #report(about: Case, settlement: Settlement): Promise<Reports> {
    try {
      return await this.#world.reports.make({ ...about, ...settlement });
    } catch (error) {
      this.#world.log.error('report.failed', { mail: about.mail.id, error: String(error) });
      const excepted = new Map(settlement.failed.map(({ delivery }) => [delivery.n, 'it cannot be made']));
      return { mails: [], excepted, held: new Set() };
    }
  }

  /** Short mails of our own, just stored. */
  takeNew(mails: readonly NewMail[]): void {
    for (const row of mails) {
      const content = new Content();
      for (const { octets } of row.contents) {
        if (octets === 'written') continue;
        for (const chunk of octets) {
          const fixed = new FixedOctets(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
          content.append(fixed, 0, fixed.size);
        }
      }
      this.take(storedMail(row), storedDeliveries(row), content, new Lease(() => undefined));
    }
  }

  /** What is not stored has not happened: tried until it is. After a crash the mail would be delivered a second time. */
  #commit(unit: Unit, then: (isStored: boolean) => void): void {
    this.#jobs++;
    this.#world.store.commit(unit).then(
      () => {
        for (const change of unit.changes ?? []) this.#mine.delete(keyOf(change));
        then(true);
        this.#jobDone();
      },
      (error: Error) => {
        this.#world.log.error('spool.store-failed', { error: error.message });
        if (this.#isGivenUp) {
          then(false);
          this.#jobDone();
          return;
        }
        // It stays a job until then: whoever closes waits for it as long as for anything else.
        const again = new Armed({
          onDeadline: () => {
            this.#commit(unit, then);
            this.#jobDone();
          },
        });
        this.#world.deadlines.arm(again, AGAIN_MS);
      },
    );
  }

  #jobDone(): void {
    this.#jobs--;
    if (this.isIdle) this.#events.onIdle();
  }
}

function keyOf({ mail, n }: { readonly mail: string; readonly n: number }): string {
  return `${mail} ${n}`;
}

function ending({ mail, n }: QueuedDelivery, as: Ending): Change {
  return { kind: 'end', mail, n, as };
}

/** Whether a sender may have to be told something. */
function wantsReport({ delivered, failed, delayed }: Settlement): boolean {
  if (failed.length > 0 || delayed.length > 0) return true;
  return delivered.some(({ delivery }) => delivery.params['NOTIFY'] !== undefined);
}

function refusedAtEntry(delivery: QueuedDelivery): Outcome {
  const { refused, service } = notesOf(delivery);
  const by = { service: service ?? '', because: 'verdict', isOnContent: true } as const;
  return { kind: 'failed', reply: refused as Reply, by };
}

function caseOf({ mail, deliveries, content, route }: Task): Case {
  return { mail, deliveries, content, nextHop: showNextHop(route.nextHop) };
}

function laneOf(delivery: QueuedDelivery): 'refused' | 'held' | 'adapt' | 'relay' {
  if (delivery.hold !== undefined) return 'held';
  return notesOf(delivery).refused === undefined ? delivery.lane : 'refused';
}
