/**
 * Deadlines for very many things at the cost of one timer: whoever holds a `Deadlines` calls `tick` now and then (every
 * 250 ms is usual), and whatever is due is told. Arming and disarming are cheap, so a session may do both for each
 * command. Time is counted from tick to tick: a deadline may be told up to one tick early or late.
 *
 * Deadlines are kept in a binary heap by time. A released one leaves its entry there, emptied, so that nothing is kept
 * alive by a deadline nobody waits for; once most entries are empty they are swept out.
 */
export interface Deadline {
  /** Called once, from `tick`, when the time has come. May arm again. */
  onDeadline(nowMs: number): void;
  /** What `onDeadline` threw; without it the exception is that of `tick`. */
  onFault?(error: unknown): void;
}

interface Entry {
  readonly atMs: number;
  armed: Armed | undefined;
}

/** One thing's place among the deadlines. Keep it and move it: one object a session, not one a command. */
export class Armed {
  readonly deadline: Deadline;
  /** When it is due, or 0 where nothing is. */
  dueMs = 0;
  /** Its entry in the heap, at `dueMs` or earlier. */
  entry: Entry | undefined;

  constructor(deadline: Deadline) {
    this.deadline = deadline;
  }
}

/** Fewer empty entries than this are not worth a sweep. */
const MIN_SWEEP = 256;

export class Deadlines {
  #heap: Entry[] = [];
  #empty = 0;
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
    const atMs = this.#nowMs + Math.max(1, inMs);
    armed.dueMs = atMs;
    // An entry that surfaces early is put back for the later time: moving a deadline away needs no heap operation.
    if (armed.entry !== undefined && armed.entry.atMs <= atMs) return;
    this.#drop(armed);
    this.#enter(armed, atMs);
  }

  /** Not due any more; its place is kept for the next `arm`. */
  disarm(armed: Armed): void {
    armed.dueMs = 0;
  }

  /** Not due any more, and never armed again: whoever lives shorter than its deadline must end with this, or is kept alive until then. */
  release(armed: Armed): void {
    armed.dueMs = 0;
    this.#drop(armed);
  }

  /** Tells everything that is due by `nowMs`. */
  tick(nowMs: number): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs;
    for (let top = this.#heap[0]; top !== undefined && top.atMs <= this.#nowMs; top = this.#heap[0]) {
      this.#pop();
      const { armed } = top;
      if (armed === undefined) {
        this.#empty--;
        continue;
      }
      armed.entry = undefined;
      if (armed.dueMs === 0) continue;
      if (armed.dueMs > this.#nowMs) {
        this.#enter(armed, armed.dueMs);
        continue;
      }
      armed.dueMs = 0;
      this.#tell(armed.deadline);
    }
  }

  /** One that fails is no reason for the others to wait. */
  #tell(deadline: Deadline): void {
    try {
      deadline.onDeadline(this.#nowMs);
    } catch (error) {
      if (deadline.onFault === undefined) throw error;
      deadline.onFault(error);
    }
  }

  #enter(armed: Armed, atMs: number): void {
    armed.entry = { atMs, armed };
    this.#push(armed.entry);
  }

  #drop(armed: Armed): void {
    if (armed.entry === undefined) return;
    armed.entry.armed = undefined;
    armed.entry = undefined;
    this.#empty++;
    if (this.#empty >= MIN_SWEEP && this.#empty * 2 > this.#heap.length) this.#sweep();
  }

  /** Its cost is that of the entries emptied since the last one. */
  #sweep(): void {
    const live = this.#heap.filter(({ armed }) => armed !== undefined);
    this.#heap = [];
    this.#empty = 0;
    for (const entry of live) this.#push(entry);
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
