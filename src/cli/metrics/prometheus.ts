/**
 * The `Metrics` port over prom-client: its text formats and its figures of the process; the lines are ours (`children.ts`),
 * since prom-client looks a line up by its labels each time, and twice where there is an exemplar.
 */
import {
  collectDefaultMetrics,
  type Metric,
  type OpenMetricsContentType,
  type PrometheusContentType,
  Registry,
} from 'prom-client';
import type { Counter, Histogram, MetricLabels, Metrics } from '../../base/index.ts';
import type { MetricDefinition } from '../../gateway/index.ts';
import { CounterLine, HistogramLine, ReadLine, type Sample } from './children.ts';

type Line = CounterLine | HistogramLine | ReadLine;

/** What a registry asks of a metric. */
interface Family {
  readonly name: string;
  get(): Promise<{ name: string; help: string; type: string; values: Sample[]; aggregator: 'sum' }>;
}

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

const NO_LABELS: MetricLabels = {};

export class PrometheusMetrics implements Metrics {
  readonly #definitions: Readonly<Record<string, MetricDefinition>>;
  readonly #families = new Map<string, Map<string, Line>>();
  readonly #plain = new Registry<PrometheusContentType>();
  readonly #open = new Registry<OpenMetricsContentType>();
  #isProcessWatched = false;

  constructor(definitions: Readonly<Record<string, MetricDefinition>>) {
    this.#definitions = definitions;
    this.#open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    for (const name of Object.keys(definitions)) this.#family(name);
  }

  /** Also what Node and the system say of this process; it costs a little, so not before somebody may look. */
  watchProcess(): void {
    if (this.#isProcessWatched) return;
    this.#isProcessWatched = true;
    const process = new Registry();
    collectDefaultMetrics({ register: process });
    for (const metric of process.getMetricsAsArray()) this.#register(metric as unknown as Family);
  }

  counter(name: string, labels: MetricLabels = NO_LABELS): Counter {
    const made = this.#line(name, labels, () => new CounterLine(labels));
    if (made instanceof CounterLine && this.#definitions[name]?.kind === 'counter') return made;
    throw new Error(`metric ${name} is no counter to be added to`);
  }

  histogram(name: string, labels: MetricLabels = NO_LABELS): Histogram {
    const bounds = this.#definitions[name]?.buckets ?? [];
    const made = this.#line(name, labels, () => new HistogramLine(name, bounds, labels));
    if (made instanceof HistogramLine && this.#definitions[name]?.kind === 'histogram') return made;
    throw new Error(`metric ${name} is no histogram`);
  }

  gauge(name: string, read: () => number, labels: MetricLabels = NO_LABELS): () => void {
    const key = keyOf(labels);
    const lines = this.#linesOf(name, labels);
    const line = new ReadLine(labels, read);
    lines.set(key, line);
    return () => {
      // Somebody else may have taken its place.
      if (lines.get(key) === line) lines.delete(key);
    };
  }

  count(name: string, labels: MetricLabels = NO_LABELS, by = 1): void {
    this.counter(name, labels).add(by);
  }

  /** All of it as text: OpenMetrics, with ids of mails as exemplars, where `accept` asks for it. */
  async text(accept: string): Promise<Exposition> {
    const registry = accept.includes('application/openmetrics-text') ? this.#open : this.#plain;
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  #line(name: string, labels: MetricLabels, make: () => Line): Line {
    const lines = this.#linesOf(name, labels);
    const key = keyOf(labels);
    let line = lines.get(key);
    if (line === undefined) {
      line = make();
      lines.set(key, line);
    }
    return line;
  }

  /** A name or label nobody defined is a bug: it would be a figure that no page explains. */
  #linesOf(name: string, labels: MetricLabels): Map<string, Line> {
    const lines = this.#families.get(name);
    if (lines === undefined) throw new Error(`there is no metric ${name}`);
    const names = this.#definitions[name]?.labels ?? [];
    const given = Object.keys(labels);
    if (given.length !== names.length || !given.every((one) => names.includes(one)))
      throw new Error(`metric ${name} has the labels ${names.join(', ')}, not ${given.join(', ')}`);
    return lines;
  }

  #family(name: string): void {
    const lines = new Map<string, Line>();
    this.#families.set(name, lines);
    const { kind, help } = this.#definitions[name] ?? { kind: 'counter', help: '' };
    this.#register({
      name,
      get: async () => {
        const values = [...lines.values()].flatMap((line) => line.samples());
        return { name, help, type: kind, values, aggregator: 'sum' };
      },
    });
  }

  /** A counter is called without `_total` in OpenMetrics; prom-client puts that back on its lines. */
  #register(family: Family): void {
    this.#plain.registerMetric(asMetric(family));
    const bare = async () => {
      const got = await family.get();
      return got.type === 'counter' ? { ...got, name: got.name.replace(/_total$/, '') } : got;
    };
    this.#open.registerMetric(asMetric({ name: family.name, get: bare }));
  }
}

/** A registry needs no more of a metric than `Family`; its type wants prom-client's own classes. */
function asMetric(family: Family): Metric {
  return family as unknown as Metric;
}

function keyOf(labels: MetricLabels): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
