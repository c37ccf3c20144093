/**
 * Where the octets of a mail are kept, measured before it was decided (docs/decisions/0020): in rows of SQLite, or in a file
 * each with a row that names it. Both are durable when a batch is over, and both lose the mail again afterwards. One thread, no
 * store around it: what differs is the place alone.
 *
 *     node bench/micro-octets.ts [SECONDS]
 */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';

const [seconds = 4] = process.argv.slice(2).map(Number);
const ROUNDS = 3;

interface Keeper {
  /** Durable when it returns. */
  keep(ids: readonly string[], octets: Buffer): void;
  read(id: string): number;
  drop(ids: readonly string[]): void;
  close(): void;
}

function openDatabase(dir: string): Database.Database {
  const db = new Database(join(dir, 'index.sqlite'));
  db.pragma('locking_mode = exclusive');
  db.pragma('journal_mode = wal');
  db.pragma('synchronous = full');
  db.pragma('wal_autocheckpoint = 4096');
  db.exec('create table content (id text not null unique, size integer not null, octets blob)');
  return db;
}

function inRows(dir: string): Keeper {
  const db = openDatabase(dir);
  const insert = db.prepare('insert into content values (?, ?, ?)');
  const select = db.prepare('select octets from content where id = ?').pluck();
  const remove = db.prepare('delete from content where id = ?');
  return {
    keep: db.transaction((ids: readonly string[], octets: Buffer) => {
      for (const id of ids) insert.run(id, octets.length, octets);
    }),
    read: (id) => (select.get(id) as Buffer).length,
    drop: db.transaction((ids: readonly string[]) => {
      for (const id of ids) remove.run(id);
    }),
    close: () => db.close(),
  };
}

function inFiles(dir: string): Keeper {
  const db = openDatabase(dir);
  const folder = join(dir, 'octets');
  mkdirSync(folder);
  const folderFd = openSync(folder, 'r');
  const insert = db.prepare('insert into content values (?, ?, null)');
  const remove = db.prepare('delete from content where id = ?');
  const index = db.transaction((ids: readonly string[], size: number) => {
    for (const id of ids) insert.run(id, size);
  });
  const forget = db.transaction((ids: readonly string[]) => {
    for (const id of ids) remove.run(id);
  });
  return {
    keep: (ids, octets) => {
      const fds = ids.map((id) => {
        const fd = openSync(join(folder, id), 'wx', 0o600);
        writeSync(fd, octets);
        return fd;
      });
      for (const fd of fds) {
        fdatasyncSync(fd);
        closeSync(fd);
      }
      fsyncSync(folderFd);
      index(ids, octets.length);
    },
    read: (id) => readFileSync(join(folder, id)).length,
    drop: (ids) => {
      forget(ids);
      for (const id of ids) unlinkSync(join(folder, id));
    },
    close: () => {
      closeSync(folderFd);
      db.close();
    },
  };
}

function measure(name: string, make: (dir: string) => Keeper, size: number, batch: number): void {
  const dir = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'opes-bench-'));
  const keeper = make(dir);
  const octets = Buffer.alloc(size, 'octets of a mail\r\n');
  let before: readonly string[] = [];
  let n = 0;
  const round = (ms: number, isRead: boolean): string => {
    const from = performance.now();
    const cpu = process.cpuUsage();
    let mails = 0;
    while (performance.now() - from < ms) {
      const ids = Array.from({ length: batch }, () => `mail.${n++}`);
      keeper.keep(ids, octets);
      if (isRead) for (const id of ids) if (keeper.read(id) !== size) throw new Error('short');
      keeper.drop(before);
      before = ids;
      mails += batch;
    }
    const { user, system } = process.cpuUsage(cpu);
    const rate = Math.round((mails / (performance.now() - from)) * 1000);
    return `${`${rate}`.padStart(6)} mails/s ${((user + system) / mails).toFixed(0).padStart(6)} us CPU a mail`;
  };
  round(500, true);
  for (const isRead of [false, true])
    for (let i = 0; i < ROUNDS; i++)
      console.log(
        `${name} ${size / 1024} KiB, ${isRead ? 'read back' : 'kept only'}: ${round((seconds * 1000) / ROUNDS / 2, isRead)}`,
      );
  keeper.close();
  rmSync(dir, { recursive: true });
}

for (const [size, batch] of [
  [10 * 1024, 25],
  [1024 * 1024, 4],
] as const) {
  measure('rows ', inRows, size, batch);
  measure('files', inFiles, size, batch);
}
