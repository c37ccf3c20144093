/** Addresses as text, by hand: the engine asks no socket library. Short forms (`127.1`, `0x7f000001`) are no addresses here. */

export type IpFamily = 'ipv4' | 'ipv6';

const DECIMAL = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = new RegExp(`^${DECIMAL}(?:\\.${DECIMAL}){3}$`);
const GROUP = /^[0-9A-Fa-f]{1,4}$/;

export function ipFamily(text: string): IpFamily | undefined {
  if (IPV4.test(text)) return 'ipv4';
  return isIpv6(text) ? 'ipv6' : undefined;
}

/** RFC 4291, 2.2: eight groups, or fewer and one `::`; the last two may be written as IPv4. No zone. */
function isIpv6(text: string): boolean {
  if (text.length > 45 || !text.includes(':')) return false;
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1) ?? '';
  const isMixed = last.includes('.');
  // `1.2.3.4::` is none: the dotted part ends the text.
  if (isMixed && (!IPV4.test(last) || halves.at(-1) === '')) return false;
  if (!(isMixed ? groups.slice(0, -1) : groups).every((group) => GROUP.test(group))) return false;
  const count = groups.length + (isMixed ? 1 : 0);
  return halves.length === 2 ? count <= 7 : count === 8;
}

const MAPPED = /^::ffff:(?:([0-9]+(?:\.[0-9]+){3})|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i;

/**
 * The address as people write it: an IPv4 peer of a dual-stack socket is an IPv4 peer (RFC 4291, 2.5.5.2), whether the last 32
 * bits came as it or as two groups, and a zone is nobody else's business.
 */
export function plainAddress(address: string): string {
  const mapped = MAPPED.exec(address);
  if (mapped === null) return address.replace(/%.*$/, '');
  const [, dotted, high = '', low = ''] = mapped;
  if (dotted !== undefined) return dotted;
  const [left, right] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [left >> 8, left & 0xff, right >> 8, right & 0xff].join('.');
}
