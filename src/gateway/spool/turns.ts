/**
 * Work that waits for its turn: so much of a kind at a time, in order. What comes back after a long failure is a whole queue at
 * once, and begun all together it would fail once more, of its own number.
 */
interface Kind<T> {
  readonly waiting: T[];
  active: number;
  isBeginning: boolean;
}

export class Turns<T> {
  readonly #limit: number;
  readonly #begin: (work: T, done: () => void) => void;
  readonly #kinds = new Map<string, Kind<T>>();
  #waiting = 0;
  #active = 0;

  /** `begin` calls `done` once, when this work is over; also from within. It must not throw. */
  constructor(limit: number, begin: (work: T, done: () => void) => void) {
    this.#limit = limit;
    this.#begin = begin;
  }

  /** Waiting, and begun and not over. */
  get load(): number {
    return this.#waiting + this.#active;
  }

  push(key: string, work: T): void {
    let kind = this.#kinds.get(key);
    if (kind === undefined) {
      kind = { waiting: [], active: 0, isBeginning: false };
      this.#kinds.set(key, kind);
    }
    kind.waiting.push(work);
    this.#waiting++;
    this.#next(key, kind);
  }

  /** Takes out all that wait. */
  takeWaiting(): readonly T[] {
    const all = [...this.#kinds.values()].flatMap(({ waiting }) => waiting.splice(0));
    this.#waiting = 0;
    return all;
  }

  #next(key: string, kind: Kind<T>): void {
    // Work that is over at once comes here from within the loop.
    if (kind.isBeginning) return;
    kind.isBeginning = true;
    while (kind.active < this.#limit && kind.waiting.length > 0) {
      const work = kind.waiting.shift() as T;
      this.#waiting--;
      this.#active++;
      kind.active++;
      this.#begin(work, () => {
        this.#active--;
        kind.active--;
        this.#next(key, kind);
      });
    }
    kind.isBeginning = false;
    if (kind.active === 0) this.#kinds.delete(key);
  }
}
