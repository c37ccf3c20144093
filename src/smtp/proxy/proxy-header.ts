/**
 * The header a proxy puts before a connection's first octet, both versions of it (HAProxy, proxy-protocol.txt): whose
 * connection it is. Both are fixed in form and short, so they are read whole or refused; what is no header is never guessed
 * to be SMTP, for then anybody who reaches the port could say who he is.
 */
import { bad, CR, got, LF, MORE, type Step } from '../../base/index.ts';
import { type IpFamily, ipFamily } from '../ip-address.ts';

export interface ProxyHeader {
  /** The client; `undefined`: the proxy speaks for itself (LOCAL), or for what has no IP address (UNKNOWN, a Unix socket). */
  readonly source: { readonly address: string; readonly port: number } | undefined;
}

/** Octets of a version 1 line with its CRLF (section 2.1). */
const MAX_V1 = 107;
/** Version 2: signature, two octets of commands, two of length (section 2.2). */
const V2_HEAD = 16;
/** The length may say 65,535. The addresses take 216 at most; the rest are TLVs, of which certificate names are the longest. */
const MAX_V2_REST = 4096;
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V1_START = Buffer.from('PROXY ', 'latin1');

/** Takes the header at the start of `buf`. */
export function takeProxyHeader(buf: Buffer): Step<ProxyHeader> {
  if (buf.length === 0) return MORE;
  if (startsLike(buf, V2_SIGNATURE)) return buf.length < V2_HEAD ? MORE : takeV2(buf);
  if (startsLike(buf, V1_START)) return takeV1(buf);
  return bad('no-proxy-header', 0);
}

/** As far as `buf` goes. */
function startsLike(buf: Buffer, start: Buffer): boolean {
  const size = Math.min(buf.length, start.length);
  return buf.compare(start, 0, size, 0, size) === 0;
}

/**
 *     PROXY TCP4 192.0.2.1 198.51.100.1 56324 25 CRLF        PROXY UNKNOWN anything CRLF
 */
function takeV1(buf: Buffer): Step<ProxyHeader> {
  const limit = Math.min(buf.length, MAX_V1);
  let end = 0;
  while (end < limit && buf[end] !== CR && buf[end] !== LF) end++;
  if (end > MAX_V1 - 2) return bad('proxy-v1-length', 0);
  if (end === buf.length || (buf[end] === CR && end + 1 === buf.length)) return MORE;
  if (buf[end] !== CR || buf[end + 1] !== LF) return bad('proxy-v1-line', end);
  const line = buf.toString('latin1', 0, end);
  const used = end + 2;
  if (line === 'PROXY UNKNOWN' || line.startsWith('PROXY UNKNOWN ')) return got(NOBODY, used);
  const m = /^PROXY TCP([46]) (\S+) (\S+) (\d{1,5}) (\d{1,5})$/.exec(line);
  if (m === null) return bad('proxy-v1-line', 0);
  const [, version, address = '', destination = '', port = '', destinationPort = ''] = m;
  const family: IpFamily = version === '4' ? 'ipv4' : 'ipv6';
  if (ipFamily(address) !== family || ipFamily(destination) !== family) return bad('proxy-v1-address', 0);
  if (!isPort(port) || !isPort(destinationPort)) return bad('proxy-v1-port', 0);
  return got({ source: { address, port: Number(port) } }, used);
}

/** No leading zeros: section 2.1 writes integers in their shortest form. */
function isPort(text: string): boolean {
  return /^(?:0|[1-9][0-9]*)$/.test(text) && Number(text) <= 65_535;
}

const NOBODY: ProxyHeader = { source: undefined };

// Address families of version 2, in the upper half of octet 13; the lower half is the transport.
const AF_INET = 1;
const AF_INET6 = 2;
const AF_UNIX = 3;
const STREAM = 1;

/** The octets of both addresses and ports. */
const ADDRESS_OCTETS: ReadonlyMap<number, number> = new Map([
  [AF_INET, 12],
  [AF_INET6, 36],
  [AF_UNIX, 216],
]);

function takeV2(buf: Buffer): Step<ProxyHeader> {
  const versionAndCommand = buf[12] as number;
  const family = (buf[13] as number) >> 4;
  const transport = (buf[13] as number) & 0x0f;
  const rest = buf.readUInt16BE(14);
  if (versionAndCommand >> 4 !== 2) return bad('proxy-v2-version', 12);
  const command = versionAndCommand & 0x0f;
  if (command > 1) return bad('proxy-v2-command', 12);
  if (rest > MAX_V2_REST) return bad('proxy-v2-length', 14);
  const needed = ADDRESS_OCTETS.get(family) ?? 0;
  // LOCAL's addresses are to be ignored, with their form.
  if (command === 1 && rest < needed) return bad('proxy-v2-length', 14);
  const used = V2_HEAD + rest;
  if (buf.length < used) return MORE;
  if (command === 0) return got(NOBODY, used);
  if (family === AF_INET && transport === STREAM) return got(ipv4Source(buf), used);
  if (family === AF_INET6 && transport === STREAM) return got(ipv6Source(buf), used);
  // AF_UNSPEC, a Unix socket, datagrams: section 2.2 lets the receiver use the connection's own address.
  return got(NOBODY, used);
}

function ipv4Source(buf: Buffer): ProxyHeader {
  const address = buf.subarray(V2_HEAD, V2_HEAD + 4).join('.');
  return { source: { address, port: buf.readUInt16BE(V2_HEAD + 8) } };
}

function ipv6Source(buf: Buffer): ProxyHeader {
  const groups = Array.from({ length: 8 }, (_, i) => buf.readUInt16BE(V2_HEAD + 2 * i));
  return { source: { address: writeIpv6(groups), port: buf.readUInt16BE(V2_HEAD + 32) } };
}

/** RFC 5952, 4: the longest run of two or more zero groups, the first of equals, becomes `::`. */
function writeIpv6(groups: readonly number[]): string {
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const texts = groups.map((group) => group.toString(16));
  if (best.length < 2) return texts.join(':');
  return `${texts.slice(0, best.start).join(':')}::${texts.slice(best.start + best.length).join(':')}`;
}
