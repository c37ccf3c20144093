/** What is counted of one service. */
import type { Counter, Histogram, Metrics } from '../../base/index.ts';
import type { CallVerdict } from '../options.ts';
import type { BypassFate } from '../trace/index.ts';

export class ServiceCounts {
  readonly #service: string;
  readonly #metrics: Metrics;
  readonly #verdicts = new Map<CallVerdict, Counter>();
  readonly #seconds: Histogram;

  constructor(service: string, metrics: Metrics) {
    this.#service = service;
    this.#metrics = metrics;
    this.#seconds = metrics.histogram('opes_callout_seconds', { service });
  }

  /** At the end of mail `id`; `tookMs` is undefined where the service was not asked. */
  ended(id: string, verdict: CallVerdict, tookMs: number | undefined): void {
    let counter = this.#verdicts.get(verdict);
    if (counter === undefined) {
      counter = this.#metrics.counter('opes_callouts_total', { service: this.#service, verdict });
      this.#verdicts.set(verdict, counter);
    }
    counter.add();
    if (tookMs !== undefined) this.#seconds.observe(tookMs / 1000, id);
  }

  /** A request to leave it out, and what became of that; few mails have one. */
  askedAway(fate: BypassFate): void {
    this.#metrics.count('opes_bypasses_total', { service: this.#service, fate });
  }

  connectionLost(): void {
    this.#metrics.count('opes_callout_connections_lost_total', { service: this.#service });
  }
}
