/**
 * Slows down who guesses passwords (RFC 4954, 9): failures are counted for each address and each login, answers to further
 * ones are held back ever longer, and in the end nothing is looked at for a while. Tables are bounded: what attackers make up
 * pushes out what other attackers made up.
 */
import type { MonotonicClock } from '../../base/index.ts';
import {
  FIRST_DELAY_MS,
  FORGET_MS,
  FREE_FAILURES,
  LONGEST_DELAY_MS,
  MAX_ADDRESS_FAILURES,
  MAX_REMEMBERED,
  MAX_USER_FAILURES,
} from './limits.ts';

/** `address`: come no more for a while; `user`: the login rests. */
export type Blocked = 'address' | 'user';

interface Entry {
  failures: number;
  lastMs: number;
}

export class Throttle {
  readonly #addresses: Table;
  readonly #users: Table;
  /** Where each login last succeeded from. */
  readonly #homes = new Map<string, string>();

  constructor(clock: MonotonicClock) {
    this.#addresses = new Table(clock);
    this.#users = new Table(clock);
  }

  /** Whether credentials are looked at at all. */
  blocked(address: string, user: string): Blocked | undefined {
    if (this.#addresses.failures(address) >= MAX_ADDRESS_FAILURES) return 'address';
    const isHome = this.#homes.get(user) === address;
    return !isHome && this.#users.failures(user) >= MAX_USER_FAILURES ? 'user' : undefined;
  }

  /** How long the refusal is to be held back. */
  failed(address: string, user: string): number {
    const failures = Math.max(this.#addresses.add(address), this.#users.add(user));
    if (failures <= FREE_FAILURES) return 0;
    return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - FREE_FAILURES - 1));
  }

  /** The address is not cleared: one good account would let it guess on at others. */
  succeeded(address: string, user: string): void {
    this.#users.clear(user);
    this.#homes.delete(user);
    this.#homes.set(user, address);
    trim(this.#homes);
  }

  /** How much is remembered, at `clock()`. */
  get size(): number {
    return this.#addresses.size + this.#users.size + this.#homes.size;
  }
}

class Table {
  readonly #clock: MonotonicClock;
  /** In the order last seen. */
  readonly #entries = new Map<string, Entry>();

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  failures(key: string): number {
    const entry = this.#entries.get(key);
    if (entry === undefined) return 0;
    if (this.#clock() - entry.lastMs < FORGET_MS) return entry.failures;
    this.#entries.delete(key);
    return 0;
  }

  add(key: string): number {
    const failures = this.failures(key) + 1;
    this.#entries.delete(key);
    this.#entries.set(key, { failures, lastMs: this.#clock() });
    trim(this.#entries);
    return failures;
  }

  clear(key: string): void {
    this.#entries.delete(key);
  }
}

function trim(map: Map<string, unknown>): void {
  if (map.size <= MAX_REMEMBERED) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
