/** What SQLite says, in the words of the store. In the writer thread only: the event loop does without the driver. */
import { SqliteError } from 'better-sqlite3';
import { StoreError } from '../ports.ts';
import type { Said } from './messages.ts';

export function said(error: unknown, file: string): Said {
  if (error instanceof StoreError) return { code: error.code, message: error.message };
  if (!(error instanceof SqliteError)) return { code: 'failed', message: `the store failed: ${String(error)}` };
  const { code, message } = error;
  const why = `${file}: ${message} (${code})`;
  if (code === 'SQLITE_FULL')
    return { code: 'full', message: `${why}: the disk or its quota is full; make room, and mail is taken again` };
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB')
    return {
      code: 'corrupt',
      message: `${why}: the file is damaged; stop the gateway and restore it, or move it away`,
    };
  if (code === 'SQLITE_CONSTRAINT_PRIMARYKEY' || code === 'SQLITE_CONSTRAINT_UNIQUE')
    return { code: 'duplicate', message: `${why}: this id is there already` };
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
    return { code: 'owned', message: `${why}: another program has the file open; stop it` };
  if (['SQLITE_CANTOPEN', 'SQLITE_READONLY', 'SQLITE_PERM', 'SQLITE_AUTH'].some((start) => code.startsWith(start)))
    return { code: 'denied', message: `${why}: this user must be able to read and write it, and the directory` };
  return { code: 'failed', message: why };
}
