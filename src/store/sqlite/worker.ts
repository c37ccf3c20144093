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

const { file, owner, reserveOctets, room } = workerData as Opening;
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
    return { kind: 'applied', ...applier.apply(job.units, Buffer.from(job.octets ?? room, 0, job.length)) };
  } catch (error) {
    return { kind: 'failed', error: said(error, file) };
  }
}

/** Prepared statements by their text; most of what is asked is the same text again. */
const prepared = new Map<string, Database.Statement>();
const MAX_PREPARED = 50;

function run(open: Database.Database, statements: readonly Statement[]): readonly (readonly Row[])[] {
  // One statement is a transaction by itself.
  if (statements.length === 1) return statements.map((statement) => ask(open, statement));
  return open.transaction(() => statements.map((statement) => ask(open, statement))).immediate();
}

function ask(open: Database.Database, { sql, values }: Statement): Row[] {
  let statement = prepared.get(sql);
  if (statement === undefined) {
    if (prepared.size >= MAX_PREPARED) prepared.clear();
    statement = open.prepare(sql);
    prepared.set(sql, statement);
  }
  if (statement.reader) return statement.all(...values) as Row[];
  statement.run(...values);
  return [];
}

parentPort?.on('message', (job: Job) => {
  parentPort?.postMessage(answer(job));
  if (job.kind === 'close') parentPort?.close();
});
