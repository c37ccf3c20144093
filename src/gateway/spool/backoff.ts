/**
 * When a delivery that failed for now is tried again (RFC 5321 section 4.5.4.1): soon at first, as most faults are short,
 * then ever less often. A tenth of jitter either way keeps mails that failed together from coming back together.
 */
export interface RetryPlan {
  /** Waits before the second, third ... try; the last one repeats. At least one. */
  readonly retryMs: readonly number[];
}

/** `attempts`: tries made so far, at least 1. `random`: 0 up to 1. */
export function nextTryMs(attempts: number, nowMs: number, { retryMs }: RetryPlan, random: number): number {
  const wait = retryMs[Math.min(attempts, retryMs.length) - 1] ?? 0;
  return nowMs + Math.round(wait * (0.9 + 0.2 * random));
}
