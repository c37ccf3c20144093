/**
 * The mail hosts of the world (`nextHop: mx`): look-ups, and a pool of connections for each address and what TLS it must
 * have. There may be any number of them, so those that nobody uses are given up.
 */

import type { Log } from '../../base/index.ts';
import { type Dns, isThisMachine, openDns } from '../../dns/index.ts';
import {
  type HopTls,
  NEXT_HOP_LIMITS,
  NextHop,
  type Outbound,
  type OutboundEvents,
  type OutboundFailure,
} from '../../smtp/index.ts';
import type { DnsOptions, RouteOptions } from '../options.ts';
import { type HostTarget, MxRelay, type TlsDemand } from './mx/index.ts';
import type { RelayEnvelope } from './open-relay.ts';

export interface MxHostsOptions {
  readonly helo: string;
  readonly connections: number;
  readonly dns: DnsOptions;
  readonly log: Log;
  readonly onFailed: (failure: OutboundFailure) => void;
  /** For tests, whose hosts are on this machine. */
  readonly smtpPort?: number;
  readonly isOwnAddress?: (address: string) => boolean;
}

/** Pools kept; above it those without connections are given up. */
const MAX_POOLS = 500;

export class MxHosts {
  readonly #options: MxHostsOptions;
  readonly #dns: Dns;
  readonly #relay: MxRelay;
  readonly #pools = new Map<string, NextHop>();

  constructor(options: MxHostsOptions) {
    this.#options = options;
    const { helo, dns, log, isOwnAddress = isThisMachine } = options;
    this.#dns = openDns({ ...(dns.servers && { servers: dns.servers }), trustAd: dns.trustAd });
    this.#relay = new MxRelay({
      dns: this.#dns,
      self: { names: new Set([helo.toLowerCase()]), isOwnAddress },
      openHost: (target, envelope, events) => this.#pool(target).open(envelope, events),
      clock: () => performance.now(),
      log,
    });
  }

  open(route: RouteOptions, envelope: RelayEnvelope, events: OutboundEvents): Outbound {
    return this.#relay.open(envelope.domain ?? '', route.tls, envelope, events);
  }

  hops(): Iterable<NextHop> {
    return this.#pools.values();
  }

  async close(drainMs: number): Promise<void> {
    this.#dns.close();
    await Promise.all([...this.#pools.values()].map((hop) => hop.close(drainMs)));
  }

  #pool({ address, port, tlsName, tls }: HostTarget): NextHop {
    const key = JSON.stringify([address, port, tlsName, tls]);
    let hop = this.#pools.get(key);
    if (hop === undefined) {
      if (this.#pools.size >= MAX_POOLS) this.#sweep();
      const { helo, connections, log, onFailed, smtpPort } = this.#options;
      const limits = { ...NEXT_HOP_LIMITS, connections };
      const at = { kind: 'smtp', host: address, port: smtpPort ?? port } as const;
      hop = new NextHop({ address: at, tls: hopTls(tls, tlsName), helo, limits, log, onFailed });
      this.#pools.set(key, hop);
    }
    return hop;
  }

  #sweep(): void {
    for (const [key, { stats }] of this.#pools)
      if (stats.connections === 0 && stats.waiting === 0) this.#pools.delete(key);
  }
}

function hopTls(tls: TlsDemand, serverName: string | undefined): HopTls {
  switch (tls.kind) {
    case 'none':
    case 'may':
    case 'require':
      return { policy: tls.kind, serverName };
    case 'verify':
      return { policy: 'verify', serverName, verify: { kind: 'names', names: tls.names } };
    case 'dane':
      return { policy: 'verify', serverName, verify: { kind: 'tlsa', records: tls.records, names: tls.names } };
  }
}
