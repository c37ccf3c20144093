/** A pool of connections for each next hop, shared by all routes that lead there. */
import type { Log } from '../../base/index.ts';
import {
  NEXT_HOP_LIMITS,
  NextHop,
  type Outbound,
  type OutboundEnvelope,
  type OutboundEvents,
} from '../../smtp/index.ts';
import type { RouteOptions } from '../options.ts';
import type { OpenRelay } from './open-relay.ts';

export interface NextHopsOptions {
  /** Our name in EHLO. */
  readonly helo: string;
  /** Connections to one hop. */
  readonly connections: number;
  readonly log: Log;
}

export class NextHops implements OpenRelay {
  readonly #options: NextHopsOptions;
  readonly #hops = new Map<string, NextHop>();

  constructor(options: NextHopsOptions) {
    this.#options = options;
  }

  open(route: RouteOptions, envelope: OutboundEnvelope, events: OutboundEvents): Outbound {
    return this.#hop(route).open(envelope, events);
  }

  async close(drainMs: number): Promise<void> {
    await Promise.all([...this.#hops.values()].map((hop) => hop.close(drainMs)));
  }

  #hop(route: RouteOptions): NextHop {
    const { host, port } = route.nextHop;
    const key = `${host} ${port} ${route.tls}`;
    let hop = this.#hops.get(key);
    if (hop === undefined) {
      const { helo, connections, log } = this.#options;
      hop = new NextHop({ host, port, tls: route.tls, helo, limits: { ...NEXT_HOP_LIMITS, connections }, log });
      this.#hops.set(key, hop);
    }
    return hop;
  }
}
