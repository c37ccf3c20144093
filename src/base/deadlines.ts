/**
 * Deadlines for very many things at the cost of one timer: whoever holds a `Deadlines` calls `tick` now and then (every
 * 250 ms is usual), and whatever is due is told. Arming and disarming are cheap, so a session may do both for each
 * command. Time is counted from tick to tick: a deadline may be told up to one tick early or late.
 *
 * Deadlines are kept in a binary heap by time; a disarmed or moved one stays in the heap until it surfaces.
 */
export interface Deadline {
  /** Called once, from `tick`, when the time has come. May arm again. */
  onDeadline(nowMs: number): void;
}

interface Entry {
  readonly atMs: number;
  readonly armed: Armed;
}

/** One thing's place among the deadlines. Keep it and move it: one object a session, not one a command. */
export class Armed {
  readonly deadline: Deadline;
  /** When it is due, or 0 where nothing is. */
  dueMs = 0;
  /** The earliest entry of it in the heap, or 0. */
  queuedMs = 0;

  constructor(deadline: Deadline) {
    this.deadline = deadline;
  }
}

export class Deadlines {
  readonly #heap: Entry[] = [];
  #nowMs: number;

  constructor(nowMs = 0) {
    this.#nowMs = nowMs;
  }

  /** The time of the last tick. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** How many entries wait; for tests that look for growth. */
  get size(): number {
    return this.#heap.length;
  }

  /** `armed` is due `inMs` after the last tick, in place of whatever it was due before. */
  arm(armed: Armed, inMs: number): void {
    const at = this.#nowMs + Math.max(1, inMs);
    armed.dueMs = at;
    // An entry that surfaces early is put back for the later time: moving a deadline away needs no heap operation.
    if (armed.queuedMs !== 0 && armed.queuedMs <= at) return;
    armed.queuedMs = at;
    this.#push({ atMs: at, armed });
  }

  disarm(armed: Armed): void {
    armed.dueMs = 0;
  }

  /** Tells everything that is due by `nowMs`. */
  tick(nowMs: number): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs;
    for (let top = this.#heap[0]; top !== undefined && top.atMs <= this.#nowMs; top = this.#heap[0]) {
      this.#pop();
      const { armed } = top;
      if (top.atMs !== armed.queuedMs) continue; // an older entry of something queued anew
      armed.queuedMs = 0;
      if (armed.dueMs === 0) continue;
      if (armed.dueMs > this.#nowMs) {
        armed.queuedMs = armed.dueMs;
        this.#push({ atMs: armed.dueMs, armed });
        continue;
      }
      armed.dueMs = 0;
      armed.deadline.onDeadline(this.#nowMs);
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up] as Entry;
      if (parent.atMs <= entry.atMs) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && right.atMs < (heap[child] as Entry).atMs) child++;
      const smaller = heap[child] as Entry;
      if (smaller.atMs >= last.atMs) break;
      heap[i] = smaller;
      i = child;
    }
    heap[i] = last;
  }
}
