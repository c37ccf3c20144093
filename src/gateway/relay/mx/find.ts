/** The look-ups for one mail's destination, in the order they need each other, and the replies where there is none. */
import { type MailDns, type MailHost, type MailLookup, readDomain, type Self } from '../../../dns/index.ts';
import { type Reply, reply } from '../../../smtp/index.ts';
import { type Destination, planDestination, type RouteTls } from './plan.ts';

/** RFC 7504 and 7505 (null MX), RFC 3463 sections 3.2 and 3.5, RFC 5321 section 5.1. */
const REFUSALS = {
  'null-mx': reply(556, '5.1.10', 'The recipient domain does not accept mail'),
  'no-domain': reply(550, '5.1.2', 'The recipient domain does not exist'),
  'no-host': reply(550, '5.4.4', 'The recipient domain has no mail host with an address'),
  loop: reply(554, '5.4.6', 'Mail for the recipient domain loops back to this host'),
  failed: reply(451, '4.4.3', 'The mail hosts of the recipient domain cannot be looked up; try again later'),
} as const satisfies Readonly<Record<Exclude<MailLookup['kind'], 'hosts'>, Reply>>;

const SMTP_PORT = 25;

/** `domain` in Unicode or ASCII, or an address literal. */
export async function findDestination(dns: MailDns, self: Self, domain: string, tls: RouteTls): Promise<Destination> {
  const found = await dns.lookupMail(domain, self);
  if (found.kind !== 'hosts') {
    const detail = found.kind === 'failed' ? `failed: ${found.detail}` : found.kind;
    return { kind: 'refused', reply: REFUSALS[found.kind], why: detail };
  }
  const ascii = readDomain(domain);
  const [sts, hosts] = await Promise.all([
    tls === 'mta-sts' && ascii !== undefined ? dns.lookupSts(ascii) : undefined,
    Promise.all(found.hosts.map((host) => withTlsa(dns, host, tls))),
  ]);
  return planDestination({ tls, domain: ascii ?? domain, hosts, sts });
}

async function withTlsa(dns: MailDns, host: MailHost, tls: RouteTls) {
  const isAsked = tls === 'dane' || tls === 'mta-sts';
  return { host, tlsa: isAsked ? await dns.lookupTlsa(host, SMTP_PORT) : undefined };
}
