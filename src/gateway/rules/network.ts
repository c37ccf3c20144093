/** Networks as rules name them: `10.0.0.0/8`, `2001:db8::/32`, or one address. */
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
export type Network = readonly [Address, number];

/** `undefined`: not a network. Short forms (`10/8`, `127.1`, `0x7f000001`) are refused: programs read them differently. */
export function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  if (!isAddress(address)) return undefined;
  if (slash >= 0) return ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : undefined;
  const parsed = ipaddr.parse(address);
  return [parsed, parsed.kind() === 'ipv4' ? 32 : 128];
}

/** Whether the address is in the network. An IPv4 address in IPv6 clothes counts as IPv4; what is no address is in none. */
export function isInNetwork(address: string, [network, bits]: Network): boolean {
  if (address !== lastText) {
    lastText = address;
    lastAddress = isAddress(address) ? ipaddr.process(address) : undefined;
  }
  return lastAddress !== undefined && lastAddress.kind() === network.kind() && lastAddress.match(network, bits);
}

// Asked of one address for each network of a list: to read it costs far more than to compare it.
let lastText = '';
let lastAddress: Address | undefined;

function isAddress(text: string): boolean {
  return text.includes(':') ? ipaddr.IPv6.isValid(text) : ipaddr.IPv4.isValidFourPartDecimal(text);
}
