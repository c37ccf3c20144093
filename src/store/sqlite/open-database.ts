/** Opens the database file as the store needs it, alone, and looks whether it is sound. */
import { statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { StoreError } from '../ports.ts';

export const PAGE_OCTETS = 4096;
/** A freed page is written again before it is copied to the database: the log may grow this far before it is (16 MiB). */
const CHECKPOINT_PAGES = 4096;
/** Kept by a log that was longer. */
const LOG_OCTETS = 64 * 1024 * 1024;
const CACHE_KIB = 32 * 1024;
/** The check of a start ends with the table that is at work when this is over; octets are proved when they are read. */
const CHECK_MS = 2000;
/** A table in a file beyond this is not looked at as a whole: reading the file alone would take longer than that. */
const CHECK_OCTETS = 256 * 1024 * 1024;

export function openDatabase(file: string): Database.Database {
  const db = new Database(file);
  try {
    // No other connection, in this process or another; the lock ends with the process, however that ends.
    db.pragma('locking_mode = exclusive');
    db.pragma('busy_timeout = 0');
    db.pragma(`page_size = ${PAGE_OCTETS}`);
    db.pragma('journal_mode = wal');
    db.exec('begin immediate; commit');
    db.pragma('synchronous = full');
    db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    db.pragma(`journal_size_limit = ${LOG_OCTETS}`);
    db.pragma(`cache_size = -${CACHE_KIB}`);
    db.pragma('temp_store = memory');
    db.pragma('trusted_schema = off');
    check(db, file);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function check(db: Database.Database, file: string): void {
  const until = performance.now() + CHECK_MS;
  const isLarge = statSync(file).size > CHECK_OCTETS;
  const tables = db
    .prepare(
      "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name in ('content', 'chunk')",
    )
    .pluck()
    .all() as string[];
  for (const table of tables) {
    if (performance.now() > until || (isLarge && (table === 'content' || table === 'chunk'))) return;
    const found = db.pragma(`quick_check('${table}')`, { simple: true });
    if (found !== 'ok')
      throw new StoreError(
        'corrupt',
        `${file} is damaged (${table}: ${String(found).replaceAll('\n', ' ')}): restore it, or move it away and start with an empty store`,
      );
  }
}
