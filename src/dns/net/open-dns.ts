/** All of it put together: a resolver with its sockets, and the look-ups on it. */

import { DNS_LIMITS, type DnsLimits } from '../limits.ts';
import { lookupMail, type MailHost, type MailLookup, type Self } from '../mail-hosts.ts';
import { type StsLookup, StsPolicies } from '../mta-sts/policies.ts';
import type { Domain } from '../names.ts';
import { type Resolve, Resolver } from '../resolver.ts';
import { lookupTlsa, type TlsaLookup } from '../tlsa.ts';
import { type HttpsPolicyOptions, httpsPolicies } from './https-policy.ts';
import { type DnsServer, systemServers } from './servers.ts';
import { DnsTransport } from './transport.ts';
import { resolveWithin, within } from './within.ts';

const TOO_SLOW: MailLookup = { kind: 'failed', detail: 'the look-ups took too long' };

export interface DnsOptions {
  /** In place of those of `/etc/resolv.conf`. */
  readonly servers?: readonly DnsServer[];
  /** The AD bit of these servers may be believed though they are not on this machine. */
  readonly trustAd?: boolean;
  readonly limits?: Partial<DnsLimits>;
  /** How policies are fetched: a private authority, another port. */
  readonly https?: Omit<HttpsPolicyOptions, 'resolver' | 'signal'>;
}

/** What the relay asks of the DNS. */
export interface MailDns {
  lookupMail(domain: string, self: Self): Promise<MailLookup>;
  lookupTlsa(host: MailHost, port: number): Promise<TlsaLookup>;
  lookupSts(domain: Domain): Promise<StsLookup>;
}

export interface Dns extends MailDns {
  readonly resolver: Resolve;
  /** What is under way fails; nothing is left behind. */
  close(): void;
}

/**
 *     const dns = openDns({ servers: [{ host: '127.0.0.1', port: 53 }] });
 *     const found = await dns.lookupMail('example.com', { names: new Set(['mx1.example.net']), isOwnAddress: () => false });
 */
export function openDns(options: DnsOptions = {}): Dns {
  const limits = { ...DNS_LIMITS, ...options.limits };
  const servers = options.servers ?? systemServers();
  const transport = new DnsTransport({ servers, trustAd: options.trustAd ?? false, limits });
  const clock = (): number => performance.now();
  const resolver = resolveWithin(limits.resolveMs, new Resolver(transport.ask, clock, limits));
  const closing = new AbortController();
  const policies = new StsPolicies(
    resolver,
    httpsPolicies({ ...options.https, resolver, signal: closing.signal }),
    clock,
  );
  return {
    resolver,
    lookupMail: (domain, self) => within(limits.lookupMs, lookupMail(domain, { resolver, self, limits }), TOO_SLOW),
    lookupTlsa: (host, port) => lookupTlsa(host, port, resolver, limits),
    lookupSts: (domain) => policies.lookup(domain),
    close() {
      closing.abort();
      transport.close();
    },
  };
}
