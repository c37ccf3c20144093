/** A pool of connections for each next hop, shared by all routes that lead there, and the way to the mail hosts of any domain. */
import type { Log, Metrics } from '../../base/index.ts';
import {
  type HopTls,
  NEXT_HOP_LIMITS,
  NextHop,
  type Outbound,
  type OutboundEvents,
  type OutboundFailure,
} from '../../smtp/index.ts';
import type { DnsOptions, RouteOptions } from '../options.ts';
import { MxHosts } from './mx-hosts.ts';
import type { OpenRelay, RelayEnvelope } from './open-relay.ts';

export interface NextHopsOptions {
  /** Our name in EHLO. */
  readonly helo: string;
  /** Connections to one hop. */
  readonly connections: number;
  readonly dns: DnsOptions;
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
  /** What nearly every mail asks for; a key is made of text. */
  readonly #ofRoute = new WeakMap<RouteOptions, NextHop>();
  /** What the hops that are gone had counted. */
  readonly #gone = { opened: 0, retried: 0 };
  #mx: MxHosts | undefined;

  constructor(options: NextHopsOptions) {
    this.#options = options;
  }

  /** Whether hops with these options would be the same. */
  isFor({ helo, connections, dns }: NextHopsOptions): boolean {
    const own = this.#options;
    return helo === own.helo && connections === own.connections && JSON.stringify(dns) === JSON.stringify(own.dns);
  }

  open(route: RouteOptions, envelope: RelayEnvelope, events: OutboundEvents): Outbound {
    const known = this.#ofRoute.get(route);
    if (known !== undefined) return known.open(envelope, events);
    if (route.nextHop.kind === 'mx') return this.#hosts().open(route, envelope, events);
    return this.#hop(route).open(envelope, events);
  }

  async close(drainMs: number): Promise<void> {
    const all: { close(drainMs: number): Promise<void> }[] = [...this.#hops.values()];
    if (this.#mx !== undefined) all.push(this.#mx);
    await Promise.all(all.map((hop) => hop.close(drainMs)));
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
    for (const { stats } of [...this.#hops.values(), ...(this.#mx?.hops() ?? [])]) {
      sum.connections += stats.connections;
      sum.idle += stats.idle;
      sum.waiting += stats.waiting;
      sum.opened += stats.opened;
      sum.retried += stats.retried;
    }
    return sum;
  }

  #hosts(): MxHosts {
    this.#mx ??= new MxHosts({ ...this.#options, onFailed: this.#onFailed });
    return this.#mx;
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
    return new NextHop({ address, tls: tlsOf(route), identity, auth, helo, limits, log, onFailed: this.#onFailed });
  }

  readonly #onFailed = ({ stage, reason }: OutboundFailure): void =>
    this.#options.metrics.count('opes_next_hop_failures_total', { stage, reason });
}

/** Routes share connections only where all of it is the same. */
function keyOf({ nextHop, tls, tlsCa, tlsName, identity, auth }: RouteOptions): string {
  return JSON.stringify([nextHop, tls, tlsCa?.toString('latin1'), tlsName, identity, auth]);
}

function tlsOf({ tls: policy, tlsCa: ca, tlsName: serverName }: RouteOptions): HopTls {
  if (policy === 'dane' || policy === 'mta-sts') throw new Error(`tls: ${policy} is for routes by MX`);
  return { policy, ca, serverName };
}

/** For QUIT and its answer. */
const QUIT_MS = 1000;
