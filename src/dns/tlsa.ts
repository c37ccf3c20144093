/**
 * The TLSA records of a mail host (RFC 7672): which certificate or key it must show. Asked only where the way to the host
 * was validated; an insecure answer is as none. What no client of SMTP can use is left out, but not forgotten: a host
 * whose records are all of that kind still promises TLS (RFC 7672 section 2.2).
 */
import type { DnsLimits } from './limits.ts';
import type { MailHost } from './mail-hosts.ts';
import { belowDomain } from './names.ts';
import type { TlsaRecord } from './records.ts';
import type { Resolve } from './resolver.ts';

export interface Tlsa {
  /** 2: DANE-TA, a certification authority of the chain; 3: DANE-EE, the server's own. */
  readonly usage: 2 | 3;
  /** 0: the whole certificate; 1: its SubjectPublicKeyInfo. */
  readonly selector: 0 | 1;
  /** 0: as it is; 1: SHA-256; 2: SHA-512. */
  readonly matching: 0 | 1 | 2;
  readonly data: Buffer;
}

export type TlsaLookup =
  /** It was shown that there are none. */
  | { readonly kind: 'none' }
  /** Nothing that was validated. */
  | { readonly kind: 'insecure' }
  /** `base` is the name they were found at, which a certificate of usage 2 must have. Empty `records`: TLS, any certificate. */
  | { readonly kind: 'records'; readonly base: string; readonly records: readonly Tlsa[] }
  /** The host must be passed over (RFC 7672 section 2.1.2): whoever can make the look-up fail could else switch DANE off. */
  | { readonly kind: 'failed'; readonly detail: string };

/** RFC 7672 section 2.2.3: at the end of the host's aliases first, then at its own name. */
export async function lookupTlsa(
  host: MailHost,
  port: number,
  resolver: Resolve,
  limits: DnsLimits,
): Promise<TlsaLookup> {
  if (!host.isSecure) return { kind: 'insecure' };
  const bases = host.canonical === host.name ? [host.name] : [host.canonical, host.name];
  let last: TlsaLookup = { kind: 'none' };
  for (const base of bases) {
    const name = belowDomain(`_${port}._tcp`, base);
    if (name === undefined) continue;
    const found = await resolver.resolve(name, 'TLSA');
    if (found.kind === 'failed') return found;
    if (found.kind === 'records' && found.isSecure) {
      return { kind: 'records', base, records: strongest(usable(found.records)).slice(0, limits.tlsaRecords) };
    }
    last = { kind: found.isSecure ? 'none' : 'insecure' };
  }
  return last;
}

const DIGEST_OCTETS = { 1: 32, 2: 64 } as const;

/** RFC 7672 section 3.1.3: usages 0 and 1 need trust anchors that mail servers do not share. Unknown numbers and digests of a wrong size can match nothing. */
function usable(records: readonly TlsaRecord[]): readonly Tlsa[] {
  return records.flatMap(({ usage, selector, matching, data }) => {
    if ((usage !== 2 && usage !== 3) || (selector !== 0 && selector !== 1)) return [];
    if (matching === 0 ? data.length === 0 : matching > 2 || data.length !== DIGEST_OCTETS[matching as 1 | 2])
      return [];
    return [{ usage, selector, matching: matching as 0 | 1 | 2, data }];
  });
}

/** RFC 7672 section 5: of the digests for one usage and selector only the strongest counts, so that a broken one can be retired. */
function strongest(records: readonly Tlsa[]): readonly Tlsa[] {
  return records.filter(
    (one) =>
      one.matching !== 1 ||
      !records.some((other) => other.matching === 2 && other.usage === one.usage && other.selector === one.selector),
  );
}
