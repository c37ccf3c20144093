/** The way to the next hops, as a mail sees it. Real ones are pools of connections (`smtp/net`); `opes check` has one that sends nothing. */
import type { Outbound, OutboundEnvelope, OutboundEvents } from '../../smtp/index.ts';
import type { RouteOptions } from '../options.ts';

export interface OpenRelay {
  /** A transaction with the route's next hop. Never waits: what goes wrong comes as an event. */
  open(route: RouteOptions, envelope: OutboundEnvelope, events: OutboundEvents): Outbound;
}
