/**
 * From what the look-ups found to the list of hosts to try, each with what TLS must be there. Pure; the table and why it
 * is so: docs/decisions/0027-tls-towards-mx-hosts.md.
 */
import { isNamed, type MailHost, type StsLookup, type Tlsa, type TlsaLookup } from '../../../dns/index.ts';
import { type Reply, reply } from '../../../smtp/index.ts';

/** What an operator asks of a route: no TLS; TLS where offered; TLS; TLS with a right certificate; what DANE says; what DANE or else MTA-STS says. */
export type RouteTls = 'none' | 'may' | 'require' | 'verify' | 'dane' | 'mta-sts';

/** What a connection must have before MAIL is said. */
export type TlsDemand =
  | { readonly kind: 'none' }
  /** STARTTLS where offered, any certificate, clear text where it fails. */
  | { readonly kind: 'may' }
  /** TLS, any certificate. */
  | { readonly kind: 'require' }
  /** TLS, and a certificate that a known authority gave to one of `names`. */
  | { readonly kind: 'verify'; readonly names: readonly string[] }
  /** TLS, and a chain that matches one of `records`; `names` are for those of usage 2 (RFC 7672 section 3.2.2). */
  | { readonly kind: 'dane'; readonly records: readonly Tlsa[]; readonly names: readonly string[] };

export interface PlannedHost {
  /** As its MX record names it; a literal keeps its brackets. */
  readonly host: string;
  readonly addresses: readonly string[];
  readonly port: number;
  /** For SNI (RFC 7672 section 8.1: the TLSA base domain); undefined for literals, which can have none. */
  readonly tlsName: string | undefined;
  readonly tls: TlsDemand;
}

export interface SkippedHost {
  readonly host: string;
  /** `tlsa-failed`: whoever can make that look-up fail must not be able to switch DANE off. `not-in-policy`: MTA-STS says enforce. */
  readonly why: 'tlsa-failed' | 'not-in-policy';
  readonly detail: string | undefined;
}

export type Destination =
  /** In the order to try them. Never empty. */
  | {
      readonly kind: 'hosts';
      readonly hosts: readonly PlannedHost[];
      readonly skipped: readonly SkippedHost[];
      /** For the log: why there is less protection than there might be. */
      readonly notes: readonly string[];
    }
  /** There is nowhere to go: the reply to every recipient, and the reason for the log. */
  | { readonly kind: 'refused'; readonly reply: Reply; readonly why: string };

export interface HostFacts {
  readonly host: MailHost;
  /** Undefined where the route's TLS does not ask for it. */
  readonly tlsa: TlsaLookup | undefined;
}

export interface DestinationFacts {
  readonly tls: RouteTls;
  /** The recipients' domain in ASCII, or a literal. */
  readonly domain: string;
  /** In the order to try them. */
  readonly hosts: readonly HostFacts[];
  /** Undefined where the route's TLS does not ask for it. */
  readonly sts: StsLookup | undefined;
}

const SMTP_PORT = 25;

const TLSA_FAILED = reply(451, '4.4.3', 'What the mail hosts must show cannot be looked up; try again later');
const NOT_IN_POLICY = reply(451, '4.7.0', "The domain's mail hosts are not those its policy names; try again later");

export function planDestination(facts: DestinationFacts): Destination {
  const hosts: PlannedHost[] = [];
  const skipped: SkippedHost[] = [];
  for (const one of facts.hosts) {
    const demand = demandOf(one, facts);
    if ('why' in demand) skipped.push(demand);
    else hosts.push(demand);
  }
  if (hosts.length > 0) return { kind: 'hosts', hosts, skipped, notes: stsNotes(hosts, facts.sts) };
  const isTlsa = skipped.some(({ why }) => why === 'tlsa-failed');
  const why = skipped.map(({ host, why, detail }) => `${host}: ${why}${detail === undefined ? '' : ` (${detail})`}`);
  return { kind: 'refused', reply: isTlsa ? TLSA_FAILED : NOT_IN_POLICY, why: why.join('; ') };
}

function demandOf({ host, tlsa }: HostFacts, { tls, domain, sts }: DestinationFacts): PlannedHost | SkippedHost {
  const isLiteral = host.name.startsWith('[');
  const planned = (demand: TlsDemand, tlsName = isLiteral ? undefined : host.name): PlannedHost => {
    return { host: host.name, addresses: host.addresses, port: SMTP_PORT, tlsName, tls: demand };
  };
  const verify: TlsDemand = { kind: 'verify', names: isLiteral ? host.addresses : [host.name] };
  switch (tls) {
    case 'none':
    case 'may':
    case 'require':
      return planned({ kind: tls });
    case 'verify':
      return planned(verify);
    case 'dane':
    case 'mta-sts': {
      if (tlsa?.kind === 'failed') return { host: host.name, why: 'tlsa-failed', detail: tlsa.detail };
      if (tlsa?.kind === 'records' && tlsa.records.length > 0) {
        const names = [...new Set([tlsa.base, host.name, domain])];
        return planned({ kind: 'dane', records: tlsa.records, names }, tlsa.base);
      }
      if (tls === 'mta-sts' && sts?.kind === 'policy' && sts.policy.mode === 'enforce') {
        if (isNamed(host.name, sts.policy)) return planned(verify);
        return { host: host.name, why: 'not-in-policy', detail: undefined };
      }
      // Records that nobody can use still promise TLS (RFC 7672 section 2.2).
      return planned({ kind: tlsa?.kind === 'records' ? 'require' : 'may' });
    }
  }
}

/** A policy that could not be had, and what a policy in `testing` would have refused (RFC 8461 section 5). */
function stsNotes(hosts: readonly PlannedHost[], sts: StsLookup | undefined): readonly string[] {
  if (sts === undefined) return [];
  if (sts.kind === 'none') return sts.detail === undefined ? [] : [`MTA-STS: ${sts.detail}`];
  if (sts.policy.mode !== 'testing') return [];
  const { policy } = sts;
  return hosts
    .filter(({ host }) => !isNamed(host, policy))
    .map(({ host }) => `MTA-STS: ${host} is not in the policy, which is being tested`);
}
