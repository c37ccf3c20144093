import { Deadlines } from '../../base/index.ts';

/** Deadlines that are told by the real time, until stopped. Does not keep the process alive. */
export function startClock(everyMs: number): { readonly deadlines: Deadlines; stop(): void } {
  const deadlines = new Deadlines(performance.now());
  const timer = setInterval(() => deadlines.tick(performance.now()), everyMs);
  timer.unref();
  return { deadlines, stop: () => clearInterval(timer) };
}
