/**
 * The lane of mail that is stored and still has to see services: runs them, for all deliveries together that meet the same ones,
 * and stores what they made. From there on it is the relay lane's.
 */
import { stackOf } from '../../base/index.ts';
import type { Change, Json, StoredMail } from '../../store/index.ts';
import type { Case, DeliveryKey, Ends } from './ends.ts';
import { Intake } from './intake.ts';
import { spoolReplies } from './replies.ts';
import { notesOf, type QueuedDelivery } from './rows.ts';
import { groupBy, Lease, type Outcome } from './task.ts';
import type { AdaptResult, Refusal, SpoolWorld } from './world.ts';

export interface AdaptingEvents {
  /** What services made of these is stored: they are worked on no more. */
  onStored(deliveries: readonly DeliveryKey[]): void;
  /** Something in the store has become due. */
  onWork(): void;
  /** No service is under way, and nothing is being stored. */
  onIdle(): void;
}

export class Adapting {
  readonly #world: SpoolWorld;
  readonly #ends: Ends;
  readonly #events: AdaptingEvents;
  #jobs = 0;
  #isGivenUp = false;

  constructor(world: SpoolWorld, ends: Ends, events: AdaptingEvents) {
    this.#world = world;
    this.#ends = ends;
    this.#events = events;
  }

  get isIdle(): boolean {
    return this.#jobs === 0;
  }

  /** What services say from now on changes nothing. */
  abort(): void {
    this.#isGivenUp = true;
  }

  /** Deliveries of one mail; `lease` is the caller's. Throws before it has begun any of them. */
  take({ mail, deliveries, content }: Case, lease: Lease): void {
    const groups = groupBy(deliveries, (one) => this.#world.adapt.keyOf(mail, one));
    for (const group of groups.values())
      this.#runTogether({ mail, deliveries: group, content, nextHop: undefined }, lease.take());
  }

  #runTogether(about: Case, lease: Lease): void {
    let isOver = false;
    const over = (then: () => void): void => {
      if (isOver) return;
      isOver = true;
      try {
        then();
      } catch (error) {
        this.#ends.fault(about, error, lease);
      }
      this.#jobDone();
    };
    this.#jobs++;
    try {
      this.#world.adapt.run(about, (result) => over(() => this.#adapted(about, result, lease)));
    } catch (error) {
      over(() => this.#ends.fault(about, error, lease));
    }
  }

  #adapted(about: Case, result: AdaptResult, lease: Lease): void {
    const { deliveries } = about;
    // Services that lose their connections because we end say nothing of the mail: the next start runs them again.
    if (this.#isGivenUp) {
      if (result.kind === 'release') result.dispose();
      lease.give();
      return;
    }
    switch (result.kind) {
      case 'release':
        this.#released(about, result, lease);
        return;
      case 'refused':
        this.#ends.end(
          about,
          deliveries.map((): Outcome => ({ kind: 'failed', reply: result.reply, by: result.by })),
          lease,
        );
        return;
      case 'later':
        this.#ends.end(
          about,
          deliveries.map((): Outcome => ({ kind: 'later', reply: result.reply, ...(result.by && { by: result.by }) })),
          lease,
        );
        return;
      case 'hold':
        this.#ends.hold(about, result.service, result.reason, lease);
    }
  }

  /** The result is stored before it goes on: a crash must not run services with side effects again. */
  #released(about: Case, result: Extract<AdaptResult, { kind: 'release' }>, lease: Lease): void {
    const both = new Lease(() => {
      result.dispose();
      lease.give();
    });
    const isRefused = ({ n }: QueuedDelivery): boolean => result.refused.has(n);
    const refused = about.deliveries.filter(isRefused);
    if (refused.length > 0) {
      const outcomes = refused.map(({ n }): Outcome => {
        const { reply, by } = result.refused.get(n) as Refusal;
        return { kind: 'failed', reply, ...(by && { by }) };
      });
      this.#ends.end({ ...about, deliveries: refused }, outcomes, both.take());
    }
    const rest = about.deliveries.filter((one) => !isRefused(one));
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
      .catch((error: unknown) => {
        this.#world.log.error('spool.fault', { mail: about.mail.id, error: stackOf(error) });
      })
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
        const notes =
          made === undefined ? undefined : { notes: { ...notesOf(one), rewritten: made } as unknown as Json };
        return { kind: 'queue', mail: mail.id, n: one.n, nextMs, lane: 'relay', content: id, ...notes };
      }),
    });
  }

  #jobDone(): void {
    this.#jobs--;
    if (this.#jobs === 0) this.#events.onIdle();
  }
}
