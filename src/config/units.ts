/**
 * Values that are written as text in the configuration: sizes, durations, addresses, next hops. A reader returns the
 * value or says in a few words what is wrong; where that stands in the file is the caller's business.
 */

import { isIP } from 'node:net';
import { posix } from 'node:path';

export type Read<T> = { readonly value: T } | { readonly wrong: string };

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['KIB', 1024],
  ['MIB', 1024 ** 2],
  ['GIB', 1024 ** 3],
]);

/** `50MB` (millions of octets), `64KiB` (of 1024). A bare number is refused: nobody can tell whether it meant octets. */
export function readSize(text: string): Read<number> {
  const match = /^(\d{1,9}(?:\.\d{1,3})?) ?([A-Za-z]+)$/.exec(text);
  const unit = SIZE_UNITS.get(match?.[2]?.toUpperCase() ?? '');
  if (match === null || unit === undefined) return { wrong: `${JSON.stringify(text)} is not a size` };
  return { value: Math.round(Number(match[1]) * unit) };
}

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** Longer than this no timer of ours may run; `setTimeout` itself ends at 24.8 days and then fires at once. */
const MAX_DURATION_MS = 7 * 86_400_000;

/** What is written down and looked at now and then has no such bound, but one of sense. */
const MAX_PERIOD_MS = 3650 * 86_400_000;

/** `250ms`, `30s`, `4m`, as milliseconds. */
export function readDuration(text: string): Read<number> {
  const read = readPeriod(text);
  if ('value' in read && read.value > MAX_DURATION_MS)
    return { wrong: `${JSON.stringify(text)} is longer than 7 days` };
  return read;
}

/** The same for times that no timer runs for, such as how long mail is kept. */
export function readPeriod(text: string): Read<number> {
  const match = /^(\d{1,9}(?:\.\d{1,3})?) ?(ms|s|m|h|d)$/.exec(text);
  if (match === null) return { wrong: `${JSON.stringify(text)} is not a duration` };
  const ms = Math.round(Number(match[1]) * (DURATION_UNITS.get(match[2] ?? '') ?? 0));
  if (ms < 1) return { wrong: `${JSON.stringify(text)} is no time at all` };
  if (ms > MAX_PERIOD_MS) return { wrong: `${JSON.stringify(text)} is longer than ten years` };
  return { value: ms };
}

/** `127.0.0.1:25`, `[::1]:25`, `mx.example.com:25`. */
export function readHostPort(text: string): Read<HostPort> {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]/@]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) return { wrong: `${JSON.stringify(text)} is not HOST:PORT` };
  const port = Number(match[3]);
  if (port > 65_535) return { wrong: `port ${port} does not exist` };
  return { value: { host: host.toLowerCase(), port } };
}

export type ListenText =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Where to listen: what `readHostPort` reads, or `unix:/path`. */
export function readListenAddress(text: string): Read<ListenText> {
  const unix = /^unix:(.*)$/s.exec(text)?.[1];
  if (unix !== undefined) return readSocketPath(text, unix);
  const read = readHostPort(text);
  return 'wrong' in read ? read : { value: { kind: 'tcp', ...read.value } };
}

/** Absolute, for a relative one would start at a directory that nobody sees in the file; `/run//a` and `/run/a` are one. */
function readSocketPath(text: string, written: string): Read<ListenText> {
  if (!written.startsWith('/')) return { wrong: `${JSON.stringify(text)} has a relative path` };
  const path = posix.normalize(written);
  if (path.endsWith('/') || path.includes('\0')) return { wrong: `${JSON.stringify(text)} names no file` };
  return isTooLong(path) ? LONG_PATH : { value: { kind: 'unix', path } };
}

/** As the file has it, for messages. */
export function showListen(address: ListenText): string {
  return address.kind === 'unix' ? `unix:${address.path}` : showHostPort(address);
}

/** A file's mode as chmod takes it: `0660`. */
export function readMode(text: string): Read<number> {
  if (!/^0?[0-7]{3}$/.test(text)) return { wrong: `${JSON.stringify(text)} is not a mode` };
  return { value: Number.parseInt(text, 8) };
}

/** In lists of networks: whoever comes by a Unix socket. */
export const UNIX = 'unix';

/** `10.0.0.0/8`, `2001:db8::/32`, one address, or `unix`. Short forms (`10/8`) are refused: programs read them differently. */
export function readNetwork(text: string): Read<string> {
  if (text === UNIX) return { value: text };
  const [address = '', bits, more] = text.split('/');
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  const isWhole = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
  if (family === 0 || !isWhole || more !== undefined || address.includes('%'))
    return { wrong: `${JSON.stringify(text)} is not a network` };
  return { value: text };
}

/** Whether it holds more addresses than any one organisation has. */
export function isWide(network: string): boolean {
  const [address = '', bits] = network.split('/');
  return bits !== undefined && Number(bits) < (isIP(address) === 4 ? 8 : 16);
}

export type NextHopText =
  | { readonly kind: 'smtp' | 'smtps' | 'lmtp'; readonly host: string; readonly port: number }
  | { readonly kind: 'lmtp-unix'; readonly path: string }
  | { readonly kind: 'mailbox' }
  | { readonly kind: 'mx' };

/** LMTP has no port of its own (RFC 2033 section 5 only says that it must not be 25). */
const DEFAULT_PORTS = { smtp: 25, smtps: 465, lmtp: undefined } as const;

/** `smtp://host:25`, `smtps://host:465`, `lmtp://host:port`, `lmtp+unix:/path`, and the two words. SMTP's ports may be left out. */
export function readNextHop(text: string): Read<NextHopText> {
  if (text === 'mx') return { value: { kind: 'mx' } };
  if (text === 'mailbox') return { value: { kind: 'mailbox' } };
  const path = /^lmtp\+unix:(?:\/\/)?(\/[^\0]+)$/.exec(text)?.[1];
  if (path !== undefined) return isTooLong(path) ? LONG_PATH : { value: { kind: 'lmtp-unix', path } };
  const match = /^(smtps?|lmtp):\/\/(.*?)\/?$/i.exec(text);
  const kind = match?.[1]?.toLowerCase();
  if (kind !== 'smtp' && kind !== 'smtps' && kind !== 'lmtp')
    return { wrong: `${JSON.stringify(text)} is not a next hop` };
  const place = match?.[2] ?? '';
  const hasPort = /:\d+$/.test(place) && !/^[0-9a-f]*:[0-9a-f:]*$/i.test(place);
  const port = DEFAULT_PORTS[kind];
  if (!hasPort && port === undefined) return { wrong: `${JSON.stringify(text)} has no port` };
  const read = readHostPort(hasPort ? place : `${place}:${port}`);
  if ('wrong' in read) return { wrong: `${JSON.stringify(text)} is not a next hop: ${read.wrong}` };
  if (read.value.port === 0) return { wrong: `${JSON.stringify(text)} has port 0, which nobody listens on` };
  return { value: { kind, ...read.value } };
}

/** A longer path does not fit every system's sockaddr_un and would fail at connect, per mail, with a strange message. */
const isTooLong = (path: string) => Buffer.byteLength(path) > 103;
const LONG_PATH = { wrong: 'the path of a Unix socket has at most 103 octets' };

export type EndpointText =
  | { readonly kind: 'tcp' | 'tls'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** `ocp://host:4037`, `ocp+tls://host:4037`, `ocp+unix:/path`. The port may be left out: 4037. */
export function readEndpoint(text: string): Read<EndpointText> {
  const unix = /^ocp\+unix:(?:\/\/)?(\/.+)$/.exec(text);
  if (unix?.[1] !== undefined) {
    if (isTooLong(unix[1])) return LONG_PATH;
    return { value: { kind: 'unix', path: unix[1] } };
  }
  const match = /^ocp(\+tls)?:\/\/(.*?)\/?$/.exec(text);
  if (match === null) return { wrong: `${JSON.stringify(text)} is not a callout server's address` };
  const place = match[2] ?? '';
  const read = readHostPort(/:\d+$/.test(place) && !/^[0-9a-f]*:[0-9a-f:]*$/i.test(place) ? place : `${place}:4037`);
  if ('wrong' in read) return { wrong: `${JSON.stringify(text)} is not a callout server's address: ${read.wrong}` };
  if (read.value.port === 0) return { wrong: `${JSON.stringify(text)} has port 0, which nobody listens on` };
  return { value: { kind: match[1] === undefined ? 'tcp' : 'tls', ...read.value } };
}

/** Names of this machine that never leave it. */
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' ||
    host === '::1' ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host) ||
    host === '::ffff:127.0.0.1'
  );
}

export function showHostPort(place: HostPort): string {
  return place.host.includes(':') ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`;
}
