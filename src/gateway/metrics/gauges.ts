/** Figures that are read when somebody looks. */
import type { Metrics } from '../../base/index.ts';
import type { CalloutService } from '../callouts/callout-service.ts';
import type { MemoryBudget } from '../content/index.ts';
import type { SpillDirectory } from '../fs/spill-files.ts';
import type { NextHops, NextHopTotals } from '../relay/next-hops.ts';
import type { Spool } from '../spool/spool.ts';

export interface GaugeSources {
  readonly budget: MemoryBudget;
  readonly spill: SpillDirectory;
  readonly hops: () => Iterable<NextHops>;
  readonly generations: () => number;
  readonly spool: Spool | undefined;
  /** Of the present configuration. */
  readonly services: () => readonly CalloutService[];
}

export class GatewayGauges {
  readonly #metrics: Metrics;
  readonly #sources: GaugeSources;
  readonly #forgets: (() => void)[];
  #forgetServices: (() => void)[] = [];

  constructor(metrics: Metrics, sources: GaugeSources) {
    this.#metrics = metrics;
    this.#sources = sources;
    const { budget, spill, hops, generations, spool } = sources;
    const ofHops = (field: keyof NextHopTotals) => (): number => {
      let sum = 0;
      for (const one of hops()) sum += one.totals()[field];
      return sum;
    };
    this.#forgets = [
      metrics.gauge('opes_content_memory_octets', () => budget.used),
      metrics.gauge('opes_content_spilled_octets', () => spill.used),
      metrics.gauge('opes_spill_full', () => (spill.isFull ? 1 : 0)),
      metrics.gauge('opes_configurations', generations),
      metrics.gauge('opes_next_hop_connections', ofHops('connections')),
      metrics.gauge('opes_next_hop_idle_connections', ofHops('idle')),
      metrics.gauge('opes_next_hop_waiting_mails', ofHops('waiting')),
      metrics.gauge('opes_next_hop_connections_total', ofHops('opened')),
      metrics.gauge('opes_next_hop_retries_total', ofHops('retried')),
    ];
    if (spool === undefined) return;
    this.#forgets.push(
      metrics.gauge('opes_queue_deliveries', () => spool.stored.queued, { state: 'queued' }),
      metrics.gauge('opes_queue_deliveries', () => spool.stored.held, { state: 'held' }),
      metrics.gauge('opes_queue_active', () => spool.load),
    );
  }

  /** The services have changed. */
  useServices(): void {
    for (const forget of this.#forgetServices.splice(0)) forget();
    for (const service of this.#sources.services()) {
      const labels = { service: service.name };
      this.#forgetServices.push(
        this.#metrics.gauge('opes_callout_connections', () => service.readyChannels, labels),
        this.#metrics.gauge('opes_callout_endpoints', () => service.options.endpoints.length, labels),
        this.#metrics.gauge('opes_callout_transactions', () => service.load, labels),
      );
    }
  }

  forget(): void {
    for (const forget of [...this.#forgets, ...this.#forgetServices.splice(0)]) forget();
  }
}
