/** What the parts need from the world, as small seams. The real ones are made in `cli`; tests bring their own. */

/** A log line is an event name and fields; a field's value is never an object of ours, so that a line stays one line. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, unknown>>;

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Labels come from closed sets: never an address, an id or text from a peer. */
export type MetricLabels = Readonly<Record<string, string>>;

/** One line of a counter, its labels settled: to count is an addition. */
export interface Counter {
  add(by?: number): void;
}

/** One line of a histogram, its labels settled. */
export interface Histogram {
  /** `mail`: the id of the mail it was, shown beside the figure as its example. */
  observe(seconds: number, mail?: string): void;
}

/**
 * Figures for the operator, by name. What is counted for each mail is asked for once (`counter`, `histogram`) and kept by
 * whoever counts: nothing is looked up or made while mail passes.
 */
export interface Metrics {
  /** The same one for the same name and labels. */
  counter(name: string, labels?: MetricLabels): Counter;
  histogram(name: string, labels?: MetricLabels): Histogram;
  /** What is read when somebody looks: a gauge, or a counter that is kept elsewhere. Returns what takes it away again. */
  gauge(name: string, read: () => number, labels?: MetricLabels): () => void;
  /** For what is rare. */
  count(name: string, labels?: MetricLabels, by?: number): void;
}

const noCounter: Counter = { add() {} };
const noHistogram: Histogram = { observe() {} };

export const noMetrics: Metrics = {
  counter: () => noCounter,
  histogram: () => noHistogram,
  gauge: () => () => undefined,
  count() {},
};

/** Milliseconds that only grow; not the time of day. */
export type MonotonicClock = () => number;
