/** The way to the next hops, as a mail sees it. Real ones are pools of connections (`smtp/net`); `opes check` has one that sends nothing. */
import type { ClientIdentity, Outbound, OutboundEnvelope, OutboundEvents } from '../../smtp/index.ts';
import type { RouteOptions } from '../options.ts';

export type { ClientIdentity };

export interface RelayEnvelope extends OutboundEnvelope {
  /** Whose mail it is; told to hops whose route says so. Undefined for mail of our own making. */
  readonly client?: ClientIdentity | undefined;
  /** Of the first recipient, lower-case: by which a route by MX finds its hosts. */
  readonly domain?: string | undefined;
}

export interface OpenRelay {
  /** A transaction with the route's next hop. Never waits: what goes wrong comes as an event. */
  open(route: RouteOptions, envelope: RelayEnvelope, events: OutboundEvents): Outbound;
}
