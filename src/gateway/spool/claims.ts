/**
 * What is due in the store, claimed and handed to the worker; and the claims themselves: renewed while the work lasts, given back
 * where there is none.
 */
import { Armed, type Deadline } from '../../base/index.ts';
import type { StoredDelivery } from '../../store/index.ts';
import { Content } from '../content/index.ts';
import { isPassing } from './commits.ts';
import { unknownMail } from './damage.ts';
import type { DeliveryKey } from './ends.ts';
import { storedContent } from './stored-octets.ts';
import { groupBy, Lease } from './task.ts';
import type { Worker } from './worker.ts';
import type { SpoolWorld } from './world.ts';

/** Deliveries claimed at once. */
const CLAIM = 500;
/** Mails looked up at once: one after the other, each would wait for the commits between. */
const TAKEN_UP_TOGETHER = 50;
const POLL_MS = 1000;
/** How often what is stored is counted for the figures, in polls. */
const COUNT_EVERY = 5;

export class Claims implements Deadline {
  readonly #world: SpoolWorld;
  readonly #worker: Worker;
  readonly #maxLoad: number;
  readonly #onIdle: () => void;
  readonly #poll: Armed;
  readonly #renewal: Armed;
  /** Claimed, and worked on by nobody. */
  readonly #left: DeliveryKey[] = [];
  #counted = { queued: 0, held: 0 };
  #polls = 0;
  #isPolling = false;
  #pollAgain = false;
  #isStopped = false;

  /** @param maxLoad work under way or waiting, beyond which what is due stays in the store */
  constructor(world: SpoolWorld, worker: Worker, maxLoad: number, onIdle: () => void) {
    this.#world = world;
    this.#worker = worker;
    this.#maxLoad = maxLoad;
    this.#onIdle = onIdle;
    this.#poll = new Armed(this);
    this.#renewal = new Armed({ onDeadline: () => this.#renew() });
  }

  /** Takes up what is in the store, and from now on whatever comes due. */
  start(): void {
    this.#world.deadlines.arm(this.#poll, 1);
    this.#armRenewal();
  }

  stop(): void {
    this.#isStopped = true;
    this.#world.deadlines.release(this.#poll);
    this.#world.deadlines.release(this.#renewal);
  }

  /** No poll is under way. */
  get isIdle(): boolean {
    return !this.#isPolling;
  }

  /** Recipients in the store, as counted a few seconds ago. */
  get counted(): { readonly queued: number; readonly held: number } {
    return this.#counted;
  }

  /** The next poll gives them back, and tries it until it is done. */
  giveBack(deliveries: readonly DeliveryKey[]): void {
    this.#left.push(...deliveries);
  }

  /** Looks for what is due, now. */
  onDeadline(): void {
    if (this.#isStopped) return;
    this.#world.deadlines.arm(this.#poll, POLL_MS);
    // What became due behind the back of a poll is looked for when it has ended.
    this.#pollAgain = this.#isPolling;
    if (this.#isPolling) return;
    this.#isPolling = true;
    this.#claimDue()
      .catch((error: Error) => this.#world.log.error('spool.claim-failed', { error: error.message }))
      .finally(() => {
        this.#isPolling = false;
        if (this.#pollAgain) this.onDeadline();
        if (this.isIdle) this.#onIdle();
      });
  }

  /** A wait for a slow hop, or behind many mails, may be longer than a lease; gateways that share the store must not take it up. */
  #renew(): void {
    if (this.#isStopped) return;
    this.#armRenewal();
    const { store, log } = this.#world;
    const ours = this.#worker.underWay();
    if (ours.length === 0) return;
    store.renew(ours).catch((error: Error) => {
      log.error('spool.renew-failed', { deliveries: ours.length, error: error.message });
    });
  }

  /** Three times a lease: one that fails is made good by the next. */
  #armRenewal(): void {
    this.#world.deadlines.arm(this.#renewal, this.#world.store.leaseMs / 3);
  }

  async #claimDue(): Promise<void> {
    const { store, wallClock } = this.#world;
    if (this.#polls++ % COUNT_EVERY === 0) this.#counted = await store.counters();
    await this.#releaseLeft();
    while (this.#worker.load < this.#maxLoad && !this.#isStopped) {
      const due = await this.#takeUpAll(await store.claim(wallClock(), CLAIM));
      const expired = await this.#takeUpAll(await store.claimExpired(wallClock(), CLAIM));
      // Before the next poll the same would be claimed again.
      if (this.#left.length > 0) break;
      if (due < CLAIM && expired < CLAIM) break;
    }
    await this.#releaseLeft();
  }

  async #takeUpAll(claimed: readonly StoredDelivery[]): Promise<number> {
    const mails = [...groupBy(claimed, (one) => one.mail)];
    for (let at = 0; at < mails.length; at += TAKEN_UP_TOGETHER)
      await Promise.all(mails.slice(at, at + TAKEN_UP_TOGETHER).map(([id, all]) => this.#takeUpSafely(id, all)));
    return claimed.length;
  }

  /**
   * The others it was claimed with go on. Where the store is away it is left for the next poll; what the store cannot read
   * comes back like any delivery that failed, lest it be looked for every second.
   */
  async #takeUpSafely(id: string, deliveries: readonly StoredDelivery[]): Promise<void> {
    const { store, log, wallClock } = this.#world;
    try {
      await this.#takeUp(id, deliveries);
    } catch (error) {
      log.error('spool.claim-failed', { mail: id, error: String(error instanceof Error ? error.message : error) });
      if (isPassing(error)) {
        this.#left.push(...deliveries);
        return;
      }
      const mail = await store.mail(id).catch(() => undefined);
      this.#worker.fault(mail ?? unknownMail(id, wallClock()), deliveries, new Content(), error);
    }
  }

  /** A claim nobody works on would keep its deliveries until its lease ends, so this is tried until it is done. */
  async #releaseLeft(): Promise<void> {
    const left = this.#left.splice(0).filter((one) => !this.#worker.isUnderWay(one));
    if (left.length === 0) return;
    try {
      await this.#world.store.release(left);
    } catch (error) {
      this.#left.push(...left);
      throw error;
    }
  }

  async #takeUp(id: string, deliveries: readonly StoredDelivery[]): Promise<void> {
    const { store, log, wallClock } = this.#world;
    const groups = [...groupBy(deliveries, ({ content }) => content)];
    const [mail, ...contents] = await Promise.all([store.mail(id), ...groups.map(([one]) => store.content(one))]);
    for (const [at, [contentId, group]] of groups.entries()) {
      const content = contents[at];
      if (this.#isStopped) this.#left.push(...group);
      else if (mail === undefined || content === undefined) {
        const fix = 'restore the data directory from its backup';
        log.error('spool.incomplete', { mail: id, content: contentId, fix });
        this.#worker.fault(mail ?? unknownMail(id, wallClock()), group, new Content(), 'a part of it is missing');
      } else {
        const octets = storedContent(store, contentId, content.size);
        this.#worker.take(mail, group, octets, new Lease(() => undefined));
      }
    }
  }
}
