/** The gateway's one timer: drives all deadlines of mails and services. */
import { Deadlines } from '../../base/index.ts';

/** Deadlines here are seconds and minutes; this is how late one may be told. */
const TICK_MS = 250;

export interface Ticker {
  readonly deadlines: Deadlines;
  readonly clock: () => number;
  stop(): void;
}

export function startTicker(): Ticker {
  const clock = (): number => performance.now();
  const deadlines = new Deadlines(clock());
  const timer = setInterval(() => deadlines.tick(clock()), TICK_MS);
  // What keeps the process alive are its sockets.
  timer.unref();
  return { deadlines, clock, stop: () => clearInterval(timer) };
}
