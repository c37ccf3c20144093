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
    await this.#group.commit(packUnit(unit, clock() + leaseMs));
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
    const { owner, leaseMs } = this.#options;
    const rows = await this.#ask(this.#queries.claim(nowMs, limit, owner, nowMs + leaseMs));
    return inOrder(rows.map(toDelivery), 'nextMs');
  }

  async claimExpired(nowMs: WallMs, limit: number): Promise<readonly StoredDelivery[]> {
    const { owner, leaseMs } = this.#options;
    const rows = await this.#ask(this.#queries.claimExpired(nowMs, limit, owner, nowMs + leaseMs));
    return inOrder(rows.map(toDelivery), 'expiresMs');
  }

  async take(deliveries: readonly Cursor[], nowMs: WallMs): Promise<readonly StoredDelivery[]> {
    const { owner, leaseMs } = this.#options;
    const taken: StoredDelivery[] = [];
    for (let at = 0; at < deliveries.length; at += TAKEN_TOGETHER) {
      const some = deliveries.slice(at, at + TAKEN_TOGETHER);
      taken.push(...(await this.#ask(this.#queries.take(some, nowMs, owner, nowMs + leaseMs))).map(toDelivery));
    }
    return taken.toSorted((a, b) => a.seq - b.seq || a.n - b.n);
  }

  async renew(deliveries: readonly { readonly mail: string; readonly n: number }[]): Promise<void> {
    this.#mustBeOpen();
    const untilMs = this.#options.clock() + this.#options.leaseMs;
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

  async #ask(statement: Statement): Promise<readonly Row[]> {
    this.#mustBeOpen();
    const [rows] = await this.#engine.run([statement]);
    return rows ?? [];
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new StoreError('closed', 'the store is closed');
  }
}
