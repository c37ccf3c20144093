/** The gateway's one timer: drives all deadlines of mails and services. */
import { Deadlines } from '../../base/index.ts';

/** Deadlines here are seconds and minutes; this is how late one may be told. */
const TICK_MS = 250;

export interface Ticker {
  readonly deadlines: Deadlines;
  readonly clock: () => number;
  /** Once, unless cancelled before; keeps nothing alive. */
  after(ms: number, then: () => void): { cancel(): void };
  stop(): void;
}

export function startTicker(): Ticker {
  const clock = (): number => performance.now();
  const deadlines = new Deadlines(clock());
  const timer = setInterval(() => deadlines.tick(clock()), TICK_MS);
  // What keeps the process alive are its sockets.
  timer.unref();
  const after = (ms: number, then: () => void): { cancel(): void } => {
    const one = setTimeout(then, ms).unref();
    return { cancel: () => clearTimeout(one) };
  };
  return { deadlines, clock, after, stop: () => clearInterval(timer) };
}
