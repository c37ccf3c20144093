/**
 * Names and addresses, checked once. `Domain` is what may go into a question: a host name in ASCII, lower case, no final
 * dot (RFC 1123 section 2.1, with `_`, which names such as `_mta-sts` and some hosts have). Names from answers pass the
 * same check: an octet that is no letter could end a log line or a header further on.
 */
import { domainToASCII } from 'node:url';

declare const checked: unique symbol;
export type Domain = string & { readonly [checked]: 'Domain' };

const LABEL = /^[a-z0-9_-]{1,63}$/;
/** RFC 1035 section 2.3.4: 255 octets on the wire, which is 253 characters. */
const MAX_NAME = 253;
/** Not even looked at: letters beyond ASCII make a name longer, never four times shorter. */
const MAX_TEXT = 4 * MAX_NAME;

/** The name as it is asked for; undefined where it can be no host's. Unicode is turned into A-labels (RFC 5891). */
export function readDomain(text: string): Domain | undefined {
  if (text.length > MAX_TEXT) return undefined;
  // Only for what needs it: the function also "repairs" ASCII, such as 1.2 into 1.0.0.2.
  const ascii = /[^\x00-\x7f]/.test(text) ? domainToASCII(text) : text;
  const name = (ascii.endsWith('.') ? ascii.slice(0, -1) : ascii).toLowerCase();
  if (name.length > MAX_NAME) return undefined;
  const labels = name.split('.');
  // A last label of digits is an address somebody wrote as a name (RFC 3696 section 2).
  if (!labels.every((label) => LABEL.test(label)) || /^\d+$/.test(labels.at(-1) ?? '')) return undefined;
  return name as Domain;
}

/** `_25._tcp.mx.example.com`, where that is not too long. */
export function belowDomain(prefix: string, domain: string): Domain | undefined {
  return readDomain(`${prefix}.${domain}`);
}

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

/** An IP address in its one canonical form (RFC 5952), or undefined. */
export function readAddress(text: string): string | undefined {
  if (IPV4.test(text)) return text;
  if (!text.includes(':') || !/^[0-9A-Fa-f:.]{2,45}$/.test(text)) return undefined;
  const url = `http://[${text}]/`;
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : undefined;
}

export function isIpv6(address: string): boolean {
  return address.includes(':');
}

/** RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3, and either written as an IPv4-mapped address. Of canonical forms. */
export function isLoopback(address: string): boolean {
  return /^(?:127\.|::1$|::ffff:7f[0-9a-f]{2}:)/.test(address);
}

/** Who connects there is connected to the machine he is on: loopback, and the unspecified address, which no other has. */
export function isThisMachine(address: string): boolean {
  return isLoopback(address) || /^(?:0\.0\.0\.0|::|::ffff:0:0)$/.test(address);
}

/** RFC 5321 section 4.1.3: the address within `[192.0.2.1]` or `[IPv6:2001:db8::1]`. */
export function readLiteral(text: string): string | undefined {
  const found = /^\[(IPv6:)?([^\]]*)\]$/i.exec(text);
  const address = readAddress(found?.[2] ?? '');
  return address !== undefined && isIpv6(address) === (found?.[1] !== undefined) ? address : undefined;
}

export function isLiteral(text: string): boolean {
  return text.startsWith('[');
}
