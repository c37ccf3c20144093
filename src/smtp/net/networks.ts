/** Sets of addresses and networks, as the configuration lists them, for questions about peers of sockets. */
import { BlockList, isIPv6 } from 'node:net';

export type IsIn = (address: string) => boolean;

/** `10.0.0.0/8`, `2001:db8::/32` or one address each, checked when the configuration was read; anything else throws. */
export function makeNetworks(list: readonly string[]): IsIn {
  const blocks = new BlockList();
  for (const text of list) {
    const [address = '', bits] = text.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) blocks.addAddress(address, family);
    else blocks.addSubnet(address, Number(bits), family);
  }
  // What is no address (a peer that is gone) is in none.
  return (address) => blocks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
