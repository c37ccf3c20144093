/**
 * Figures as text by prom-client: its formats, and its figures of the process. The lines are ours (`children.ts`), since
 * prom-client looks a line up by its labels each time, and twice where there is an exemplar.
 */
import {
  collectDefaultMetrics,
  type Metric,
  type OpenMetricsContentType,
  type PrometheusContentType,
  Registry,
} from 'prom-client';
import type { Sample } from './children.ts';
import type { Family } from './figures.ts';

/** What a registry asks of a metric. */
interface Asked {
  readonly name: string;
  get(): Promise<{ name: string; help: string; type: string; values: Sample[]; aggregator: 'sum' }>;
}

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

export class Prometheus {
  readonly #plain = new Registry<PrometheusContentType>();
  readonly #open = new Registry<OpenMetricsContentType>();

  /** From now on what Node and the system say of this process is followed as well; it costs a little. */
  constructor(families: readonly Family[]) {
    this.#open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    for (const family of families) {
      const { name, kind, help } = family;
      this.#register({
        name,
        get: async () => ({ name, help, type: kind, values: family.samples(), aggregator: 'sum' }),
      });
    }
    const process = new Registry();
    collectDefaultMetrics({ register: process });
    for (const metric of process.getMetricsAsArray()) this.#register(metric as unknown as Asked);
  }

  /** All of it as text: OpenMetrics, with ids of mails as exemplars, where `accept` asks for it. */
  async text(accept: string): Promise<Exposition> {
    const registry = accept.includes('application/openmetrics-text') ? this.#open : this.#plain;
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  /** A counter is called without `_total` in OpenMetrics; prom-client puts that back on its lines. */
  #register(metric: Asked): void {
    this.#plain.registerMetric(asMetric(metric));
    const bare = async () => {
      const got = await metric.get();
      return got.type === 'counter' ? { ...got, name: got.name.replace(/_total$/, '') } : got;
    };
    this.#open.registerMetric(asMetric({ name: metric.name, get: bare }));
  }
}

/** A registry needs no more of a metric than `Asked`; its type wants prom-client's own classes. */
function asMetric(metric: Asked): Metric {
  return metric as unknown as Metric;
}
