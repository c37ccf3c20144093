/**
 * The header of the PROXY protocol, version 2 (proxy-protocol.txt, section 2.2), which goes out before anything else on a
 * connection, TLS included:
 *
 *     12 octets of signature | version and command | family and transport | length (2) | addresses | ports
 *
 * `LOCAL` says that the connection is our own business and nobody's mail.
 */
const SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const VERSION_LOCAL = 0x20;
const VERSION_PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;

export interface Endpoint {
  readonly address: string;
  readonly port?: number | undefined;
}

const LOCAL = Buffer.concat([SIGNATURE, Buffer.from([VERSION_LOCAL, 0, 0, 0])]);

/** `to`: where the client meant to go. Its family must be the client's; where it is not, no address stands there. */
export function proxyHeader(from: Endpoint | undefined, to: Endpoint): Buffer {
  const source = from === undefined ? undefined : readAddress(from.address);
  if (from === undefined || source === undefined) return LOCAL;
  const target = readAddress(to.address);
  const isSame = target?.length === source.length;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(from.port ?? 0, 0);
  ports.writeUInt16BE(isSame ? (to.port ?? 0) : 0, 2);
  const addresses = Buffer.concat([source, isSame ? target : Buffer.alloc(source.length), ports]);
  const head = Buffer.from([VERSION_PROXY, source.length === 4 ? TCP4 : TCP6, 0, addresses.length]);
  return Buffer.concat([SIGNATURE, head, addresses]);
}

/** The octets of an address in text: 4 or 16. An IPv4 address in IPv6 clothes is taken for what it is. */
export function readAddress(text: string): Buffer | undefined {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  return readIpv4(mapped ?? text) ?? readIpv6(text);
}

function readIpv4(text: string): Buffer | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined;
  return Buffer.from(parts.map(Number));
}

/** RFC 4291 section 2.2, without a zone. */
function readIpv6(text: string): Buffer | undefined {
  const [head = '', tail, more] = text.split('::');
  if (more !== undefined) return undefined;
  const left = readGroups(head);
  const right = tail === undefined ? [] : readGroups(tail);
  if (left === undefined || right === undefined) return undefined;
  const missing = 16 - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 2) return undefined;
  return Buffer.from([...left, ...Buffer.alloc(missing), ...right]);
}

function readGroups(text: string): number[] | undefined {
  if (text === '') return [];
  const out: number[] = [];
  const groups = text.split(':');
  for (const [i, group] of groups.entries()) {
    const ipv4 = i === groups.length - 1 ? readIpv4(group) : undefined;
    if (ipv4 !== undefined) out.push(...ipv4);
    else if (/^[0-9A-Fa-f]{1,4}$/.test(group))
      out.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255);
    else return undefined;
  }
  return out.length > 16 ? undefined : out;
}
