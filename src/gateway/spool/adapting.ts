/**
 * The lane of mail that is stored and still has to see services: runs them, for all deliveries together that meet the same ones,
 * and stores what they made. From there on it is the relay lane's.
 */
import { stackOf } from '../../base/index.ts';
import type { Change, Json, StoredMail } from '../../store/index.ts';
import type { Case, DeliveryKey, Ends } from './ends.ts';
import { Intake } from './intake.ts';
import { storeProgress } from './put-off.ts';
import { spoolReplies } from './replies.ts';
import { notesOf, type QueuedDelivery } from './rows.ts';
import { type Blocker, groupBy, Lease, type Outcome } from './task.ts';
import { Turns } from './turns.ts';
import type { AdaptResult, Refusal, SpoolWorld } from './world.ts';

/** Runs at a time that begin at the same service. */
export const MAX_RUNS = 200;

export interface AdaptingEvents {
  /** What services made of these is stored: they are worked on no more. */
  onStored(deliveries: readonly DeliveryKey[]): void;
  /** Something in the store has become due. */
  onWork(): void;
  /** No service is under way, and nothing is being stored. */
  onIdle(): void;
}

interface Run {
  readonly about: Case;
  readonly lease: Lease;
}

export class Adapting {
  readonly #world: SpoolWorld;
  readonly #ends: Ends;
  readonly #events: AdaptingEvents;
  readonly #runs = new Turns<Run>(MAX_RUNS, (run, done) => this.#run(run, done));
  #jobs = 0;
  #isGivenUp = false;

  constructor(world: SpoolWorld, ends: Ends, events: AdaptingEvents) {
    this.#world = world;
    this.#ends = ends;
    this.#events = events;
  }

  get isIdle(): boolean {
    return this.#jobs === 0 && this.load === 0;
  }

  /** Runs under way or waiting. */
  get load(): number {
    return this.#runs.load;
  }

  /** What waits goes back to the store. */
  close(): void {
    for (const { lease } of this.#runs.takeWaiting()) lease.give();
  }

  /** What services say from now on changes nothing. */
  abort(): void {
    this.#isGivenUp = true;
  }

  /** Deliveries of one mail; `lease` is the caller's. Throws before it has begun any of them. */
  take({ mail, deliveries, content }: Case, lease: Lease): void {
    for (const group of this.#groups({ mail, deliveries }))
      this.#runTogether({ mail, deliveries: group, content, nextHop: undefined }, lease.take());
  }

  #groups({ mail, deliveries }: Pick<Case, 'mail' | 'deliveries'>): readonly (readonly QueuedDelivery[])[] {
    return [...groupBy(deliveries, (one) => this.#world.adapt.keyOf(mail, one)).values()];
  }

  #runTogether(about: Case, lease: Lease): void {
    const [first] = about.deliveries;
    this.#runs.push((first && notesOf(first).service) ?? '', { about, lease });
  }

  #run({ about, lease }: Run, done: () => void): void {
    let isOver = false;
    const over = (then: () => void): void => {
      if (isOver) return;
      isOver = true;
      try {
        then();
      } catch (error) {
        this.#ends.fault(about, error, lease);
      }
      done();
      this.#jobDone();
    };
    this.#jobs++;
    try {
      // While it waited, a reload may have given them services that differ.
      const groups = this.#groups(about);
      if (groups.length > 1) over(() => this.#adapted(about, { kind: 'split', groups }, lease));
      else this.#world.adapt.run(about, (result) => over(() => this.#adapted(about, result, lease)));
    } catch (error) {
      over(() => this.#ends.fault(about, error, lease));
    }
  }

  #adapted(about: Case, result: AdaptResult, lease: Lease): void {
    const { deliveries } = about;
    // Services that lose their connections because we end say nothing of the mail: the next start runs them again.
    if (this.#isGivenUp) {
      if (result.kind === 'release') result.dispose();
      if (result.kind === 'delay') result.progress.dispose();
      lease.give();
      return;
    }
    switch (result.kind) {
      case 'release':
        this.#released(about, result, lease);
        return;
      case 'refused': {
        const rest = this.#endRefused(about, result.refused, lease);
        const outcomes = rest.map((): Outcome => ({ kind: 'failed', reply: result.reply, by: result.by }));
        this.#ends.end({ ...about, deliveries: rest }, outcomes, lease);
        return;
      }
      case 'later':
        this.#ends.end(
          about,
          deliveries.map((): Outcome => ({ kind: 'later', reply: result.reply, ...(result.by && { by: result.by }) })),
          lease,
        );
        return;
      case 'split':
        for (const group of result.groups) this.#runTogether({ ...about, deliveries: group }, lease.take());
        lease.give();
        return;
      case 'delay':
        this.#putOff(about, result, lease);
        return;
      case 'hold': {
        const rest = this.#endRefused(about, result.refused, lease);
        this.#ends.hold({ ...about, deliveries: rest }, result.service, result.reason, lease);
      }
    }
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
    const intake = new Intake(store);
    this.#jobs++;
    storeProgress(intake, mail, deliveries, progress, `${mail.id}/a${deliveries[0]?.n}.${wallClock()}`)
      .then(
        (putOff) => {
          const outcomes = deliveries.map((): Outcome => ({ kind: 'later', reply: spoolReplies.delayed, atMs, by }));
          this.#ends.end(about, outcomes, both, putOff);
        },
        (error: Error) => {
          log.error('spool.store-failed', { mail: mail.id, error: error.message });
          const outcomes = deliveries.map((): Outcome => ({ kind: 'later', reply: spoolReplies.unreadable, atMs }));
          this.#ends.end(about, outcomes, both);
          return intake.discard(log, mail.id);
        },
      )
      .catch((error: unknown) => this.#logFault(mail, error))
      .finally(() => this.#jobDone());
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
    if (refused.length > 0) this.#ends.end({ ...about, deliveries: refused }, outcomes, lease.take());
    return about.deliveries.filter((one) => !isRefused(one));
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
    const intake = new Intake(this.#world.store);
    this.#storeAdapted(about.mail, rest, result, intake)
      .then(
        () => {
          this.#events.onStored(rest);
          both.give();
          this.#events.onWork();
        },
        (error: Error) => {
          this.#world.log.error('spool.store-failed', { mail: about.mail.id, error: error.message });
          const outcomes = rest.map((): Outcome => ({ kind: 'later', reply: spoolReplies.unreadable }));
          this.#ends.end({ ...about, deliveries: rest }, outcomes, both);
          return intake.discard(this.#world.log, about.mail.id);
        },
      )
      .catch((error: unknown) => this.#logFault(about.mail, error))
      .finally(() => this.#jobDone());
  }

  /** They are unclaimed then: whoever claims them relays them, and nobody else does. */
  async #storeAdapted(
    mail: StoredMail,
    deliveries: readonly QueuedDelivery[],
    { content, rewritten }: Extract<AdaptResult, { kind: 'release' }>,
    intake: Intake,
  ): Promise<void> {
    const { store, wallClock } = this.#world;
    const first = deliveries[0] as QueuedDelivery;
    // A try that was stored and lost its answer must not meet its own name.
    const id = `${mail.id}/a${first.n}.${wallClock()}`;
    const nextMs = wallClock();
    const stored = await intake.take(id, content);
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

  #logFault({ id }: StoredMail, error: unknown): void {
    this.#world.log.error('spool.fault', { mail: id, error: stackOf(error) });
  }

  #jobDone(): void {
    this.#jobs--;
    if (this.isIdle) this.#events.onIdle();
  }
}
