/** Opens a store: its place, its schema, and what a former life left behind. */
import { hostname } from 'node:os';
import type { Engine } from './engine.ts';
import { type Migration, migrate, migrations } from './migrations/index.ts';
import { type Store, StoreError, type WallMs } from './ports.ts';
import { Queries } from './queries.ts';
import { number } from './rows.ts';
import { OwnerNote, prepareDirectory } from './sqlite/directory.ts';
import { SqliteEngine } from './sqlite/engine.ts';
import { LOOSE_MS, RecordStore } from './store.ts';

export interface OpenStoreOptions {
  /** Made with mode 0700 where it is missing. Used by SQLite only. */
  readonly dataDir: string;
  /** `sqlite`, or `postgres://user@host/database`. */
  readonly url: string;
  /** Names this gateway among those that share a database; the same after a restart. SQLite has only one. */
  readonly owner?: string;
  /** How long a claim holds without a word; longer than any attempt to deliver. Default: half an hour. */
  readonly leaseMs?: number;
  /** Octets of all contents; more are refused with `full`, but for reports with their ends. Default: no limit but the disk's. */
  readonly maxOctets?: number;
  /**
   * SQLite: octets of the disk that new mail leaves free, so that the end of a mail can always be written; reports that come with
   * ends leave half of them. Default: 64 MiB, for reports, the log and a copy of it.
   */
  readonly reserveOctets?: number;
  /**
   * Called once where this process has lost the store for good: the thread of SQLite ended. Everything asked of the store is
   * `unreachable` from then on, and only another process can have it again.
   */
  readonly onLost?: (error: StoreError) => void;
  readonly clock?: () => WallMs;
  /** For tests of migration. */
  readonly migrations?: readonly Migration[];
}

/** An attempt may last for the sum of RFC 5321 section 4.5.3.2's timeouts, which is about this. */
const LEASE_MS = 30 * 60 * 1000;

const RESERVE_OCTETS = 64 * 1024 * 1024;

/** Rejects with a `StoreError` that says what to do. */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  if (options.url === 'sqlite') return await openSqlite(options);
  if (/^postgres(?:ql)?:\/\//.test(options.url)) return await openPostgres(options);
  throw new StoreError('failed', `"${options.url}" names no store: write sqlite or postgres://user@host/database`);
}

/** The one owner of an SQLite store. */
const SOLE_OWNER = 'local';

async function openSqlite(options: OpenStoreOptions): Promise<Store> {
  const { dataDir, reserveOctets = RESERVE_OCTETS } = options;
  const file = prepareDirectory(dataDir);
  const note = new OwnerNote(dataDir);
  const opening = { file, owner: SOLE_OWNER, reserveOctets };
  const engine = await SqliteEngine.open(opening, options.onLost ?? (() => undefined)).catch((error: unknown) => {
    throw error instanceof StoreError && error.code === 'owned' ? note.error(dataDir, error) : error;
  });
  note.write();
  return await start(engine, { ...options, owner: SOLE_OWNER }, () => note.remove());
}

/** Gateways that were given no names are told apart by their hosts: claims of a former life are known by it. */
async function openPostgres(options: OpenStoreOptions): Promise<Store> {
  const owner = options.owner ?? hostname();
  // Loaded by those who use it.
  const { PostgresEngine } = await import('./postgres/engine.ts');
  const engine = await PostgresEngine.open(options.url, owner);
  return await start(engine, { ...options, owner }, () => undefined);
}

async function start(
  engine: Engine,
  options: OpenStoreOptions & { owner: string },
  onClosed: () => void,
): Promise<Store> {
  const { owner, clock = Date.now, leaseMs = LEASE_MS, maxOctets = Number.POSITIVE_INFINITY } = options;
  try {
    await migrate(engine, clock(), options.migrations ?? migrations);
    const queries = new Queries(engine.dialect);
    const [, ...results] = await engine.run([
      queries.own(owner),
      ...queries.giveBack(owner, clock() - LOOSE_MS),
      queries.counters(),
    ]);
    const stored = number(results.at(-1)?.[0] ?? {}, 'octets');
    return new RecordStore(engine, { owner, leaseMs, maxOctets, clock, stored, onClosed });
  } catch (error) {
    await engine.close();
    onClosed();
    throw error;
  }
}
