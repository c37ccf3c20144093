/** How many reports a reverse-path gets in an hour: whoever forges one makes us write to it (REQ-261). */

const HOUR_MS = 3_600_000;
/** Reverse-paths remembered at a time, a few hundred octets each. Beyond it the oldest window is forgotten. */
const MAX_SENDERS = 10_000;

interface Window {
  readonly startMs: number;
  taken: number;
}

export class ReportBudget {
  readonly #perHour: number;
  readonly #maxSenders: number;
  /** In the order in which windows began. */
  readonly #windows = new Map<string, Window>();

  constructor(perHour: number, maxSenders = MAX_SENDERS) {
    this.#perHour = perHour;
    this.#maxSenders = maxSenders;
  }

  /** Takes one, where there is one left. */
  take(reversePath: string, nowMs: number): boolean {
    if (this.#perHour < 1) return false;
    const key = reversePath.toLowerCase();
    const window = this.#windows.get(key);
    // Begun more than an hour from now: the clock was set back, and failures would go untold until it is there again.
    if (window !== undefined && Math.abs(nowMs - window.startMs) < HOUR_MS) {
      if (window.taken >= this.#perHour) return false;
      window.taken++;
      return true;
    }
    this.#windows.delete(key);
    this.#windows.set(key, { startMs: nowMs, taken: 1 });
    if (this.#windows.size > this.#maxSenders) {
      for (const oldest of this.#windows.keys()) {
        this.#windows.delete(oldest);
        break;
      }
    }
    return true;
  }
}
