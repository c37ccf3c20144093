/**
 * What the mails of one configuration use and a reload may keep: connections to callout servers and to next hops. Equal
 * settings mean the same object; so an unchanged service does not notice a reload.
 */
import { isDeepStrictEqual } from 'node:util';
import type { CalloutWorld } from './callouts/callout-channel.ts';
import { CalloutService } from './callouts/callout-service.ts';
import type { GatewayOptions, ServiceOptions } from './options.ts';
import { NextHops } from './relay/next-hops.ts';

export interface GatewayParts {
  readonly services: readonly CalloutService[];
  readonly hops: NextHops;
}

/** Parts for `options`; those of `before` where they are the same. The new ones are not started. */
export function makeParts(
  options: GatewayOptions,
  callouts: CalloutWorld,
  before: readonly GatewayParts[],
): GatewayParts {
  const known = before.flatMap((parts) => parts.services);
  const services = options.services.map(
    (service) => known.find((one) => isSameService(one.options, service)) ?? new CalloutService(service, callouts),
  );
  const { log, metrics, limits, hostname, dns } = options;
  const hopOptions = { helo: hostname, connections: limits.nextHopConnections, dns, log, metrics };
  const hops = before.map((parts) => parts.hops).find((one) => one.isFor(hopOptions)) ?? new NextHops(hopOptions);
  return { services, hops };
}

/** Certificates are compared octet by octet: a renewed one makes a new connection. */
export function isSameService(a: ServiceOptions, b: ServiceOptions): boolean {
  return isDeepStrictEqual(a, b);
}
