/**
 * The schema, step by step. Each step is applied once, in order, in one transaction with its record. A step that has
 * been released never changes.
 */
import type { Engine, Statement } from '../engine.ts';
import { StoreError } from '../ports.ts';
import type { Dialect } from '../schema.ts';
import { first } from './0001-first.ts';

export interface Migration {
  /** From 1, without gaps. */
  readonly version: number;
  readonly name: string;
  statements(types: Dialect['types']): readonly string[];
}

export const migrations: readonly Migration[] = [first];

/** Tries of a step that another gateway may be doing at the same moment. */
const TRIES = 5;

/** Brings the schema to the last of `steps`; a later one than that is refused. */
export async function migrate(engine: Engine, nowMs: number, steps = migrations): Promise<void> {
  const { types } = engine.dialect;
  await atomically(engine, [
    `create table if not exists migration (
      version ${types.integer} primary key, name text not null, applied_ms ${types.integer} not null)`,
  ]).catch(async (error: unknown) => {
    // Two of `create if not exists` at the same time: PostgreSQL fails one of them.
    if (!(error instanceof StoreError) || error.code !== 'duplicate') throw error;
  });
  for (const step of steps) {
    for (let tries = 1; (await versionOf(engine, steps)) < step.version; tries++) {
      try {
        await atomically(engine, [recordOf(step, nowMs), ...step.statements(types)]);
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'duplicate' || tries === TRIES) throw error;
      }
    }
  }
}

async function versionOf(engine: Engine, steps: readonly Migration[]): Promise<number> {
  const [rows] = await engine.run([{ sql: 'select max(version) as version from migration', values: [] }]);
  const version = Number(rows?.[0]?.['version'] ?? 0);
  const known = steps.length;
  if (version <= known) return version;
  throw new StoreError(
    'newer',
    `the store has schema version ${version}, and this program knows versions up to ${known}: start the later version of ` +
      'the program that wrote it, or give this one a store of its own',
  );
}

function recordOf(step: Migration, nowMs: number): string {
  return `insert into migration (version, name, applied_ms) values (${step.version}, '${step.name}', ${nowMs})`;
}

async function atomically(engine: Engine, texts: readonly string[]): Promise<void> {
  const { lockMigrations } = engine.dialect;
  const all = lockMigrations === undefined ? texts : [lockMigrations, ...texts];
  await engine.run(all.map((sql): Statement => ({ sql, values: [] })));
}
