/**
 * The figures of the running system: lines by name and labels (`children.ts`), added to while mail passes. What shows them
 * (`prometheus.ts`) is loaded where there is a page for it.
 */
import type { Counter, Histogram, MetricLabels, Metrics } from '../../base/index.ts';
import type { MetricDefinition } from '../../gateway/index.ts';
import { CounterLine, HistogramLine, ReadLine, type Sample } from './children.ts';

type Line = CounterLine | HistogramLine | ReadLine;

/** All lines of one name. */
export interface Family {
  readonly name: string;
  readonly kind: MetricDefinition['kind'];
  readonly help: string;
  readonly samples: () => Sample[];
}

const NO_LABELS: MetricLabels = {};

export class Figures implements Metrics {
  readonly #definitions: Readonly<Record<string, MetricDefinition>>;
  readonly #families = new Map<string, Map<string, Line>>();

  constructor(definitions: Readonly<Record<string, MetricDefinition>>) {
    this.#definitions = definitions;
    for (const name of Object.keys(definitions)) this.#families.set(name, new Map());
  }

  get families(): readonly Family[] {
    return [...this.#families].map(([name, lines]) => {
      const { kind, help } = this.#definitions[name] ?? { kind: 'counter', help: '' };
      return { name, kind, help, samples: () => [...lines.values()].flatMap((line) => line.samples()) };
    });
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
}

function keyOf(labels: MetricLabels): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
