/** The lines of counters and histograms: plain numbers, added to while mail passes, read when somebody looks. */
import type { Counter, Histogram, MetricLabels } from '../../base/index.ts';

/** One figure as the exposition format has it. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
  readonly exemplar?: Exemplar | null;
}

export interface Exemplar {
  readonly labelSet: Readonly<Record<string, string>>;
  readonly value: number;
  /** Seconds since 1970. */
  readonly timestamp: number;
}

export class CounterLine implements Counter {
  readonly labels: MetricLabels;
  #value = 0;

  constructor(labels: MetricLabels) {
    this.labels = labels;
  }

  add(by = 1): void {
    this.#value += by;
  }

  samples(): Sample[] {
    return [{ labels: this.labels, value: this.#value }];
  }
}

export class HistogramLine implements Histogram {
  readonly labels: MetricLabels;
  readonly #name: string;
  readonly #bounds: readonly number[];
  /** One more than bounds: the last takes what is above all of them. */
  readonly #counts: Float64Array;
  readonly #mails: (string | undefined)[];
  readonly #values: Float64Array;
  readonly #times: Float64Array;
  #sum = 0;

  constructor(name: string, bounds: readonly number[], labels: MetricLabels) {
    this.labels = labels;
    this.#name = name;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
    this.#values = new Float64Array(bounds.length + 1);
    this.#times = new Float64Array(bounds.length + 1);
    this.#mails = Array.from({ length: bounds.length + 1 }, () => undefined);
  }

  observe(seconds: number, mail?: string): void {
    const bounds = this.#bounds;
    let at = 0;
    // Most mail is quick: the first bounds catch it.
    while (at < bounds.length && seconds > (bounds[at] ?? 0)) at++;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += seconds;
    if (mail === undefined) return;
    this.#mails[at] = mail;
    this.#values[at] = seconds;
    this.#times[at] = Date.now();
  }

  samples(): Sample[] {
    const buckets: Sample[] = [];
    let count = 0;
    for (const [at, own] of this.#counts.entries()) {
      count += own;
      const le = this.#bounds[at] ?? '+Inf';
      const labels = { ...this.labels, le };
      buckets.push({ labels, value: count, metricName: `${this.#name}_bucket`, exemplar: this.#exemplar(at) });
    }
    return [
      ...buckets,
      { labels: this.labels, value: this.#sum, metricName: `${this.#name}_sum` },
      { labels: this.labels, value: count, metricName: `${this.#name}_count` },
    ];
  }

  #exemplar(at: number): Exemplar | null {
    const mail = this.#mails[at];
    if (mail === undefined) return null;
    return { labelSet: { mail }, value: this.#values[at] ?? 0, timestamp: (this.#times[at] ?? 0) / 1000 };
  }
}

/** Read when somebody looks. */
export class ReadLine {
  readonly labels: MetricLabels;
  readonly #read: () => number;

  constructor(labels: MetricLabels, read: () => number) {
    this.labels = labels;
    this.#read = read;
  }

  samples(): Sample[] {
    return [{ labels: this.labels, value: this.#read() }];
  }
}
