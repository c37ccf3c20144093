/**
 * Who is present, for very many that come and go: what a `Set` does, without what it costs V8. A `Set` that is added to and
 * deleted from makes itself a new table again and again, and each old table points to the next. Once one of them has grown
 * old, all that follow live until the next full collection, and with them whoever was present then: sessions and transactions
 * long over are copied, twice, by the collector of the young before they can die.
 *
 * Here a member has a seat, which it gives back when it leaves; the last member moves to the free place. No order is kept.
 */
export interface Seat<T> {
  /** Absent once it left. */
  member: T | undefined;
  at: number;
}

export class Roster<T> implements Iterable<T> {
  readonly #seats: Seat<T>[] = [];

  get size(): number {
    return this.#seats.length;
  }

  enter(member: T): Seat<T> {
    const seat: Seat<T> = { member, at: this.#seats.length };
    this.#seats.push(seat);
    return seat;
  }

  /** False: it had left before. */
  leave(seat: Seat<T>): boolean {
    if (seat.member === undefined) return false;
    seat.member = undefined;
    const last = this.#seats.pop() as Seat<T>;
    if (last !== seat) {
      last.at = seat.at;
      this.#seats[seat.at] = last;
    }
    return true;
  }

  /** Those present now, whoever leaves or comes meanwhile. */
  *[Symbol.iterator](): Iterator<T> {
    for (const { member } of this.#seats.slice()) if (member !== undefined) yield member;
  }
}
