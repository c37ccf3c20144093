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
import { Armed, stackOf } from '../../base/index.ts';
import { type NewMail, StoreError } from '../../store/index.ts';
import type { QueueOptions } from '../options.ts';
import { heldAtEntry } from '../record/deliveries.ts';
import { Claims } from './claims.ts';
import { Intake } from './intake.ts';
import type { Acceptance, SpoolPort, SpoolVariant } from './port.ts';
import { mailRow, type QueuedDelivery, storedDeliveries, storedMail } from './rows.ts';
import { storedContent } from './stored-octets.ts';
import { Lease } from './task.ts';
import { Worker } from './worker.ts';
import type { SpoolWorld } from './world.ts';

/**
 * Mails whose octets stay in memory for their first try, instead of being read from the store. Beyond the first number only while half
 * of the memory for contents is free: a burst comes in faster than it leaves, and what is read back costs twice.
 */
const ALWAYS_HOT = 200;
const MAX_HOT = 2000;
/** Transactions, and runs through services, under way or waiting, beyond which what is due stays in the store. */
const MAX_CLAIMED = 10_000;
/** New mail is begun at once beyond that, so that a slow place does not hold up others, until memory is at stake. */
const MAX_TASKS = 50_000;
const FULL_MS = 5000;

/** What one acceptance became, by the order of its variants, and the notices of what is held. */
interface Stored {
  readonly mails: readonly NewMail[];
  readonly notices: readonly NewMail[];
}

export class Spool implements SpoolPort {
  readonly mode: 'inline' | 'spool';
  readonly #options: QueueOptions;
  readonly #world: SpoolWorld;
  readonly #maxTasks: number;
  readonly #worker: Worker;
  readonly #claims: Claims;
  #fullUntilMs = 0;
  #hot = 0;
  /** Mails being stored. */
  #jobs = 0;
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
      onWork: () => this.#claims.onDeadline(),
      onLeft: (deliveries) => this.giveBack(deliveries),
    });
    this.#claims = new Claims(world, this.#worker, Math.min(MAX_CLAIMED, maxTasks), () => this.#maybeIdle());
  }

  /** Takes up what is in the store, and from now on whatever comes due. */
  start(): void {
    this.#claims.start();
  }

  get hasNotice(): boolean {
    return this.#world.notices !== undefined;
  }

  /** For a while after a mail could not be stored for want of room; the next one finds out whether there is some again. */
  get isFull(): boolean {
    if (this.#fullUntilMs === 0) return false;
    const leftMs = this.#fullUntilMs - this.#world.wallClock();
    // More than it began with: the clock was set back.
    return leftMs > 0 && leftMs <= FULL_MS;
  }

  /** Recipients in the store, as counted a few seconds ago. */
  get stored(): { readonly queued: number; readonly held: number } {
    return this.#claims.counted;
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
    this.#claims.giveBack(deliveries);
  }

  /** Looks for work now: an operator released something, or wants everything tried. */
  wake(): void {
    this.#world.reviveServices();
    this.#worker.revive();
    this.#claims.onDeadline();
  }

  /** Nothing new is begun; what is under way ends within `drainMs`, or stays in the store. The store is left open. */
  async close(drainMs: number): Promise<void> {
    this.#isClosing = true;
    this.#claims.stop();
    this.#worker.close();
    if (this.#isIdle) return;
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
      this.#recordHeld(acceptance, mails);
      this.#begin(acceptance, mails);
      this.#worker.takeNew(notices);
    } catch (error) {
      this.#world.log.error('spool.fault', { mail: acceptance.id, error: stackOf(error) });
    }
  }

  #recordHeld({ id }: Acceptance, mails: readonly NewMail[]): void {
    const { book, wallClock } = this.#world;
    if (book?.knows(id) !== true) return;
    const held = mails.flatMap(storedDeliveries).filter(({ hold }) => hold !== undefined);
    if (held.length > 0)
      book.tell(
        id,
        held.map((one) => heldAtEntry(one, wallClock())),
      );
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
    const isHot = this.#mayBeHot;
    if (isHot) this.#hot++;
    else acceptance.dispose();
    const lease = new Lease(() => {
      if (!isHot) return;
      this.#hot--;
      acceptance.dispose();
    });
    try {
      for (const [at, row] of mails.entries()) {
        const { content, recipients } = acceptance.variants[at] as SpoolVariant;
        const queued = storedDeliveries(row).filter(({ hold }) => hold === undefined);
        const due = queued.filter(({ n }) => recipients[n]?.fate.kind !== 'delay');
        if (due.length < queued.length) this.#putOff(queued.filter((one) => !due.includes(one)));
        if (due.length === 0 || this.#isClosing) continue;
        if (this.#worker.load >= this.#maxTasks) {
          this.giveBack(due);
          continue;
        }
        const octets = isHot ? content : storedContent(this.#world.store, `${row.id}/0`, content.size);
        this.#worker.take(storedMail(row), due, octets, lease);
      }
    } finally {
      lease.give();
    }
  }

  get #mayBeHot(): boolean {
    if (this.#isClosing || this.#hot >= MAX_HOT) return false;
    return this.#hot < ALWAYS_HOT || !this.#world.memory.isHalfUsed;
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

  #jobDone(): void {
    this.#jobs--;
    this.#maybeIdle();
  }

  #maybeIdle(): void {
    if (this.#isClosing && this.#isIdle) this.#whenIdle?.();
  }

  get #isIdle(): boolean {
    return this.#jobs === 0 && this.#claims.isIdle && this.#worker.isIdle;
  }
}
