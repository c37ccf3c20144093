/**
 * What a dialect does for the store: a batch of units (the hot path, made for speed), and plain statements in one transaction
 * (everything else, one code path for all dialects). A unit comes as operations, rows whose first item says what to do;
 * the octets of a whole batch lie in one buffer, and operations name ranges of it.
 */
import type { Ending, StoreError } from './ports.ts';
import type { Dialect } from './schema.ts';

export type Value = string | number | null | Uint8Array;
export type Row = Readonly<Record<string, unknown>>;

export interface Statement {
  readonly sql: string;
  readonly values: readonly Value[];
}

/** Text is JSON where `ports.ts` has a value; booleans are 0 and 1. */
export type Op =
  | readonly [op: 'mail', id: string, acceptedMs: number, reversePath: string, params: string, facts: string]
  | readonly [
      op: 'delivery',
      mail: string,
      n: number,
      content: string,
      forwardPath: string,
      params: string,
      destination: string,
      lane: string,
      holdService: string | null,
      holdReason: string | null,
      heldMs: number | null,
      nextMs: number,
      expiresMs: number,
      notes: string,
      leaseMs: number,
    ]
  /** Octets `from` to `from + length` of the batch; `isLoose`: no mail has it yet. */
  | readonly [op: 'content', id: string, from: number, length: number, isLoose: 0 | 1]
  /** A loose content that comes in chunks. */
  | readonly [op: 'open', id: string]
  /** `at`: in the content. */
  | readonly [op: 'chunk', content: string, at: number, from: number, length: number]
  | readonly [op: 'seal', content: string, size: number]
  /** A loose content that is sealed becomes its mail's. */
  | readonly [op: 'bind', content: string]
  | readonly [op: 'discard', content: string]
  | Change;

/** Operations on a delivery that is there; otherwise they do nothing. */
export type Change =
  | readonly [op: 'end', mail: string, n: number, as: Ending]
  | readonly [
      op: 'retry',
      mail: string,
      n: number,
      attempts: number,
      nextMs: number,
      lastReply: string | null,
      isWarned: 0 | 1,
      notes: string | null,
    ]
  | readonly [op: 'hold', mail: string, n: number, service: string, reason: string, heldMs: number, expiresMs: number]
  | readonly [
      op: 'queue',
      mail: string,
      n: number,
      nextMs: number,
      lane: string | null,
      content: string | null,
      expiresMs: number | null,
      notes: string | null,
    ]
  /** Our claim, if it is ours still, ends then. */
  | readonly [op: 'renew', mail: string, n: number, leaseMs: number]
  /** Our claim is given back. */
  | readonly [op: 'release', mail: string, n: number];

/** Whether something goes by it: room that is kept for ends is for these. */
export function endsAny(unit: readonly Op[]): boolean {
  return unit.some(([op]) => op === 'end');
}

export interface Batch {
  readonly units: readonly (readonly Op[])[];
  /** From `Engine.room`, and given away: not to be used by the caller any more. */
  readonly octets: Buffer;
}

export interface Done {
  /** A unit's error by its place in the batch; nothing of that unit is there. */
  readonly errors: ReadonlyMap<number, StoreError>;
  /** Octets of all contents in the store, for the quota. */
  readonly stored: number;
}

export interface Engine {
  readonly dialect: Dialect;
  /** Where the octets of the next batch are to be written; it may be the place of the one before. */
  room(octets: number): Buffer;
  /** Durable when it resolves. One at a time. */
  commit(batch: Batch): Promise<Done>;
  /** All of it in one transaction, or nothing; the rows of each. */
  run(statements: readonly Statement[]): Promise<readonly (readonly Row[])[]>;
  close(): Promise<void>;
}
