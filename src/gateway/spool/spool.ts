/**
 * The spool: mail we have answered for, until it is delivered, reported or kept aside (RFC 5321 section 6.1, RFC 4902).
 *
 *     accept --durable--> 250        +--> delivered --------> gone
 *         `--> tasks by destination -+--> failed, reported -> gone
 *     claim (start, retry) -----^    `--> later, back in the store until its time
 *
 * The store holds the truth; what is in memory is work under way on deliveries we have claimed, with their octets in
 * memory where they just came in and there is room, else read from the store. Whatever dies, the claims end with us and
 * the next start takes them up. A mail may be delivered twice where a next hop's 250 was lost, but never not at all.
 */
import { Armed, type Deadline, stackOf } from '../../base/index.ts';
import { type NewMail, type StoredDelivery, StoreError } from '../../store/index.ts';
import { Content } from '../content/index.ts';
import type { QueueOptions } from '../options.ts';
import { isPassing } from './commits.ts';
import { unknownMail } from './damage.ts';
import { Intake } from './intake.ts';
import type { Acceptance, SpoolPort, SpoolVariant } from './port.ts';
import { mailRow, type QueuedDelivery, storedDeliveries, storedMail } from './rows.ts';
import { StoredOctets } from './stored-octets.ts';
import { groupBy, Lease } from './task.ts';
import { Worker } from './worker.ts';
import type { SpoolWorld } from './world.ts';

/** Mails whose octets stay in memory for their first try. More would only wait, and take the room of those that come in. */
const MAX_HOT = 200;
/** Transactions, and runs through services, under way or waiting, beyond which what is due stays in the store. */
const MAX_CLAIMED = 10_000;
/** New mail is begun at once beyond that, so that a slow place does not hold up others, until memory is at stake. */
const MAX_TASKS = 50_000;
const CLAIM = 500;
/** Mails looked up at once: one after the other, each would wait for the commits between. */
const TAKEN_UP_TOGETHER = 50;
const POLL_MS = 1000;
const FULL_MS = 5000;
/** How often what is stored is counted for the figures, in polls. */
const COUNT_EVERY = 5;

/** What one acceptance became, by the order of its variants, and the notices of what is held. */
interface Stored {
  readonly mails: readonly NewMail[];
  readonly notices: readonly NewMail[];
}

export class Spool implements SpoolPort, Deadline {
  readonly mode: 'inline' | 'spool';
  readonly #options: QueueOptions;
  readonly #world: SpoolWorld;
  readonly #maxTasks: number;
  readonly #worker: Worker;
  readonly #poll: Armed;
  readonly #renewal: Armed;
  #fullUntilMs = 0;
  #counted = { queued: 0, held: 0 };
  #polls = 0;
  #hot = 0;
  /** Claimed, and not taken up. */
  readonly #left: { readonly mail: string; readonly n: number }[] = [];
  /** Mails being stored, and a poll under way. */
  #jobs = 0;
  #isPolling = false;
  #pollAgain = false;
  #isClosing = false;
  #whenIdle: (() => void) | undefined;

  /** @param maxTasks transactions and runs under way or waiting, beyond which new mail waits in the store (default 50,000) */
  constructor(options: QueueOptions, world: SpoolWorld, maxTasks = MAX_TASKS) {
    this.mode = options.mode;
    this.#options = options;
    this.#world = world;
    this.#maxTasks = maxTasks;
    this.#worker = new Worker(options, world, {
      onIdle: () => this.#maybeIdle(),
      onWork: () => this.onDeadline(),
      onLeft: (deliveries) => this.giveBack(deliveries),
    });
    this.#poll = new Armed(this);
    this.#renewal = new Armed({ onDeadline: () => this.#renew() });
  }

  /** Takes up what is in the store, and from now on whatever comes due. */
  start(): void {
    this.#world.deadlines.arm(this.#poll, 1);
    this.#armRenewal();
  }

  get hasNotice(): boolean {
    return this.#world.notices !== undefined;
  }

  /** For a while after a mail could not be stored for want of room; the next one finds out whether there is some again. */
  get isFull(): boolean {
    return this.#fullUntilMs > 0 && this.#world.wallClock() < this.#fullUntilMs;
  }

  /** Recipients in the store, as counted a few seconds ago. */
  get stored(): { readonly queued: number; readonly held: number } {
    return this.#counted;
  }

  /** Transactions, and runs through services, under way or waiting. */
  get load(): number {
    return this.#worker.load;
  }

  /** Whether it is being worked on, whatever became of the claim. */
  isUnderWay(delivery: { readonly mail: string; readonly n: number }): boolean {
    return this.#worker.isUnderWay(delivery);
  }

  /** Claimed by us and worked on by nobody: the next poll gives them back, and tries it until it is done. */
  giveBack(deliveries: readonly { readonly mail: string; readonly n: number }[]): void {
    this.#left.push(...deliveries);
  }

  /** Looks for work now: an operator released something, or wants everything tried. */
  wake(): void {
    this.#world.reviveServices();
    this.#worker.revive();
    this.onDeadline();
  }

  /** Nothing new is begun; what is under way ends within `drainMs`, or stays in the store. The store is left open. */
  async close(drainMs: number): Promise<void> {
    this.#isClosing = true;
    this.#world.deadlines.release(this.#poll);
    this.#world.deadlines.release(this.#renewal);
    this.#worker.close();
    if (this.#jobs === 0 && this.#worker.isIdle) return;
    const idle = new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
    const patience = new Armed({ onDeadline: () => this.#giveUp() });
    this.#world.deadlines.arm(patience, drainMs);
    await idle;
    this.#world.deadlines.release(patience);
  }

  #giveUp(): void {
    this.#worker.abort();
    this.#whenIdle?.();
  }

  // --- in -----------------------------------------------------------------------------------------------------------

  accept(acceptance: Acceptance, done: (error: Error | undefined) => void): void {
    this.#jobs++;
    const intake = new Intake(this.#world.store);
    this.#storeNew(acceptance, intake).then(
      (stored) => {
        this.#fullUntilMs = 0;
        this.#tell(acceptance, done, undefined);
        this.#beginSafely(acceptance, stored);
        this.#jobDone();
      },
      (error: Error) => {
        if (error instanceof StoreError && error.code === 'full') this.#fullUntilMs = this.#world.wallClock() + FULL_MS;
        this.#tell(acceptance, done, error);
        void intake.discard(this.#world.log, acceptance.id).then(() => this.#jobDone());
      },
    );
  }

  /** Whatever the dialog makes of it, what is stored goes its way. */
  #tell({ id }: Acceptance, done: (error: Error | undefined) => void, error: Error | undefined): void {
    try {
      done(error);
    } catch (fault) {
      this.#world.log.error('spool.fault', { mail: id, error: stackOf(fault) });
    }
  }

  async #storeNew(acceptance: Acceptance, intake: Intake): Promise<Stored> {
    const { store, wallClock } = this.#world;
    const times = { ...this.#options, nowMs: wallClock() };
    const mails: NewMail[] = [];
    for (const [at, variant] of acceptance.variants.entries()) {
      const row = mailRow(acceptance, variant, at, times);
      const id = `${row.id}/0`;
      mails.push({ ...row, contents: [await intake.take(id, variant.content)] });
    }
    const notices = await this.#noticesOf(acceptance, mails);
    await store.commit({ mails: [...mails, ...notices] });
    return { mails, notices };
  }

  /** It is stored, whatever happens here: what cannot be begun now is claimed when its lease ends, or at the next start. */
  #beginSafely(acceptance: Acceptance, { mails, notices }: Stored): void {
    try {
      this.#begin(acceptance, mails);
      this.#worker.takeNew(notices);
    } catch (error) {
      this.#world.log.error('spool.fault', { mail: acceptance.id, error: stackOf(error) });
    }
  }

  async #noticesOf(acceptance: Acceptance, rows: readonly NewMail[]): Promise<readonly NewMail[]> {
    const { notices, wallClock, log } = this.#world;
    const made: NewMail[] = [];
    for (const [at, row] of rows.entries()) {
      if (notices === undefined || row.deliveries.every(({ hold }) => hold === undefined)) continue;
      const held = storedDeliveries(row).filter(({ hold }) => hold !== undefined);
      const { content } = acceptance.variants[at] as SpoolVariant;
      try {
        made.push(...(await notices.make(storedMail(row), held, content, wallClock())));
      } catch (error) {
        // The mail is held all the same, and an operator finds it.
        log.error('notice.failed', { mail: row.id, error: String(error) });
      }
    }
    return made;
  }

  #begin(acceptance: Acceptance, mails: readonly NewMail[]): void {
    const isHot = this.#hot < MAX_HOT && !this.#isClosing;
    if (isHot) this.#hot++;
    else acceptance.dispose();
    const lease = new Lease(() => {
      if (!isHot) return;
      this.#hot--;
      acceptance.dispose();
    });
    for (const [at, row] of mails.entries()) {
      const { content, recipients } = acceptance.variants[at] as SpoolVariant;
      const queued = storedDeliveries(row).filter(({ hold }) => hold === undefined);
      const due = queued.filter(({ n }) => recipients[n]?.fate.kind !== 'delay');
      if (due.length < queued.length) this.#putOff(queued.filter((one) => !due.includes(one)));
      if (due.length === 0 || this.#isClosing) continue;
      if (this.#worker.load >= this.#maxTasks) {
        this.#left.push(...due);
        continue;
      }
      const octets = isHot ? content : this.#stored(`${row.id}/0`, content.size);
      this.#worker.take(storedMail(row), due, octets, lease);
    }
    lease.give();
  }

  /** A poll claims them when their time has come. */
  #putOff(deliveries: readonly QueuedDelivery[]): void {
    const { store, log } = this.#world;
    this.#jobs++;
    store
      .release(deliveries.map(({ mail, n }) => ({ mail, n })))
      .catch((error: Error) => {
        log.error('spool.claim-failed', { mail: deliveries[0]?.mail, error: error.message });
        this.giveBack(deliveries);
      })
      .finally(() => this.#jobDone());
  }

  #stored(id: string, size: number): Content {
    const content = new Content();
    content.append(new StoredOctets(this.#world.store, id, size), 0, size);
    return content;
  }

  // --- claims -------------------------------------------------------------------------------------------------------

  onDeadline(): void {
    if (this.#isClosing) return;
    this.#world.deadlines.arm(this.#poll, POLL_MS);
    // What became due behind the back of a poll is looked for when it has ended.
    this.#pollAgain = this.#isPolling;
    if (this.#isPolling) return;
    this.#isPolling = true;
    this.#jobs++;
    this.#claimDue()
      .catch((error: Error) => this.#world.log.error('spool.claim-failed', { error: error.message }))
      .finally(() => {
        this.#isPolling = false;
        if (this.#pollAgain) this.onDeadline();
        this.#jobDone();
      });
  }

  /** A wait for a slow hop, or behind many mails, may be longer than a lease; gateways that share the store must not take it up. */
  #renew(): void {
    if (this.#isClosing) return;
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
    while (this.#worker.load < Math.min(MAX_CLAIMED, this.#maxTasks) && !this.#isClosing) {
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
      if (this.#isClosing) this.#left.push(...group);
      else if (mail === undefined || content === undefined) {
        const fix = 'restore the data directory from its backup';
        log.error('spool.incomplete', { mail: id, content: contentId, fix });
        this.#worker.fault(mail ?? unknownMail(id, wallClock()), group, new Content(), 'a part of it is missing');
      } else {
        const octets = this.#stored(contentId, content.size);
        this.#worker.take(mail, group, octets, new Lease(() => undefined));
      }
    }
  }

  #jobDone(): void {
    this.#jobs--;
    this.#maybeIdle();
  }

  #maybeIdle(): void {
    if (this.#isClosing && this.#jobs === 0 && this.#worker.isIdle) this.#whenIdle?.();
  }
}
