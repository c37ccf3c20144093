/**
 * A caching stub resolver: questions in, records out, aliases followed. It asks by the port `AskDns` and knows no socket;
 * `net/transport.ts` is the real one.
 *
 * What holds: nothing is served beyond its TTL; the same question is on the wire once however many wait for it; an answer
 * counts as secure only where each message that led to it was.
 */
import type { MonotonicClock } from '../base/index.ts';
import { Cache } from './cache.ts';
import type { DnsLimits } from './limits.ts';
import type { Answer, Question } from './message.ts';
import type { Domain } from './names.ts';
import type { DnsRecord, RecordOf, RecordType } from './records.ts';

export type Asked =
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** No server gave an answer that can be used; `detail` is for the log. */
  | { readonly kind: 'failed'; readonly detail: string };

/** One question to whatever servers there are, with its deadline. `isAuthentic` is false where the server is not to be trusted. */
export type AskDns = (question: Question) => Promise<Asked>;

export type Resolved<T extends RecordType> =
  /** `name` is where the aliases led. Never empty. */
  | {
      readonly kind: 'records';
      readonly records: readonly RecordOf<T>[];
      readonly name: Domain;
      readonly isSecure: boolean;
    }
  /** The name is there, records of this type are not. */
  | { readonly kind: 'no-data'; readonly isSecure: boolean }
  /** NXDOMAIN. */
  | { readonly kind: 'no-domain'; readonly isSecure: boolean }
  | { readonly kind: 'failed'; readonly detail: string };

/** What the look-ups for mail need of a resolver. */
export interface Resolve {
  resolve<T extends RecordType>(name: Domain, type: T): Promise<Resolved<T>>;
}

interface Kept {
  readonly resolved: Resolved<RecordType>;
  readonly ttlS: number;
  readonly octets: number;
}

export class Resolver implements Resolve {
  readonly #ask: AskDns;
  readonly #limits: DnsLimits;
  readonly #cache: Cache<Resolved<RecordType>>;
  readonly #underWay = new Map<string, Promise<Resolved<RecordType>>>();

  constructor(ask: AskDns, clock: MonotonicClock, limits: DnsLimits) {
    this.#ask = ask;
    this.#limits = limits;
    this.#cache = new Cache(clock, limits.cacheEntries, limits.cacheOctets);
  }

  async resolve<T extends RecordType>(name: Domain, type: T): Promise<Resolved<T>> {
    const key = `${type} ${name}`;
    const known = this.#cache.find(key) ?? (await (this.#underWay.get(key) ?? this.#begin(key, { name, type })));
    // What was kept under this key was asked with this type.
    return known as Resolved<T>;
  }

  #begin(key: string, question: Question): Promise<Resolved<RecordType>> {
    const begun = this.#find(question)
      .then(({ resolved, ttlS, octets }) => {
        this.#cache.keep(key, resolved, ttlS * 1000, octets);
        return resolved;
      })
      .finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, begun);
    return begun;
  }

  /** RFC 1034 section 5.2.2. Most resolvers send the whole chain at once; forwarders may send a part. */
  async #find({ name, type }: Question): Promise<Kept> {
    const { chain, maxTtlS, maxNegativeTtlS, minTtlS } = this.#limits;
    let at = name;
    let links = 0;
    let ttlS = maxTtlS;
    let octets = 0;
    let isSecure = true;
    for (;;) {
      const asked = await this.#ask({ name: at, type });
      if (asked.kind === 'failed') return this.#failed(asked.detail);
      const { answer } = asked;
      octets += answer.octets;
      isSecure &&= answer.isAuthentic;
      const step = walk(answer.records, at, type);
      ttlS = Math.min(ttlS, step.ttlS);
      links += step.links;
      if (links > chain || step.isLoop) return this.#failed(`CNAME loop or a chain of more than ${chain}`);
      if (step.isDeadEnd) return this.#failed(`an alias of ${step.at} that cannot be followed`);
      if (step.found.length > 0) {
        const resolved = { kind: 'records', records: step.found, name: step.at, isSecure } as const;
        return { resolved, ttlS: Math.max(minTtlS, ttlS), octets };
      }
      // RFC 6604 section 3: the code is about the last name of the chain. A chain without its end is asked on.
      const isEnd = step.links === 0 || !answer.isDomain || answer.negativeTtlS !== undefined;
      if (isEnd) {
        const kind = answer.isDomain ? 'no-data' : 'no-domain';
        const forS = Math.min(ttlS, answer.negativeTtlS ?? 0, maxNegativeTtlS);
        return { resolved: { kind, isSecure }, ttlS: Math.max(minTtlS, forS), octets };
      }
      at = step.at;
    }
  }

  #failed(detail: string): Kept {
    return { resolved: { kind: 'failed', detail }, ttlS: this.#limits.failureTtlS, octets: 0 };
  }
}

interface Walked {
  readonly found: readonly RecordOf<RecordType>[];
  readonly at: Domain;
  readonly links: number;
  readonly isLoop: boolean;
  /** `at` is an alias of a name that we cannot ask for. */
  readonly isDeadEnd: boolean;
  readonly ttlS: number;
}

/** Along the aliases of one message. Records of names that are not on the way were not asked for and are not believed. */
function walk(records: readonly DnsRecord[], from: Domain, type: RecordType): Walked {
  const seen = new Set<Domain>();
  let at = from;
  let ttlS = Number.POSITIVE_INFINITY;
  for (;;) {
    const found = records.filter(
      (record): record is RecordOf<RecordType> => record.type === type && record.name === at,
    );
    for (const record of found) ttlS = Math.min(ttlS, record.ttlS);
    const alias = found.length > 0 ? undefined : records.find((r) => r.type === 'CNAME' && r.name === at);
    const target = alias?.type === 'CNAME' ? alias.target : undefined;
    if (alias === undefined || target === undefined || seen.has(at)) {
      const isDeadEnd = alias !== undefined && target === undefined;
      return { found, at, links: seen.size, isLoop: seen.has(at), isDeadEnd, ttlS };
    }
    seen.add(at);
    ttlS = Math.min(ttlS, alias.ttlS);
    at = target;
  }
}
