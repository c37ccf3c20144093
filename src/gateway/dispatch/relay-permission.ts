/**
 * Who may send where (design D14). A route to a named domain is there to be used; one that leads anywhere (`*` for those who
 * come from outside, and whatever MX records say) serves only who logged in or comes from a network of ours. One decision, for
 * the RCPT path and for `opes check`.
 */
import { UNIX_PEER } from '../../smtp/index.ts';
import type { ListenerOptions } from '../options.ts';
import { isInNetwork, type Network, parseNetwork } from '../rules/network.ts';

export interface RelayRoute {
  /** Lower-case domain, `.example.com` or `*`. */
  readonly to: string;
  readonly nextHop: unknown;
}

export type RelayListener = Pick<ListenerOptions, 'isOnLoopback' | 'relayFrom' | 'proxyFrom' | 'xclientFrom'>;

export interface RelayClient {
  readonly isAuthenticated: boolean;
  /** From `relayFrom`; judged by `isRelayPeer`, once for a session. */
  readonly isRelayPeer: boolean;
  /** After PROXY and XCLIENT; never what XFORWARD says. */
  readonly peerAddress: string;
}

export function mayRelay(route: RelayRoute, listener: RelayListener, client: RelayClient): boolean {
  if (client.isAuthenticated || client.isRelayPeer) return true;
  if (isByMx(route.nextHop)) return false;
  return route.to !== '*' || isLocal(listener, client.peerAddress);
}

/** Nobody else reaches a loopback address, unless a proxy there speaks for others. */
function isLocal({ isOnLoopback, proxyFrom, xclientFrom }: RelayListener, address: string): boolean {
  const isForOthers = proxyFrom !== undefined || xclientFrom.length > 0;
  return isOnLoopback && (!isForOthers || address === '::1' || address.startsWith('127.'));
}

/** As the configuration has it, and as a route has it. */
function isByMx(nextHop: unknown): boolean {
  if (typeof nextHop !== 'object' || nextHop === null) return nextHop === 'mx';
  return 'kind' in nextHop && nextHop.kind === 'mx';
}

export function isRelayPeer(listener: Pick<RelayListener, 'relayFrom'>, address: string): boolean {
  return isInNetworks(address, listener.relayFrom);
}

/** `networks`: of a configuration, always the same list. A Unix socket's peer is in none but `unix`. */
export function isInNetworks(address: string, networks: readonly string[]): boolean {
  if (networks.length === 0) return false;
  if (address === UNIX_PEER) return networks.includes(UNIX_PEER);
  return networksOf(networks).some((network) => isInNetwork(address, network));
}

/** Read once for each listener. */
const networks = new WeakMap<readonly string[], readonly Network[]>();

function networksOf(list: readonly string[]): readonly Network[] {
  let found = networks.get(list);
  if (found === undefined) {
    found = list.map(parseNetwork).filter((network) => network !== undefined);
    networks.set(list, found);
  }
  return found;
}

/** Addresses far from each other: who lets all of a family relay lets anybody. (A network of one organisation may hold one.) */
const STRANGERS = [
  ['192.0.2.1', '198.51.100.1', '203.0.113.1'],
  ['2001:db8::1', '3fff::1'],
];

/** Whether a stranger from outside could send through this listener by this route. */
export function isOpenRelay(route: RelayRoute, listener: RelayListener): boolean {
  if (!isByMx(route.nextHop) && route.to !== '*') return false;
  // What only those reach who are on this machine is closed to strangers.
  if (listener.isOnLoopback && listener.proxyFrom === undefined && listener.xclientFrom.length === 0) return false;
  return STRANGERS.some((family) =>
    family.every((peerAddress) => {
      const client = { isAuthenticated: false, isRelayPeer: isRelayPeer(listener, peerAddress), peerAddress };
      return mayRelay(route, listener, client);
    }),
  );
}
