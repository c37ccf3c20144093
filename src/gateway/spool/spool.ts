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
import { Armed, type Deadline } from '../../base/index.ts';
import { type NewContent, type NewMail, type StoredDelivery, StoreError } from '../../store/index.ts';
import { Content } from '../content/index.ts';
import type { QueueOptions } from '../options.ts';
import { contentInMemory, writeAhead } from './intake.ts';
import type { Acceptance, SpoolPort, SpoolVariant } from './port.ts';
import { mailRow, storedDeliveries, storedMail } from './rows.ts';
import { StoredOctets } from './stored-octets.ts';
import { groupBy, Lease } from './task.ts';
import { Worker } from './worker.ts';
import type { SpoolWorld } from './world.ts';

/** Mails whose octets stay in memory for their first try. More would only wait, and take the room of those that come in. */
const MAX_HOT = 200;
/** Transactions under way or waiting. What is beyond waits in the store. */
const MAX_TASKS = 10_000;
const CLAIM = 500;
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
  readonly #worker: Worker;
  readonly #poll: Armed;
  #fullUntilMs = 0;
  #counted = { queued: 0, held: 0 };
  #polls = 0;
  #hot = 0;
  /** Mails being stored, and a poll under way. */
  #jobs = 0;
  #isPolling = false;
  #pollAgain = false;
  #isClosing = false;
  #whenIdle: (() => void) | undefined;

  constructor(options: QueueOptions, world: SpoolWorld) {
    this.mode = options.mode;
    this.#options = options;
    this.#world = world;
    this.#worker = new Worker(options, world, { onIdle: () => this.#maybeIdle(), onWork: () => this.onDeadline() });
    this.#poll = new Armed(this);
  }

  /** Takes up what is in the store, and from now on whatever comes due. */
  start(): void {
    this.#world.deadlines.arm(this.#poll, 1);
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

  /** Transactions under way or waiting. */
  get load(): number {
    return this.#worker.load;
  }

  /** Whether it is being worked on, whatever became of the claim. */
  isUnderWay(delivery: { readonly mail: string; readonly n: number }): boolean {
    return this.#worker.isUnderWay(delivery);
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
    this.#storeNew(acceptance).then(
      (stored) => {
        this.#fullUntilMs = 0;
        done(undefined);
        this.#beginSafely(acceptance, stored);
        this.#jobDone();
      },
      (error: Error) => {
        if (error instanceof StoreError && error.code === 'full') this.#fullUntilMs = this.#world.wallClock() + FULL_MS;
        done(error);
        this.#jobDone();
      },
    );
  }

  async #storeNew(acceptance: Acceptance): Promise<Stored> {
    const { store, wallClock } = this.#world;
    const times = { ...this.#options, nowMs: wallClock() };
    const mails: NewMail[] = [];
    for (const [at, variant] of acceptance.variants.entries()) {
      const row = mailRow(acceptance, variant, at, times);
      const id = `${row.id}/0`;
      const content: NewContent =
        contentInMemory(id, variant.content) ?? (await writeAhead(store, id, variant.content));
      mails.push({ ...row, contents: [content] });
    }
    const notices = await this.#noticesOf(acceptance, mails);
    await store.commit({ mails: [...mails, ...notices] });
    return { mails, notices };
  }

  /** It is stored, whatever happens here: what cannot be begun now is claimed when its lease ends, or at the next start. */
  #beginSafely(acceptance: Acceptance, { mails, notices }: Stored): void {
    try {
      this.#begin(acceptance, mails);
      if (!this.#isClosing) this.#worker.takeNew(notices);
    } catch (error) {
      this.#world.log.error('spool.fault', { mail: acceptance.id, error: String(error) });
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
      const { content } = acceptance.variants[at] as SpoolVariant;
      const due = storedDeliveries(row).filter(({ hold }) => hold === undefined);
      if (due.length === 0 || this.#isClosing) continue;
      const octets = isHot ? content : this.#stored(`${row.id}/0`, content.size);
      this.#worker.take(storedMail(row), due, octets, lease);
    }
    lease.give();
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

  async #claimDue(): Promise<void> {
    const { store, wallClock } = this.#world;
    if (this.#polls++ % COUNT_EVERY === 0) this.#counted = await store.counters();
    while (this.#worker.load < MAX_TASKS - CLAIM && !this.#isClosing) {
      let isBroken = false;
      const due = await store.claim(wallClock(), CLAIM);
      const expired = await store.claimExpired(wallClock(), CLAIM);
      for (const [mail, deliveries] of groupBy([...due, ...expired], (one) => one.mail))
        await this.#takeUp(mail, deliveries).catch(async (error: Error) => {
          isBroken = true;
          await this.#giveBack(mail, deliveries, error);
        });
      // Before the next poll the same would be claimed again.
      if (isBroken) return;
      if (due.length < CLAIM && expired.length < CLAIM) return;
    }
  }

  async #takeUp(id: string, deliveries: readonly StoredDelivery[]): Promise<void> {
    const { store, log } = this.#world;
    const mail = await store.mail(id);
    for (const [contentId, group] of groupBy(deliveries, ({ content }) => content)) {
      const content = await store.content(contentId);
      if (mail === undefined || content === undefined || this.#isClosing) {
        if (!this.#isClosing)
          log.error('spool.incomplete', {
            mail: id,
            content: contentId,
            fix: 'restore the data directory from its backup',
          });
        await store.release(group.map(({ n }) => ({ mail: id, n })));
      } else {
        const octets = this.#stored(contentId, content.size);
        this.#worker.take(mail, group, octets, new Lease(() => undefined));
      }
    }
  }

  /** What cannot be read now is looked for again by the next poll; the others it was claimed with go on. */
  async #giveBack(mail: string, deliveries: readonly StoredDelivery[], error: Error): Promise<void> {
    const { store, log } = this.#world;
    log.error('spool.claim-failed', { mail, error: error.message });
    await store.release(deliveries.filter((one) => !this.#worker.isUnderWay(one)));
  }

  #jobDone(): void {
    this.#jobs--;
    this.#maybeIdle();
  }

  #maybeIdle(): void {
    if (this.#isClosing && this.#jobs === 0 && this.#worker.isIdle) this.#whenIdle?.();
  }
}
