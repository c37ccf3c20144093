/**
 * How work on stored mail ends: what it means for each delivery, reports to senders, notices to recipients, and the unit that
 * stores all of it together. An end is stored before it counts (`commits.ts`).
 */
import { type Counter, printable, stackOf } from '../../base/index.ts';
import type { Change, NewMail, StoredMail } from '../../store/index.ts';
import type { Content } from '../content/index.ts';
import type { QueueOptions } from '../options.ts';
import { Commits } from './commits.ts';
import { bareDelivery, bareMail } from './damage.ts';
import { logDeliveries } from './log.ts';
import type { PutOff } from './put-off.ts';
import { Recorder } from './recorder.ts';
import { spoolReplies } from './replies.ts';
import type { QueuedDelivery } from './rows.ts';
import { replyText, type Settlement, settle } from './settle.ts';
import type { Lease, Outcome } from './task.ts';
import { ending, Telling } from './telling.ts';
import type { SpoolWorld } from './world.ts';

/** What is being ended, and what is needed to tell its sender. */
export interface Case {
  readonly mail: StoredMail;
  readonly deliveries: readonly QueuedDelivery[];
  readonly content: Content;
  readonly nextHop: string | undefined;
}

/** A delivery by its name. */
export interface DeliveryKey {
  readonly mail: string;
  readonly n: number;
}

export interface EndsEvents {
  /** What was said of these deliveries is stored: they are worked on no more. */
  onStored(deliveries: readonly DeliveryKey[]): void;
  /** Mails of ours, just stored. */
  onNew(mails: readonly NewMail[]): void;
  /** Nothing is being ended any more. */
  onIdle(): void;
}

/** Deliveries that the line of a fault names. */
const MAX_LISTED = 20;

export class Ends {
  readonly #options: QueueOptions;
  readonly #world: SpoolWorld;
  readonly #events: EndsEvents;
  readonly #counts: Readonly<Record<'delivered' | 'failed' | 'later', Counter>>;
  readonly #commits: Commits;
  readonly #telling: Telling;
  readonly #recorder: Recorder;
  /** Reports and notices being made. */
  #jobs = 0;
  #isGivenUp = false;

  constructor(options: QueueOptions, world: SpoolWorld, events: EndsEvents) {
    this.#options = options;
    this.#world = world;
    this.#events = events;
    this.#commits = new Commits(world, {
      onStored: ({ changes = [], mails = [] }) => {
        this.#recorder.stored(changes);
        events.onStored(changes);
        if (mails.length > 0 && !this.#isGivenUp) events.onNew(mails);
      },
      onIdle: () => this.#maybeIdle(),
    });
    this.#telling = new Telling(options, world);
    this.#recorder = new Recorder(world.book, world.wallClock);
    const { metrics } = world;
    this.#counts = {
      delivered: metrics.counter('opes_deliveries_total', { outcome: 'delivered' }),
      failed: metrics.counter('opes_deliveries_total', { outcome: 'failed' }),
      later: metrics.counter('opes_deliveries_total', { outcome: 'later' }),
    };
  }

  get isIdle(): boolean {
    return this.#jobs === 0 && this.#commits.isIdle;
  }

  /** Nothing is tried again, and nothing new begins from what is stored. */
  abort(): void {
    this.#isGivenUp = true;
    this.#commits.abort();
    this.#telling.abort();
  }

  /** `outcomes` in the order of the deliveries; `lease` is this call's; `putOff`: from where those to come go on. */
  end(about: Case, outcomes: readonly Outcome[], lease: Lease, putOff?: PutOff): void {
    try {
      this.#end(about, outcomes, lease, putOff);
    } catch (error) {
      this.#logFault(about, error);
      this.#endBare(about, outcomes, lease);
    }
  }

  /** Our own fault, or rows that cannot be read: a failure that passes, until their time is over; `lease` is this call's. */
  fault(about: Case, error: unknown, lease: Lease): void {
    this.#logFault(about, error);
    this.#endBare(
      about,
      about.deliveries.map((): Outcome => ({ kind: 'later', reply: spoolReplies.fault })),
      lease,
    );
  }

  /** With no more than can be trusted of the rows. */
  #endBare(about: Case, outcomes: readonly Outcome[], lease: Lease): void {
    const bare = { ...about, mail: bareMail(about.mail), deliveries: about.deliveries.map(bareDelivery) };
    try {
      this.#end(bare, outcomes, lease);
    } catch (error) {
      // Nothing is stored then: they stay ours, and the next start finds them.
      this.#logFault(about, error);
      lease.give();
    }
  }

  #logFault({ mail, deliveries }: Case, error: unknown): void {
    this.#world.log.error('spool.fault', {
      mail: mail.id,
      deliveries: deliveries.slice(0, MAX_LISTED).map(({ n }) => n),
      error: stackOf(error),
    });
  }

  #end(about: Case, outcomes: readonly Outcome[], lease: Lease, putOff?: PutOff): void {
    const { wallClock, random, log } = this.#world;
    const settlement = settle(about.mail, about.deliveries, outcomes, wallClock(), this.#options, random);
    logDeliveries(log, about, settlement, wallClock());
    for (const outcome of ['delivered', 'failed', 'later'] as const)
      if (settlement[outcome].length > 0) this.#counts[outcome].add(settlement[outcome].length);
    if (this.#recorder.isKept(about.mail)) this.#expect(about, settlement);
    const { retries } = settlement;
    const changes = [
      ...settlement.delivered.map(({ delivery }) => ending(delivery, 'delivered')),
      ...(putOff === undefined ? retries : retries.flatMap((retry) => putOff.goingOn(retry))),
    ];
    const contents = putOff === undefined || retries.length === 0 ? [] : putOff.contents;
    if (!wantsReport(settlement)) {
      this.#commits.commit({ contents, changes }, () => lease.give());
      return;
    }
    this.#jobs++;
    void this.#telling.report(about, settlement).then(({ mails, ends }) => {
      this.#commits.commit({ mails, contents, changes: [...changes, ...ends] }, () => lease.give());
      this.#jobDone();
    });
  }

  #expect(about: Case, { delivered, failed, later }: Settlement): void {
    for (const ended of [delivered, failed, later])
      for (const { delivery, reply } of ended) this.#recorder.expect(about, delivery, replyText(reply));
  }

  /** All of it is kept aside, and its recipients are told; `lease` is this call's. */
  hold(about: Case, service: string, reason: string, lease: Lease): void {
    const { mail, deliveries, content } = about;
    if (this.#recorder.isKept(mail)) for (const one of deliveries) this.#recorder.expect(about, one, '');
    const changes = deliveries.map((one) => this.#telling.hold(one, service, reason));
    this.#jobs++;
    void this.#telling.notices(mail, deliveries, content).then((mails) => {
      this.#commits.commit({ mails, changes }, () => lease.give());
      this.#jobDone();
    });
  }

  /** Nobody released it in time. It is in the counters and the log, and nobody is written to: senders of such mail are mostly forged (D19). */
  endHeld(mail: StoredMail, held: readonly QueuedDelivery[]): void {
    const { log } = this.#world;
    for (const { n, forwardPath, hold } of held)
      log.info('quarantine.expired', { mail: mail.id, n, to: printable(forwardPath), service: hold?.service });
    if (this.#recorder.isKept(mail))
      for (const one of held) this.#recorder.expect({ mail, nextHop: undefined }, one, 'nobody released it in time');
    const changes = held.map(({ n }): Change => ({ kind: 'end', mail: mail.id, n, as: 'excepted' }));
    this.#commits.commit({ changes }, () => undefined);
  }

  #jobDone(): void {
    this.#jobs--;
    this.#maybeIdle();
  }

  #maybeIdle(): void {
    if (this.isIdle) this.#events.onIdle();
  }
}

/** Whether a sender may have to be told something. */
function wantsReport({ delivered, failed, delayed }: Settlement): boolean {
  if (failed.length > 0 || delayed.length > 0) return true;
  return delivered.some(({ delivery }) => delivery.params['NOTIFY'] !== undefined);
}
