/** The store over either engine: units through the group commit, questions as statements. */
import { ChunkWriter } from './content-writer.ts';
import type { Engine, Row, Statement } from './engine.ts';
import { GroupCommit } from './group-commit.ts';
import { checkLooseId, packUnit } from './pack.ts';
import {
  type ContentWriter,
  type Counters,
  type DeliveryFilter,
  type ListedDelivery,
  type Store,
  type StoredContent,
  type StoredDelivery,
  type StoredMail,
  StoreError,
  type Unit,
  type WallMs,
} from './ports.ts';
import { type Cursor, inOrder, Queries } from './queries.ts';
import { readRange } from './read-range.ts';
import { number, toContent, toCounters, toDelivery, toMail } from './rows.ts';

export interface RecordStoreOptions {
  readonly owner: string;
  readonly leaseMs: number;
  readonly stored: number;
  readonly maxOctets: number;
  readonly clock: () => WallMs;
  /** Called when everything is closed. */
  readonly onClosed: () => void;
}

/** One statement names so many deliveries: SQLite caps the depth of a condition. */
const TAKEN_TOGETHER = 100;

/** A claim whose answer was lost may still be at work on the server: so long it is looked for. */
const DOUBT_MS = 60_000;
/** Mails that come in meanwhile do not wait for more than these. */
const RENEWED_TOGETHER = 500;

/** A loose content older than this belongs to a gateway that is gone. */
export const LOOSE_MS = 24 * 3600 * 1000;

export class RecordStore implements Store {
  readonly leaseMs: number;
  readonly #engine: Engine;
  readonly #options: RecordStoreOptions;
  readonly #queries: Queries;
  readonly #group: GroupCommit;
  /** Leases of claims whose answers were lost, and until when they are looked for. */
  readonly #doubts = new Map<WallMs, WallMs>();
  #lastLease = 0;
  #isClosed = false;

  constructor(engine: Engine, options: RecordStoreOptions) {
    this.leaseMs = options.leaseMs;
    this.#engine = engine;
    this.#options = options;
    this.#queries = new Queries(engine.dialect);
    this.#group = new GroupCommit(engine, options.stored, options.maxOctets);
  }

  async commit(unit: Unit): Promise<void> {
    this.#mustBeOpen();
    const { clock, leaseMs } = this.#options;
    await this.#group.commit(packUnit(unit, evenOf(clock() + leaseMs)));
  }

  writeContent(id: string): ContentWriter {
    this.#mustBeOpen();
    checkLooseId(id);
    return new ChunkWriter(id, (unit) => {
      this.#mustBeOpen();
      return this.#group.commit(unit);
    });
  }

  async claim(nowMs: WallMs, limit: number): Promise<readonly StoredDelivery[]> {
    const { owner } = this.#options;
    const rows = await this.#claim(nowMs, (lease) => [this.#queries.claim(nowMs, limit, owner, lease)]);
    return inOrder(rows, 'nextMs');
  }

  async claimExpired(nowMs: WallMs, limit: number): Promise<readonly StoredDelivery[]> {
    const { owner } = this.#options;
    const rows = await this.#claim(nowMs, (lease) => [this.#queries.claimExpired(nowMs, limit, owner, lease)]);
    return inOrder(rows, 'expiresMs');
  }

  async take(deliveries: readonly Cursor[], nowMs: WallMs): Promise<readonly StoredDelivery[]> {
    const { owner } = this.#options;
    const parts = Array.from({ length: Math.ceil(deliveries.length / TAKEN_TOGETHER) }, (_, i) =>
      deliveries.slice(i * TAKEN_TOGETHER, (i + 1) * TAKEN_TOGETHER),
    );
    const taken = await this.#claim(nowMs, (lease) =>
      parts.map((some) => this.#queries.take(some, nowMs, owner, lease)),
    );
    return taken.toSorted((a, b) => a.seq - b.seq || a.n - b.n);
  }

  async renew(deliveries: readonly { readonly mail: string; readonly n: number }[]): Promise<void> {
    this.#mustBeOpen();
    const untilMs = evenOf(this.#options.clock() + this.#options.leaseMs);
    for (let at = 0; at < deliveries.length; at += RENEWED_TOGETHER) {
      const some = deliveries.slice(at, at + RENEWED_TOGETHER);
      const ops = some.map(({ mail, n }) => ['renew', mail, n, untilMs] as const);
      await this.#group.commit({ ops, octets: [], length: 0, isPatient: false });
    }
  }

  async release(deliveries: readonly { readonly mail: string; readonly n: number }[]): Promise<void> {
    this.#mustBeOpen();
    if (deliveries.length === 0) return;
    const ops = deliveries.map(({ mail, n }) => ['release', mail, n] as const);
    await this.#group.commit({ ops, octets: [], length: 0, isPatient: false });
  }

  async nextDueMs(): Promise<WallMs | undefined> {
    const [row] = await this.#ask(this.#queries.nextDue(this.#options.clock()));
    return row === undefined ? undefined : Number(row['next_ms']);
  }

  async mail(id: string): Promise<StoredMail | undefined> {
    const [row] = await this.#ask(this.#queries.mail(id));
    return row && toMail(row);
  }

  async content(id: string): Promise<StoredContent | undefined> {
    const [row] = await this.#ask(this.#queries.content(id));
    return row && toContent(row);
  }

  async read(contentId: string, from: number, length: number): Promise<Uint8Array> {
    return await readRange(contentId, from, length, this.#queries, (statement) => this.#ask(statement));
  }

  async list(filter: DeliveryFilter, limit: number, after?: Cursor): Promise<readonly ListedDelivery[]> {
    const rows = await this.#ask(this.#queries.list(filter, limit, after));
    const nowMs = this.#options.clock();
    return rows.map((row) => ({ ...toDelivery(row), isClaimed: number(row, 'lease_ms') > nowMs }));
  }

  async counters(): Promise<Counters> {
    this.#mustBeOpen();
    const [sums, held] = await this.#engine.run([this.#queries.counters(), this.#queries.held()]);
    return toCounters(sums?.[0] ?? {}, held?.[0] ?? {});
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#group.drained();
    try {
      await this.#engine.run(this.#queries.giveBack(this.#options.owner, this.#options.clock() - LOOSE_MS));
    } finally {
      await this.#engine.close();
      this.#options.onClosed();
    }
  }

  /**
   * A claim that was done and whose answer is lost would leave its deliveries to nobody until the lease ends. So every
   * claim has a lease of its own, by which the next one finds what is left of it and gives it back.
   */
  async #claim(nowMs: WallMs, statements: (lease: WallMs) => readonly Statement[]): Promise<readonly StoredDelivery[]> {
    await this.#settleDoubts(nowMs);
    // Odd, where those of new deliveries are even.
    const lease = Math.max(evenOf(nowMs + this.#options.leaseMs) + 1, this.#lastLease + 2);
    this.#lastLease = lease;
    try {
      const claimed: StoredDelivery[] = [];
      for (const statement of statements(lease)) claimed.push(...(await this.#ask(statement)).map(toDelivery));
      return claimed;
    } catch (error) {
      this.#doubts.set(lease, nowMs + DOUBT_MS);
      throw error;
    }
  }

  async #settleDoubts(nowMs: WallMs): Promise<void> {
    if (this.#doubts.size === 0) return;
    await this.#ask(this.#queries.giveBackClaims(this.#options.owner, [...this.#doubts.keys()]));
    for (const [lease, untilMs] of this.#doubts) if (nowMs >= untilMs) this.#doubts.delete(lease);
  }

  async #ask(statement: Statement): Promise<readonly Row[]> {
    this.#mustBeOpen();
    const [rows] = await this.#engine.run([statement]);
    return rows ?? [];
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new StoreError('closed', 'the store is closed');
  }
}

function evenOf(ms: WallMs): WallMs {
  return ms - (ms % 2);
}
