import { isIPv4, isIPv6 } from 'node:net';
import { readDecimal } from '../../base/index.ts';
import type { Endpoint, TlsOptions } from './types.ts';

/** OCP has no assigned port; this is the number of its RFC. */
export const DEFAULT_PORT = 4037;

/** Longer paths do not fit a socket address on some systems (104 octets with the closing NUL on BSD, 108 on Linux). */
const MAX_PATH_OCTETS = 103;

const HOST_AND_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::([0-9]+))?\/?$/;

/**
 * `ocp://host[:port]`, `ocp+tls://host[:port]` or `ocp+unix:/path`. Certificates are given beside, as `tls`.
 *
 *     parseEndpoint('ocp://[::1]:4037')   // { kind: 'tcp', host: '::1', port: 4037 }
 */
export function parseEndpoint(text: string, tls: TlsOptions = {}): Endpoint | { readonly error: string } {
  const unix = /^ocp\+unix:(\/\/)?(?=\/)/.exec(text);
  if (unix !== null) return parsePath(text.slice(unix[0].length));
  const scheme = /^ocp(?:\+tls)?:\/\//.exec(text);
  if (scheme === null) return { error: 'an endpoint starts with ocp://, ocp+tls:// or ocp+unix:/' };
  const parts = HOST_AND_PORT.exec(text.slice(scheme[0].length));
  const host = parts?.[1] ?? parts?.[2];
  if (parts === null || host === undefined || (parts[1] !== undefined && !isIPv6(host))) {
    return { error: 'expected host or host:port behind ://, with IPv6 addresses in brackets' };
  }
  const port = parts[3] === undefined ? DEFAULT_PORT : readDecimal(Buffer.from(parts[3]), 0, parts[3].length, 65_535);
  if (port === undefined) return { error: 'a port is a number from 0 to 65535' };
  return scheme[0] === 'ocp://' ? { kind: 'tcp', host, port } : { kind: 'tls', host, port, tls };
}

/** The text form of an endpoint, for logs and messages. */
export function writeEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `ocp+unix:${endpoint.path}`;
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return `${endpoint.kind === 'tls' ? 'ocp+tls' : 'ocp'}://${host}:${endpoint.port}`;
}

/** Whether what is sent there stays on this host or is encrypted (D10). */
export function isProtected(endpoint: Endpoint): boolean {
  return endpoint.kind !== 'tcp' || isLoopback(endpoint.host);
}

/** An address of this host itself, or the name reserved for it (RFC 6761, section 6.3). */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^::ffff:(?=\d+\.)/i, '');
  if (isIPv4(address)) return address.startsWith('127.');
  return address === '::1' || /^(?:.+\.)?localhost\.?$/i.test(address);
}

function parsePath(path: string): Endpoint | { readonly error: string } {
  if (path.includes('\0')) return { error: 'a path holds no NUL' };
  if (Buffer.byteLength(path) > MAX_PATH_OCTETS) {
    return { error: `the path of a socket has at most ${MAX_PATH_OCTETS} octets` };
  }
  return { kind: 'unix', path };
}
