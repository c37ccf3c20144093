/** A pool of connections for each next hop, shared by all routes that lead there. */
import type { Log } from '../../base/index.ts';
import { type HopTls, NEXT_HOP_LIMITS, NextHop, type Outbound, type OutboundEvents } from '../../smtp/index.ts';
import type { RouteOptions } from '../options.ts';
import type { OpenRelay, RelayEnvelope } from './open-relay.ts';

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
  /** What nearly every mail asks for; a key is made of text. */
  readonly #ofRoute = new WeakMap<RouteOptions, NextHop>();

  constructor(options: NextHopsOptions) {
    this.#options = options;
  }

  open(route: RouteOptions, envelope: RelayEnvelope, events: OutboundEvents): Outbound {
    return (this.#ofRoute.get(route) ?? this.#hop(route)).open(envelope, events);
  }

  async close(drainMs: number): Promise<void> {
    await Promise.all([...this.#hops.values()].map((hop) => hop.close(drainMs)));
  }

  #hop(route: RouteOptions): NextHop {
    const key = keyOf(route);
    const hop = this.#hops.get(key) ?? this.#make(route);
    this.#hops.set(key, hop);
    this.#ofRoute.set(route, hop);
    return hop;
  }

  #make(route: RouteOptions): NextHop {
    const { nextHop: address, identity, auth } = route;
    if (address.kind === 'mx') throw new Error('a route by MX has no one next hop');
    const { helo, connections, log } = this.#options;
    const limits = { ...NEXT_HOP_LIMITS, connections };
    return new NextHop({ address, tls: tlsOf(route), identity, auth, helo, limits, log });
  }
}

/** Routes share connections only where all of it is the same. */
function keyOf({ nextHop, tls, tlsCa, tlsName, identity, auth }: RouteOptions): string {
  return JSON.stringify([nextHop, tls, tlsCa?.toString('latin1'), tlsName, identity, auth]);
}

function tlsOf({ tls: policy, tlsCa: ca, tlsName: serverName }: RouteOptions): HopTls {
  if (policy === 'dane' || policy === 'mta-sts') throw new Error(`tls: ${policy} is for routes by MX`);
  return { policy, ca, serverName };
}
