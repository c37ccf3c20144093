/**
 * PostgreSQL: a connection for batches and one for everything else. A batch takes two writes: what it does, then its count with the
 * commit. Where the answer to the commit is lost, the number of the batch beside the counters says, as soon as the server
 * is back, whether it was done.
 */
import { randomUUID } from 'node:crypto';
import type { QueryResult } from 'pg';
import type { Batch, Done, Engine, Op, Row, Statement } from '../engine.ts';
import { StoreError } from '../ports.ts';
import { postgresDialect } from '../schema.ts';
import { Connection } from './connection.ts';
import { isAway, isLost, isToBeTriedAgain, toStoreError } from './errors.ts';
import { areEntangled, CHANGES, Plan, queryOf } from './plan.ts';

/** Of a batch that another transaction stood in the way of. */
const TRIES = 5;

/** A batch whose fate is not known, and whose callers were told that it failed. */
interface Doubt {
  readonly id: string;
  /** To be taken back, if it was done. */
  readonly mails: readonly string[];
}

export class PostgresEngine implements Engine {
  readonly dialect = postgresDialect;
  readonly #owner: string;
  readonly #writer: Connection;
  readonly #reader: Connection;
  #refused: Doubt | undefined;

  private constructor(url: string, owner: string) {
    this.#owner = owner;
    this.#writer = new Connection(url, `opes ${owner} writer`);
    this.#reader = new Connection(url, `opes ${owner} reader`);
  }

  static async open(url: string, owner: string): Promise<PostgresEngine> {
    const engine = new PostgresEngine(url, owner);
    try {
      await engine.#writer.ready();
      return engine;
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  room(octets: number): Buffer {
    return Buffer.allocUnsafeSlow(octets);
  }

  async commit({ units, octets }: Batch): Promise<Done> {
    const failure = areEntangled(units) ? 'one by one' : await this.#unit(units, octets);
    if (failure === undefined) return { errors: new Map(), stored: this.#stored };
    const errors = new Map<number, StoreError>();
    const isOver = failure !== 'one by one' && (units.length === 1 || isAway(failure));
    for (const [i, unit] of units.entries()) {
      // One of them is to blame; without it, or them, the others are done.
      const own = isOver ? failure : await this.#unit([unit], octets);
      if (own !== undefined) errors.set(i, own);
    }
    return { errors, stored: this.#stored };
  }

  async run(statements: readonly Statement[]): Promise<readonly (readonly Row[])[]> {
    try {
      await this.#reader.ready();
      const queries = statements.map(({ sql: text, values }) => ({ text, values }));
      const isOne = queries.length === 1;
      const results = await this.#reader.query(isOne ? queries : [queryOf('begin'), ...queries, queryOf('commit')]);
      return (isOne ? results : results.slice(1, -1)).map(({ rows }) => rows as Row[]);
    } catch (error) {
      const failure = toStoreError(error, this.#reader.where);
      if (!isAway(failure)) await this.#rollBack(this.#reader);
      throw failure;
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#writer.close(), this.#reader.close()]);
  }

  #stored = 0;

  /** One transaction, tried until it is known to be done or not. Where that cannot be found out, it is `unreachable`, whatever keeps us away. */
  async #unit(units: readonly (readonly Op[])[], octets: Buffer): Promise<StoreError | undefined> {
    const id = randomUUID();
    let isInDoubt = false;
    for (let tries = 1; ; tries++) {
      try {
        await this.#writer.ready();
        await this.#settleRefused();
        if (isInDoubt && (await this.#lastBatch()) === id) return undefined;
        isInDoubt = false;
        const plan = new Plan(units, octets, this.#owner);
        const [, ...results] = await this.#writer.query([queryOf('begin'), ...plan.queries]);
        plan.judge(results);
        await this.#finish(id, plan).catch((error: unknown) => {
          isInDoubt = isLost(error);
          throw error;
        });
        return undefined;
      } catch (error) {
        const failure = toStoreError(error, this.#writer.where);
        if (!isAway(failure)) await this.#rollBack(this.#writer);
        if (tries < TRIES && (isLost(error) ? error instanceof StoreError === false : isToBeTriedAgain(error)))
          continue;
        if (isInDoubt) this.#refused = { id, mails: newMailsOf(units) };
        // Also behind an earlier one that is not taken back yet: whoever looks for a mail of that one would find it.
        if (this.#refused === undefined || failure.code === 'unreachable') return failure;
        return new StoreError('unreachable', failure.message, { cause: failure });
      }
    }
  }

  async #finish(id: string, { tally }: Plan): Promise<void> {
    const { accepted, delivered, reported, excepted, removed, octets } = tally.sums;
    const counted = [accepted, delivered, reported, excepted, removed, octets];
    const [, stored, commit] = await this.#writer.query([
      queryOf('count', [this.#owner, id, ...counted]),
      queryOf('stored'),
      queryOf('commit'),
    ]);
    // A transaction that cannot be committed is rolled back without an error.
    if (commit?.command !== 'COMMIT') throw new StoreError('failed', `${this.#writer.where}: the commit was refused`);
    this.#stored = numberOf(stored, 'stored');
  }

  async #lastBatch(): Promise<string> {
    const [result] = await this.#writer.query([queryOf('lastBatch', [this.#owner])]);
    return String((result?.rows[0] as Row | undefined)?.['batch']);
  }

  /**
   * A mail whose client was told that it failed must not be there: it is taken back. A unit that changes deliveries, too, tells of
   * what has happened, and stands if it was done: an end without the report beside it would tell nobody (decision 0053).
   */
  async #settleRefused(): Promise<void> {
    if (this.#refused === undefined) return;
    const { id, mails } = this.#refused;
    if ((await this.#lastBatch()) === id && mails.length > 0) {
      const [, , deliveries, contents] = await this.#writer.query([
        queryOf('begin'),
        queryOf('lockMails', [mails]),
        queryOf('undoDeliveries', [mails]),
        queryOf('endMails', [mails]),
      ]);
      const octets = ((contents?.rows ?? []) as Row[]).reduce((sum, row) => sum + Number(row['size']), 0);
      const counted = [-(deliveries?.rowCount ?? 0), 0, 0, 0, 0, -octets];
      await this.#writer.query([queryOf('count', [this.#owner, '', ...counted]), queryOf('commit')]);
    }
    this.#refused = undefined;
  }

  async #rollBack(connection: Connection): Promise<void> {
    try {
      await connection.query([queryOf('rollback')]);
    } catch {
      connection.drop();
    }
  }
}

/** Of units that bring nothing but mail. */
function newMailsOf(units: readonly (readonly Op[])[]): readonly string[] {
  return units
    .filter((unit) => unit.every(([op]) => !CHANGES.has(op)))
    .flat()
    .flatMap((op) => (op[0] === 'mail' ? [op[1]] : []));
}

function numberOf(result: QueryResult | undefined, column: string): number {
  return Number((result?.rows[0] as Row | undefined)?.[column] ?? 0);
}
