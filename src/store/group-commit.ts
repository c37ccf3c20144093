/**
 * Units that wait at the same time are committed together and share one synchronisation. While a batch is on its way, the next
 * one gathers; a unit nobody waits for (a mail that was delivered) waits a little for others to ride with. The caller's octets
 * are copied into the batch once, when it leaves.
 */
import { type Batch, type Engine, endsAny } from './engine.ts';
import type { Packed } from './pack.ts';
import { StoreError } from './ports.ts';

/** Longer than a synchronisation takes on a common disk, and too short for anybody to notice. */
const PATIENCE_MS = 5;
/** Bounds a batch in memory and in its transaction; one unit may be longer. */
const MAX_OCTETS = 16 * 1024 * 1024;
const MAX_UNITS = 1000;

interface Waiting {
  readonly unit: Packed;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class GroupCommit {
  readonly #engine: Engine;
  readonly #maxStored: number;
  #waiting: Waiting[] = [];
  #isBusy = false;
  #patience: NodeJS.Timeout | undefined;
  /** The next batch leaves at the end of this turn of the loop, with all that this turn brings. */
  #isLeaving = false;
  #idle: (() => void)[] = [];
  /** Octets in the store, as of the last batch. */
  #stored: number;

  constructor(engine: Engine, stored: number, maxStored: number) {
    this.#engine = engine;
    this.#stored = stored;
    this.#maxStored = maxStored;
  }

  /** Resolves when `unit` is durable. Its octets are not touched afterwards, but until then they must not change. */
  commit(unit: Packed): Promise<void> {
    const isOver = unit.length > 0 && this.#stored + unit.length > this.#maxStored;
    if (isOver && !endsAny(unit.ops)) return Promise.reject(this.#overQuota());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ unit, resolve, reject });
      if (this.#isBusy) return;
      if (unit.isPatient) this.#patience ??= setTimeout(() => this.#leave(), PATIENCE_MS);
      else this.#leaveSoon();
    });
  }

  /** Resolves when nothing waits and nothing is on its way. */
  async drained(): Promise<void> {
    if (!this.#isBusy && this.#waiting.length === 0) return;
    if (!this.#isBusy) this.#leaveSoon();
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #leaveSoon(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    setImmediate(() => {
      this.#isLeaving = false;
      this.#leave();
    });
  }

  #leave(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    if (this.#isBusy || this.#waiting.length === 0) return;
    this.#isBusy = true;
    const batch = this.#take();
    this.#engine
      .commit(gather(batch, this.#engine))
      .then(
        ({ errors, stored }) => {
          this.#stored = stored;
          batch.forEach(({ resolve, reject }, i) => {
            const error = errors.get(i);
            if (error === undefined) resolve();
            else reject(error);
          });
        },
        (error: Error) => {
          for (const { reject } of batch) reject(error);
        },
      )
      .finally(() => this.#arrived());
  }

  #arrived(): void {
    this.#isBusy = false;
    // Whoever waited goes first: what it commits now is in the next batch already.
    if (this.#waiting.some(({ unit }) => !unit.isPatient)) this.#leaveSoon();
    else if (this.#waiting.length > 0) this.#patience ??= setTimeout(() => this.#leave(), PATIENCE_MS);
    else for (const resolve of this.#idle.splice(0)) resolve();
    if (this.#idle.length > 0) this.#leaveSoon();
  }

  #take(): readonly Waiting[] {
    let octets = 0;
    let count = 0;
    for (const { unit } of this.#waiting) {
      octets += unit.length;
      if (count > 0 && (octets > MAX_OCTETS || count === MAX_UNITS)) break;
      count++;
    }
    const batch = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    return batch;
  }

  #overQuota(): StoreError {
    return new StoreError(
      'full',
      `the store holds ${this.#stored} octets and may hold ${this.#maxStored}: deliver or remove mail, or raise its limit`,
    );
  }
}

/** One buffer for all octets of the batch; the ranges of the operations are moved behind those of the units before. */
function gather(batch: readonly Waiting[], engine: Engine): Batch {
  const total = batch.reduce((sum, { unit }) => sum + unit.length, 0);
  const octets = engine.room(total);
  let at = 0;
  const units = batch.map(({ unit }) => {
    const base = at;
    for (const piece of unit.octets) {
      octets.set(piece, at);
      at += piece.length;
    }
    return base === 0 ? unit.ops : unit.ops.map((op) => moved(op, base));
  });
  return { units, octets };
}

function moved(op: Batch['units'][number][number], by: number): Batch['units'][number][number] {
  if (op[0] === 'content') return [op[0], op[1], op[2] + by, op[3], op[4]];
  if (op[0] === 'chunk') return [op[0], op[1], op[2], op[3] + by, op[4]];
  return op;
}
