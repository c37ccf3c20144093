/** A pool of connections for each next hop, shared by all routes that lead there. */
import type { Log, Metrics } from '../../base/index.ts';
import {
  NEXT_HOP_LIMITS,
  NextHop,
  type Outbound,
  type OutboundEnvelope,
  type OutboundEvents,
  type OutboundFailure,
} from '../../smtp/index.ts';
import type { RouteOptions } from '../options.ts';
import type { OpenRelay } from './open-relay.ts';

export interface NextHopsOptions {
  /** Our name in EHLO. */
  readonly helo: string;
  /** Connections to one hop. */
  readonly connections: number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Of all hops together: a hop's name is no label, as there may be any number of them. */
export interface NextHopTotals {
  connections: number;
  idle: number;
  waiting: number;
  opened: number;
  retried: number;
}

export class NextHops implements OpenRelay {
  readonly #options: NextHopsOptions;
  readonly #hops = new Map<string, NextHop>();
  /** What the hops that are gone had counted. */
  readonly #gone = { opened: 0, retried: 0 };

  constructor(options: NextHopsOptions) {
    this.#options = options;
  }

  /** Whether hops with these options would be the same. */
  isFor({ helo, connections }: NextHopsOptions): boolean {
    return helo === this.#options.helo && connections === this.#options.connections;
  }

  open(route: RouteOptions, envelope: OutboundEnvelope, events: OutboundEvents): Outbound {
    return this.#hop(route).open(envelope, events);
  }

  async close(drainMs: number): Promise<void> {
    await Promise.all([...this.#hops.values()].map((hop) => hop.close(drainMs)));
  }

  /** Closes the hops that none of these routes leads to; their mails are over. */
  retain(routes: readonly RouteOptions[]): void {
    const wanted = new Set(routes.map(keyOf));
    for (const [key, hop] of this.#hops) {
      if (wanted.has(key)) continue;
      this.#hops.delete(key);
      this.#gone.opened += hop.stats.opened;
      this.#gone.retried += hop.stats.retried;
      void hop.close(QUIT_MS);
    }
  }

  totals(): NextHopTotals {
    const sum: NextHopTotals = { connections: 0, idle: 0, waiting: 0, ...this.#gone };
    for (const { stats } of this.#hops.values()) {
      sum.connections += stats.connections;
      sum.idle += stats.idle;
      sum.waiting += stats.waiting;
      sum.opened += stats.opened;
      sum.retried += stats.retried;
    }
    return sum;
  }

  #hop(route: RouteOptions): NextHop {
    const { host, port } = route.nextHop;
    const key = keyOf(route);
    let hop = this.#hops.get(key);
    if (hop === undefined) {
      const { helo, connections, log } = this.#options;
      const limits = { ...NEXT_HOP_LIMITS, connections };
      hop = new NextHop({ host, port, tls: route.tls, helo, limits, log, onFailed: this.#onFailed });
      this.#hops.set(key, hop);
    }
    return hop;
  }

  readonly #onFailed = ({ stage, reason }: OutboundFailure): void =>
    this.#options.metrics.count('opes_next_hop_failures_total', { stage, reason });
}

function keyOf({ nextHop, tls }: RouteOptions): string {
  return `${nextHop.host} ${nextHop.port} ${tls}`;
}

/** For QUIT and its answer. */
const QUIT_MS = 1000;
