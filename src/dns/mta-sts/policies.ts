/**
 * The policies of domains (RFC 8461), kept for as long as each says. The order of things is what protects: a policy that
 * is kept counts whatever happens to the TXT record or the web server (section 5.1), so an attacker must be there at the
 * first mail, and stay for `max_age`.
 *
 * Policies are kept in memory: a restart forgets them.
 */
import type { MonotonicClock } from '../../base/index.ts';
import { Cache } from '../cache.ts';
import { belowDomain, type Domain } from '../names.ts';
import type { Resolve } from '../resolver.ts';
import { parseStsPolicy, readStsId, type StsPolicy } from './policy.ts';

export type Fetched =
  | { readonly kind: 'fetched'; readonly octets: Buffer }
  | { readonly kind: 'failed'; readonly detail: string };

/** The policy file of a domain over HTTPS, within a deadline. */
export type FetchPolicy = (domain: Domain) => Promise<Fetched>;

export type StsLookup =
  /** No policy, or none that could be had; `detail` where something failed. Mail goes as if there were no MTA-STS. */
  | { readonly kind: 'none'; readonly detail: string | undefined }
  | { readonly kind: 'policy'; readonly policy: StsPolicy };

interface Known {
  readonly id: string;
  readonly policy: StsPolicy;
  readonly untilMs: number;
  /** When it is fetched anew though nothing changed, so that it does not run out in the hands of an attacker (section 10.2). */
  readonly refreshMs: number;
}

/** Domains remembered, and the characters of their policies' host names; those least used go first. */
const MAX_DOMAINS = 10_000;
const MAX_CHARACTERS = 16 * 1024 * 1024;
const DAY_MS = 86_400_000;
/** RFC 8461 section 3.3: not to ask a broken web server again at each mail. */
const PAUSE_MS = 300_000;
/** Entries leave the cache by their own time; this only bounds it. */
const KEEP_MS = 31_557_600_000;

export class StsPolicies {
  readonly #resolver: Resolve;
  readonly #fetchFile: FetchPolicy;
  readonly #clock: MonotonicClock;
  readonly #known: Cache<Known>;
  /** Why a fetch failed, by domain and id: another id may be tried at once. */
  readonly #pauses: Cache<string>;
  readonly #underWay = new Map<string, Promise<StsLookup>>();

  constructor(resolver: Resolve, fetch: FetchPolicy, clock: MonotonicClock) {
    this.#resolver = resolver;
    this.#fetchFile = fetch;
    this.#clock = clock;
    this.#known = new Cache(clock, MAX_DOMAINS, MAX_CHARACTERS);
    this.#pauses = new Cache(clock, MAX_DOMAINS, MAX_DOMAINS);
  }

  /** Equal questions at one time are one. */
  lookup(domain: Domain): Promise<StsLookup> {
    const asked = this.#underWay.get(domain);
    if (asked !== undefined) return asked;
    const begun = this.#find(domain).finally(() => this.#underWay.delete(domain));
    this.#underWay.set(domain, begun);
    return begun;
  }

  async #find(domain: Domain): Promise<StsLookup> {
    const kept = this.#unexpired(domain);
    const name = belowDomain('_mta-sts', domain);
    if (name === undefined) return none();
    const txt = await this.#resolver.resolve(name, 'TXT');
    const id = txt.kind === 'records' ? readStsId(txt.records.map(({ text }) => text)) : undefined;
    if (id === undefined) {
      if (kept !== undefined) return { kind: 'policy', policy: kept.policy };
      return none(txt.kind === 'failed' ? txt.detail : undefined);
    }
    const isFresh = kept !== undefined && kept.id === id && kept.refreshMs > this.#clock();
    if (isFresh) return { kind: 'policy', policy: kept.policy };
    return await this.#renew(domain, id, kept);
  }

  #unexpired(domain: Domain): Known | undefined {
    const known = this.#known.find(domain);
    return known !== undefined && known.untilMs > this.#clock() ? known : undefined;
  }

  async #renew(domain: Domain, id: string, kept: Known | undefined): Promise<StsLookup> {
    const pause = this.#pauses.find(`${domain} ${id}`);
    const policy = pause ?? (await this.#fetchPolicy(domain));
    if (typeof policy === 'string') {
      if (pause === undefined) this.#pauses.keep(`${domain} ${id}`, policy, PAUSE_MS);
      return kept === undefined ? none(policy) : { kind: 'policy', policy: kept.policy };
    }
    const nowMs = this.#clock();
    const ageMs = policy.maxAgeS * 1000;
    const refreshMs = nowMs + Math.min(DAY_MS, ageMs / 2);
    const characters = policy.mx.reduce((sum, { length }) => sum + length, domain.length);
    this.#known.keep(domain, { id, policy, untilMs: nowMs + ageMs, refreshMs }, KEEP_MS, characters);
    return { kind: 'policy', policy };
  }

  /** Or why not, in words for a log. */
  async #fetchPolicy(domain: Domain): Promise<StsPolicy | string> {
    const fetched = await this.#fetchFile(domain);
    if (fetched.kind === 'failed') return `policy of ${domain}: ${fetched.detail}`;
    const read = parseStsPolicy(fetched.octets);
    return read.kind === 'policy' ? read.policy : `policy of ${domain}: breaks the rule ${read.rule}`;
  }
}

function none(detail?: string): StsLookup {
  return { kind: 'none', detail };
}
