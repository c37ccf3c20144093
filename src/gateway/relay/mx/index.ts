export { findDestination } from './find.ts';
export { type HostTarget, MxOutbound, type MxOutboundOptions, type OpenHost } from './mx-outbound.ts';
export { MxRelay, type MxRelayOptions } from './mx-relay.ts';
export {
  type Destination,
  type DestinationFacts,
  type HostFacts,
  type PlannedHost,
  planDestination,
  type RouteTls,
  type SkippedHost,
  type TlsDemand,
} from './plan.ts';
