/**
 * The data directory: ours alone, or we do not start. Mail is private, and a file that others may write is no proof of
 * anything. The database file is never opened here: closing any descriptor of it would drop the locks SQLite holds on it in
 * this process (POSIX record locks).
 */
import { closeSync, lstatSync, mkdirSync, openSync, readFileSync, rmSync, type Stats, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../ports.ts';

/** Makes what is missing; the path of the database file. */
export function prepareDirectory(dataDir: string): string {
  return guarded(dataDir, () => {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const dir = lstatSync(dataDir);
    if (!dir.isDirectory()) throw new StoreError('denied', `${dataDir} is no directory: give the store a directory`);
    mustBeOurs(dataDir, dir, 'chmod 700');
    const file = join(dataDir, 'store.sqlite');
    const found = lstatSync(file, { throwIfNoEntry: false });
    if (found === undefined) closeSync(openSync(file, 'wx', 0o600));
    else if (!found.isFile()) throw new StoreError('denied', `${file} is no file: move it away`);
    else mustBeOurs(file, found, 'chmod 600');
    return file;
  });
}

/** Who holds the directory, for the one who comes second. Only a hint: the lock is the database's. */
export class OwnerNote {
  readonly #path: string;

  constructor(dataDir: string) {
    this.#path = join(dataDir, 'store.pid');
  }

  write(): void {
    writeFileSync(this.#path, `${process.pid}\n`, { mode: 0o600 });
  }

  remove(): void {
    rmSync(this.#path, { force: true });
  }

  /** `owned`, with what is known of the owner. */
  error(dataDir: string, cause: unknown): StoreError {
    let who = 'another gateway';
    try {
      const pid = Number(readFileSync(this.#path, 'utf8'));
      if (Number.isSafeInteger(pid) && pid > 0) who = `another gateway (process ${pid})`;
    } catch {
      // It wrote no note, or we may not read it.
    }
    const advice = 'stop it, or give this one a dataDir of its own';
    return new StoreError('owned', `${who} works in ${dataDir}: ${advice}`, { cause });
  }
}

function mustBeOurs(path: string, { uid, mode }: Stats, fix: string): void {
  const us = process.getuid?.() ?? uid;
  if (uid !== us)
    throw new StoreError('denied', `${path} belongs to user ${uid}, and this is user ${us}: chown ${us} ${path}`);
  if ((mode & 0o077) === 0) return;
  const octal = (mode & 0o777).toString(8);
  throw new StoreError('denied', `${path} is open to others (mode ${octal}), and holds mail: ${fix} ${path}`);
}

function guarded<T>(dataDir: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const kind = code === 'ENOSPC' || code === 'EDQUOT' ? 'full' : 'denied';
    throw new StoreError(kind, `the data directory ${dataDir} cannot be used (${code})`, { cause: error });
  }
}
