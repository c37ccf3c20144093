/**
 * A batch as the statements it takes, in one write, and what their answers mean: what to count, and whether what must be
 * there was. Rows that go in come first, as arrays; changes follow in the order of their units.
 */

import { crc32 } from 'node:zlib';
import type { QueryResult } from 'pg';
import { CHUNK_OCTETS } from '../content-writer.ts';
import type { Op, Value } from '../engine.ts';
import { type Ending, StoreError } from '../ports.ts';
import { Tally } from '../tally.ts';
import type { Query } from './connection.ts';
import { type Name, statements } from './statements.ts';

/** What follows from an answer; throws where the unit cannot stand. */
type Meaning = (result: QueryResult) => void;

export class Plan {
  readonly queries: Query[] = [];
  readonly tally = new Tally();
  readonly #meanings: (Meaning | undefined)[] = [];
  readonly #octets: Buffer;
  readonly #owner: string;
  #ends = new Map<string, Op & readonly ['end', ...unknown[]]>();

  constructor(units: readonly (readonly Op[])[], octets: Buffer, owner: string) {
    this.#octets = octets;
    this.#owner = owner;
    const ops = units.flat();
    const mails = ops.filter((op) => op[0] === 'mail');
    const deliveries = ops.filter((op) => op[0] === 'delivery');
    if (mails.length > 0) {
      this.#add('mails', columns(mails, 5));
      this.#add('deliveries', [...columns(deliveries, 14), owner]);
      this.tally.add('accepted', deliveries.length);
    }
    for (const op of ops) this.#op(op);
    this.#flushEnds();
  }

  /** Takes the answers to `queries`. */
  judge(results: readonly QueryResult[]): void {
    for (const [i, result] of results.entries()) this.#meanings[i]?.(result);
  }

  #op(op: Op): void {
    switch (op[0]) {
      case 'mail':
      case 'delivery':
        return;
      case 'end': {
        // The first one counts, as it would one by one.
        const at = `${op[1]} ${op[2]}`;
        if (!this.#ends.has(at)) this.#ends.set(at, op);
        return;
      }
      case 'content':
        this.#content(op[1], op[2], op[3], op[4] === 1 ? this.#owner : null);
        return;
      case 'open':
        this.#add('content', [op[1], -1, 0, null, this.#owner, Date.now()]);
        return;
      case 'chunk':
        this.#chunk(op[1], op[2], op[3], op[4]);
        this.#add('grow', [op[1], op[4]], mustBeThere(op[1]));
        this.tally.add('octets', op[4]);
        return;
      case 'seal':
        this.#add('seal', [op[1], op[2]], mustBeThere(op[1]));
        return;
      case 'bind':
        this.#add('bind', [op[1]], mustBeThere(op[1]));
        return;
      case 'discard':
        this.#add('discardContent', [op[1]], (result) => this.#gone(result));
        this.#add('discardChunks', [op[1]]);
        return;
      case 'retry':
      case 'hold':
      case 'queue':
      case 'renew':
      case 'release':
        this.#flushEnds();
        this.#change(op);
    }
  }

  #change(op: Extract<Op, readonly ['retry' | 'hold' | 'queue' | 'renew' | 'release', ...unknown[]]>): void {
    const [name, ...values] = op;
    if (name === 'release' || name === 'renew') {
      this.#add(name, [...values, this.#owner]);
      return;
    }
    let isThere = false;
    this.#add(name, [...values, this.#owner], ({ rowCount }) => {
      isThere = (rowCount ?? 0) > 0;
    });
    const content = op[0] === 'queue' ? op[5] : null;
    if (content === null) return;
    const mustBe = mustBeThere(content);
    this.#add('isBound', [content], (result) => {
      if (isThere) mustBe(result);
    });
  }

  #flushEnds(): void {
    const ends = [...this.#ends.values()];
    if (ends.length === 0) return;
    this.#ends = new Map();
    const [mails = [], ...rest] = columns(ends, 3);
    const each = [...new Set(mails)];
    this.#add('lockMails', [each]);
    this.#add('end', [mails, ...rest, this.#owner], ({ rows }) => {
      for (const { ending } of rows as { ending: Ending }[]) this.tally.add(ending, 1);
    });
    this.#add('endMails', [each], (result) => this.#gone(result));
  }

  #content(id: string, from: number, length: number, loose: string | null): void {
    const whole = this.#octets.subarray(from, from + length);
    const isShort = length <= CHUNK_OCTETS;
    const row = isShort ? ([crc32(whole), whole] as const) : ([0, null] as const);
    this.#add('content', [id, length, ...row, loose, loose === null ? 0 : Date.now()]);
    for (let at = 0; !isShort && at < length; at += CHUNK_OCTETS)
      this.#chunk(id, at, from + at, Math.min(CHUNK_OCTETS, length - at));
    this.tally.add('octets', length);
  }

  #chunk(content: string, at: number, from: number, length: number): void {
    const octets = this.#octets.subarray(from, from + length);
    this.#add('chunk', [content, at, crc32(octets), octets]);
  }

  /** Contents that went: what they had is free. */
  #gone({ rows }: QueryResult): void {
    for (const row of rows as { size: string }[]) {
      const size = Number(row.size);
      this.tally.add('octets', size < 0 ? size + 1 : -size);
    }
  }

  #add(name: Name, values: Query['values'], meaning?: Meaning): void {
    this.queries.push(queryOf(name, values));
    this.#meanings.push(meaning);
  }
}

/** A unit that changes a mail another unit makes: their order would be lost where rows go in first. */
export function areEntangled(units: readonly (readonly Op[])[]): boolean {
  if (units.length === 1) return false;
  const ops = units.flat();
  const made = new Set(ops.flatMap((op) => (op[0] === 'mail' ? [op[1]] : [])));
  return made.size > 0 && ops.some((op) => CHANGES.has(op[0]) && made.has(op[1]));
}

/** Operations on a delivery that is there. */
export const CHANGES: ReadonlySet<Op[0]> = new Set(['end', 'retry', 'hold', 'queue', 'renew', 'release']);

export function queryOf(name: Name, values: Query['values'] = []): Query {
  return { name, text: statements[name], values };
}

/** Items 1 to `count` of each operation, a column each. */
function columns(ops: readonly Op[], count: number): Value[][] {
  return Array.from({ length: count }, (_, i) => ops.map((op) => (op[i + 1] as Value | undefined) ?? null));
}

function mustBeThere(content: string): Meaning {
  return ({ rowCount }) => {
    if ((rowCount ?? 0) > 0) return;
    const what = `content ${content} is not there, or not written to its end: nothing can be bound to it`;
    throw new StoreError('failed', what);
  };
}
