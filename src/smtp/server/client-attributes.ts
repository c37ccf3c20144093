/**
 * What a proxy tells of the client behind it: the arguments of XCLIENT and XFORWARD (Postfix, XCLIENT_README and
 * XFORWARD_README), which share their form:
 *
 *     1*( SP attribute-name "=" attribute-value )        ; the value is xtext (RFC 3461, 4)
 *
 * `[UNAVAILABLE]` and `[TEMPUNAVAIL]` are values, too: the proxy does not know. Whoever believes a peer has configured it;
 * values are judged all the same, for they go into headers, logs and rules.
 */
import { ipFamily, plainAddress } from '../ip-address.ts';
import { replies } from '../replies.ts';
import type { Reply } from '../reply.ts';

export type AttributeName =
  | 'NAME'
  | 'ADDR'
  | 'PORT'
  | 'PROTO'
  | 'HELO'
  | 'LOGIN'
  | 'DESTADDR'
  | 'DESTPORT'
  | 'IDENT'
  | 'SOURCE';

/** By name; `undefined` where the proxy does not know. What is not in the map was not spoken of. Addresses are bare. */
export type ClientAttributes = ReadonlyMap<AttributeName, string | undefined>;

export const NO_ATTRIBUTES: ClientAttributes = new Map();

/** In the order announced. */
export const XCLIENT_NAMES: readonly AttributeName[] = [
  'NAME',
  'ADDR',
  'PORT',
  'PROTO',
  'HELO',
  'LOGIN',
  'DESTADDR',
  'DESTPORT',
];
export const XFORWARD_NAMES: readonly AttributeName[] = ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'IDENT', 'SOURCE'];

const UNKNOWN = /^\[(?:UNAVAILABLE|TEMPUNAVAIL)\]$/i;
/** Longer than any name of these has a use for; XFORWARD_README allows 255. */
const MAX_VALUE = 255;

/** A name twice is refused, as are empty values: two readers would take different ones. */
export function parseAttributes(argument: string, known: readonly AttributeName[]): ClientAttributes | Reply {
  const found = new Map<AttributeName, string | undefined>();
  for (const word of argument.split(' ')) {
    if (word === '') continue;
    const equals = word.indexOf('=');
    const keyword = word.slice(0, Math.max(0, equals)).toUpperCase();
    const name = known.find((one) => one === keyword);
    if (name === undefined || found.has(name)) return replies.badAttribute;
    const text = decodeXtext(word.slice(equals + 1));
    if (text === undefined || text === '' || text.length > MAX_VALUE) return replies.badAttribute;
    if (UNKNOWN.test(text)) {
      found.set(name, undefined);
      continue;
    }
    const value = FORMS[name](text);
    if (value === undefined) return replies.badAttribute;
    found.set(name, value);
  }
  return found.size === 0 ? replies.badAttribute : found;
}

/** `+HH` is an octet; RFC 3461 forbids `=` in it, which Postfix does not always encode, and a lone `+`. */
export function decodeXtext(text: string): string | undefined {
  if (!/^(?:[\x21-\x2a\x2c-\x7e]|\+[0-9A-Fa-f]{2})*$/.test(text)) return undefined;
  if (!text.includes('+')) return text;
  return text.replace(/\+([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

type Form = (text: string) => string | undefined;

const token: Form = (text) => (/^[\x21-\x7e]+$/.test(text) ? text : undefined);
const port: Form = (text) => (/^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535 ? text : undefined);
const oneOf =
  (...words: readonly string[]): Form =>
  (text) =>
    words.find((word) => word === text.toUpperCase());

/** What each value must look like, and what is made of it. */
const FORMS: Readonly<Record<AttributeName, Form>> = {
  NAME: token,
  ADDR: address,
  PORT: port,
  PROTO: oneOf('SMTP', 'ESMTP'),
  HELO: token,
  // Names of users may hold anything but what would break a line of a log.
  LOGIN: (text) => (/[\x00-\x1f\x7f]/.test(text) ? undefined : Buffer.from(text, 'latin1').toString('utf8')),
  DESTADDR: address,
  DESTPORT: port,
  IDENT: token,
  SOURCE: oneOf('LOCAL', 'REMOTE'),
};

/** An IPv6 address comes as `IPV6:2001:db8::1`; proxies with a dual-stack socket (nginx) say so of IPv4 clients, too. */
function address(text: string): string | undefined {
  const tagged = /^IPV6:(.*)$/is.exec(text)?.[1];
  const bare = tagged ?? text;
  const family = ipFamily(bare);
  return family === undefined || (tagged !== undefined && family !== 'ipv6')
    ? undefined
    : plainAddress(bare.toLowerCase());
}
