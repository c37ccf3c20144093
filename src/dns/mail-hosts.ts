/**
 * Where mail for a domain goes (RFC 5321 section 5.1, RFC 7505, RFC 7672 section 2.2): its hosts, best first, with their
 * addresses; or why there is none.
 *
 * Hosts of equal preference come in random order, so that they share the load. IPv6 and IPv4 addresses of a host alternate,
 * IPv6 first (RFC 8305 section 4, without the race: two connections for one mail would look like abuse to mail servers).
 */
import { randomInt } from 'node:crypto';
import type { DnsLimits } from './limits.ts';
import { type Domain, isLiteral, readDomain, readLiteral } from './names.ts';
import type { MxRecord } from './records.ts';
import type { Resolve } from './resolver.ts';

export interface MailHost {
  /** As the MX record names it; the domain itself where it has none; the address of a literal. */
  readonly name: string;
  /** Where its aliases lead; `name` where there are none. */
  readonly canonical: string;
  readonly preference: number;
  /** Canonical IP addresses, in the order to try them. Never empty. */
  readonly addresses: readonly string[];
  /** MX and address records were validated: TLSA records may be asked for (RFC 7672 section 2.2). */
  readonly isSecure: boolean;
}

export type MailLookup =
  /** `isSecure`: of the answer to MX, which is what names the hosts. */
  | { readonly kind: 'hosts'; readonly hosts: readonly MailHost[]; readonly isSecure: boolean }
  /** RFC 7505: the domain takes no mail. */
  | { readonly kind: 'null-mx' }
  | { readonly kind: 'no-domain' }
  /** The domain is there, a host with an address is not. */
  | { readonly kind: 'no-host' }
  /** We are its best host, and know no better way (RFC 5321 section 5.1). */
  | { readonly kind: 'loop' }
  | { readonly kind: 'failed'; readonly detail: string };

/** Who we are, so as not to send mail to ourselves. */
export interface Self {
  readonly names: ReadonlySet<string>;
  /** Of a canonical IP address. */
  isOwnAddress(address: string): boolean;
}

export interface MailLookups {
  readonly resolver: Resolve;
  readonly self: Self;
  readonly limits: DnsLimits;
}

/** `domain` as it stands behind the `@`, in Unicode or ASCII, or an address literal. */
export async function lookupMail(domain: string, lookups: MailLookups): Promise<MailLookup> {
  if (isLiteral(domain)) return literalHost(domain, lookups.self);
  const name = readDomain(domain);
  if (name === undefined) return { kind: 'no-domain' };
  const mx = await lookups.resolver.resolve(name, 'MX');
  switch (mx.kind) {
    case 'failed':
    case 'no-domain':
      return mx;
    case 'no-data':
      // The implicit MX of preference 0.
      return await findHosts([[{ name, preference: 0 }]], mx.isSecure, lookups);
    case 'records': {
      if (mx.records.every(({ exchange }) => exchange === '.')) return { kind: 'null-mx' };
      return await findHosts(byPreference(mx.records, lookups.limits.mxRecords), mx.isSecure, lookups);
    }
  }
}

function literalHost(text: string, self: Self): MailLookup {
  const address = readLiteral(text);
  if (address === undefined) return { kind: 'no-host' };
  if (self.isOwnAddress(address)) return { kind: 'loop' };
  const host = { name: text, canonical: text, preference: 0, addresses: [address], isSecure: false };
  return { kind: 'hosts', hosts: [host], isSecure: false };
}

interface Exchange {
  readonly name: Domain;
  readonly preference: number;
}

/** Groups of equal preference, best first, each in random order. A `.` among others means nothing (RFC 7505 section 3). */
function byPreference(records: readonly MxRecord[], max: number): readonly (readonly Exchange[])[] {
  const groups = new Map<number, Exchange[]>();
  const best = records.toSorted((a, b) => a.preference - b.preference).slice(0, max);
  const named = new Set<Domain>();
  for (const { exchange, preference } of best) {
    if (exchange === undefined || exchange === '.' || named.has(exchange)) continue;
    named.add(exchange);
    const group = groups.get(preference);
    if (group === undefined) groups.set(preference, [{ name: exchange, preference }]);
    else group.push({ name: exchange, preference });
  }
  return [...groups.values()].map(shuffled);
}

/**
 * Group by group until there are addresses enough: so a long list costs no more questions than are needed. The group we
 * are in ourselves ends it, and gives nothing: mail must only come nearer to its end.
 */
async function findHosts(
  groups: readonly (readonly Exchange[])[],
  isSecure: boolean,
  lookups: MailLookups,
): Promise<MailLookup> {
  const { self, limits } = lookups;
  const hosts: MailHost[] = [];
  let room = limits.addresses;
  let failure: string | undefined;
  for (const group of groups) {
    if (room === 0) break;
    const isOurs = group.some(({ name }) => self.names.has(name));
    const found = isOurs ? [] : await Promise.all(group.map((exchange) => findHost(exchange, isSecure, lookups)));
    if (isOurs || found.some(({ addresses }) => addresses.some((address) => self.isOwnAddress(address)))) {
      if (hosts.length > 0) break;
      // A better host may only be out of sight: that is no loop.
      return failure === undefined ? { kind: 'loop' } : { kind: 'failed', detail: failure };
    }
    for (const { failure: detail, ...host } of found) {
      failure ??= detail;
      const addresses = host.addresses.slice(0, room);
      room -= addresses.length;
      if (addresses.length > 0) hosts.push({ ...host, addresses });
    }
  }
  if (hosts.length > 0) return { kind: 'hosts', hosts, isSecure };
  return failure === undefined ? { kind: 'no-host' } : { kind: 'failed', detail: failure };
}

interface Found extends MailHost {
  /** Its addresses, or some of them, could not be asked for. */
  readonly failure: string | undefined;
}

/** Both families are asked; one that fails does not hinder the other. */
async function findHost(exchange: Exchange, isMxSecure: boolean, { resolver, limits }: MailLookups): Promise<Found> {
  const { name, preference } = exchange;
  const answers = await Promise.all([resolver.resolve(name, 'AAAA'), resolver.resolve(name, 'A')]);
  const [v6, v4] = answers.map((answer) =>
    answer.kind === 'records' ? shuffled(answer.records.map(({ address }) => address)) : [],
  );
  const withRecords = answers.filter((answer) => answer.kind === 'records');
  const failed = answers.find((answer) => answer.kind === 'failed');
  return {
    name,
    canonical: withRecords[0]?.name ?? name,
    preference,
    addresses: [...new Set(alternate(v6 ?? [], v4 ?? []))].slice(0, limits.addressesPerHost),
    isSecure: isMxSecure && withRecords.length > 0 && withRecords.every((answer) => answer.isSecure),
    failure: failed?.kind === 'failed' ? `${name}: ${failed.detail}` : undefined,
  };
}

function alternate<T>(first: readonly T[], second: readonly T[]): T[] {
  const out: T[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i++)
    out.push(...first.slice(i, i + 1), ...second.slice(i, i + 1));
  return out;
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[]): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = randomInt(i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}
