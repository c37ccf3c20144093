/** Routes for tests that only need one to be there. */
import type { RouteOptions } from '../../src/gateway/options.ts';

/** Plain SMTP, nothing said about anybody. */
export function plainRoute(to: string, host: string, port: number): RouteOptions {
  const nextHop = { kind: 'smtp', host, port } as const;
  return { to, nextHop, tls: 'none', tlsCa: undefined, tlsName: undefined, identity: 'none', auth: undefined };
}
