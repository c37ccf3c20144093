/** Sets of addresses and networks, as the configuration lists them, for questions about peers of sockets. */
import { BlockList, isIPv6 } from 'node:net';
import { UNIX_PEER } from './peer-counts.ts';

export type IsIn = (address: string) => boolean;

/** `10.0.0.0/8`, `2001:db8::/32`, one address, or `unix` each, checked when the configuration was read; anything else throws. */
export function makeNetworks(list: readonly string[]): IsIn {
  const blocks = new BlockList();
  const hasUnix = list.includes(UNIX_PEER);
  for (const text of list) {
    if (text === UNIX_PEER) continue;
    const [address = '', bits] = text.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) blocks.addAddress(address, family);
    else blocks.addSubnet(address, Number(bits), family);
  }
  // What is no address (a peer that is gone) is in none.
  return (address) => (address === UNIX_PEER ? hasUnix : blocks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'));
}
