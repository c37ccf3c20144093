/**
 * The writer thread: one connection, which has the database file to itself. It does what it is told in order, and waits for
 * the disk where nobody else waits with it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type Database from 'better-sqlite3';
import type { Row, Statement } from '../engine.ts';
import { Applier } from './apply.ts';
import { said } from './errors.ts';
import type { Answer, Job, Opening } from './messages.ts';
import { openDatabase } from './open-database.ts';

const { file, owner, reserveOctets } = workerData as Opening;
let db: Database.Database | undefined;
let applier: Applier | undefined;

function answer(job: Job): Answer {
  try {
    if (job.kind === 'open') {
      db = openDatabase(file);
      return { kind: 'rows', rows: [] };
    }
    if (db === undefined) throw new Error('not open');
    if (job.kind === 'close') {
      db.close();
      return { kind: 'rows', rows: [] };
    }
    if (job.kind === 'run') return { kind: 'rows', rows: run(db, job.statements) };
    applier ??= new Applier(db, owner, reserveOctets);
    return { kind: 'applied', ...applier.apply(job.units, Buffer.from(job.octets)) };
  } catch (error) {
    return { kind: 'failed', error: said(error, file) };
  }
}

function run(open: Database.Database, statements: readonly Statement[]): readonly (readonly Row[])[] {
  return open
    .transaction(() =>
      statements.map(({ sql, values }) => {
        const statement = open.prepare(sql);
        if (statement.reader) return statement.all(...values) as Row[];
        statement.run(...values);
        return [];
      }),
    )
    .immediate();
}

parentPort?.on('message', (job: Job) => {
  parentPort?.postMessage(answer(job));
  if (job.kind === 'close') parentPort?.close();
});
