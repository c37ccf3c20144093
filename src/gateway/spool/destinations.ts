/**
 * Where mail of the spool goes, each place with its own queue: so many transactions at a time, in order, and none for a
 * while after nobody answered there. A place that is down costs one try a while, however many mails wait for it.
 */
import type { QueueOptions } from '../options.ts';
import type { Task } from './task.ts';

/** The first pause after nobody answered, doubled each time up to the longest. */
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 15 * 60_000;

/** Above it those are forgotten where nothing is under way and the pause is over: domains that never answer are without number. */
export const MAX_PLACES = 10_000;

interface Destination {
  readonly key: string;
  readonly waiting: Task[];
  active: number;
  failures: number;
  deadUntilMs: number;
}

export class Destinations {
  readonly #limit: number;
  readonly #longestMs: number;
  readonly #run: (task: Task) => void;
  readonly #defer: (task: Task, untilMs: number) => void;
  readonly #places = new Map<string, Destination>();
  #waiting = 0;
  #active = 0;

  /** `run` starts a try and ends with `free`; `defer` takes a task whose destination is known to be down until then. */
  constructor(
    { perDestination, retryMs }: Pick<QueueOptions, 'perDestination' | 'retryMs'>,
    run: (task: Task) => void,
    defer: (task: Task, untilMs: number) => void,
  ) {
    this.#limit = perDestination;
    // No place is left alone for longer than a mail of its own would be.
    this.#longestMs = Math.min(LONGEST_PAUSE_MS, Math.max(...retryMs));
    this.#run = run;
    this.#defer = defer;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get active(): number {
    return this.#active;
  }

  /** Places something is known of. */
  get size(): number {
    return this.#places.size;
  }

  push(task: Task, nowMs: number): void {
    let place = this.#places.get(task.destination);
    if (place === undefined) {
      if (this.#places.size >= MAX_PLACES) this.#sweep(nowMs);
      place = { key: task.destination, waiting: [], active: 0, failures: 0, deadUntilMs: 0 };
      this.#places.set(place.key, place);
    }
    this.#waiting++;
    place.waiting.push(task);
    this.#next(place, nowMs);
  }

  /** The try of `task` has ended. */
  free(task: Task, isUnreachable: boolean, nowMs: number): void {
    const place = this.#places.get(task.destination);
    if (place === undefined) return;
    place.active--;
    this.#active--;
    if (!isUnreachable) {
      place.failures = 0;
      place.deadUntilMs = 0;
    } else if (!this.#isPaused(place, nowMs)) {
      // Tries that were under way together are one failure.
      place.deadUntilMs = nowMs + Math.min(FIRST_PAUSE_MS * 2 ** place.failures, this.#longestMs);
      place.failures++;
    }
    this.#next(place, nowMs);
  }

  /** Takes out all that wait: the spool closes. */
  takeWaiting(): Task[] {
    const all = [...this.#places.values()].flatMap((place) => place.waiting.splice(0));
    this.#waiting = 0;
    return all;
  }

  /** An operator wants it tried now. */
  revive(): void {
    for (const place of this.#places.values()) place.deadUntilMs = 0;
  }

  #sweep(nowMs: number): void {
    for (const [key, place] of this.#places)
      if (place.active === 0 && place.waiting.length === 0 && !this.#isPaused(place, nowMs)) this.#places.delete(key);
  }

  /** Farther off than any pause of ours: the clock was set back, and the pause is over. */
  #isPaused({ deadUntilMs }: Destination, nowMs: number): boolean {
    return nowMs < deadUntilMs && deadUntilMs - nowMs <= this.#longestMs;
  }

  #next(place: Destination, nowMs: number): void {
    // After a failure one try at a time finds out whether the place is back.
    const limit = place.failures > 0 ? 1 : this.#limit;
    while (place.waiting.length > 0) {
      if (this.#isPaused(place, nowMs)) {
        this.#waiting--;
        this.#defer(place.waiting.shift() as Task, place.deadUntilMs);
        continue;
      }
      if (place.active >= limit) return;
      const task = place.waiting.shift() as Task;
      this.#waiting--;
      place.active++;
      this.#active++;
      this.#run(task);
    }
    if (place.active === 0 && place.failures === 0) this.#places.delete(place.key);
  }
}
