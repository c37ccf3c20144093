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

/** Counters and histograms by name. Labels come from closed sets: never an address, an id or text from a peer. */
export interface Metrics {
  count(name: string, labels?: Readonly<Record<string, string>>, by?: number): void;
  observe(name: string, seconds: number, labels?: Readonly<Record<string, string>>): void;
}

export const noMetrics: Metrics = { count() {}, observe() {} };

/** Milliseconds that only grow; not the time of day. */
export type MonotonicClock = () => number;
