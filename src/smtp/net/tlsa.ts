/**
 * Whether a certificate chain is what TLSA records say (RFC 6698; for SMTP RFC 7671 and 7672): a pure check over the
 * certificates a hop showed. Where the records come from, and that DNSSEC vouches for them, is the caller's business.
 *
 * Usages 3 (DANE-EE: this very key, whatever its certificate says of names and dates, RFC 7671 section 5.1) and 2 (DANE-TA:
 * an issuer of the hop's certificate, whose names and dates count). Usages 0 and 1 are not for SMTP (RFC 7672 section 3.1.3).
 * Of a path below a trust anchor, signatures, dates and the right to issue are checked; name constraints are not.
 */
import { createHash, type X509Certificate } from 'node:crypto';

export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matching: number;
  readonly data: Uint8Array;
}

export type TlsaVerdict =
  | { readonly kind: 'matched'; readonly record: TlsaRecord }
  | { readonly kind: 'refused'; readonly why: string };

/** Certificates looked at, the hop's own included: longer chains than 4 are hardly seen. */
const MAX_CHAIN = 10;
const DIGEST_OCTETS: ReadonlyMap<number, number> = new Map([
  [1, 32],
  [2, 64],
]);

/** Those a mail client can act on. Where none is left, RFC 7672 section 2.2 asks for TLS with any certificate. */
export function usableTlsa(records: readonly TlsaRecord[]): TlsaRecord[] {
  return records.filter(({ usage, selector, matching, data }) => {
    if ((usage !== 2 && usage !== 3) || (selector !== 0 && selector !== 1)) return false;
    return matching === 0 ? data.length > 0 : data.length === DIGEST_OCTETS.get(matching);
  });
}

/** `chain`: as shown, the hop's own first, each followed by its issuer. `names`: what the hop may be called (usage 2). */
export function checkTlsa(
  records: readonly TlsaRecord[],
  chain: readonly X509Certificate[],
  names: readonly string[],
  nowMs: number,
): TlsaVerdict {
  const [own] = chain;
  if (own === undefined) return refused('the hop shows no certificate');
  const usable = usableTlsa(records);
  if (usable.length === 0) return refused('no TLSA record can be used');
  const exact = usable.find((record) => record.usage === 3 && matches(record, own));
  if (exact !== undefined) return { kind: 'matched', record: exact };
  const anchors = usable.filter((record) => record.usage === 2);
  let why = 'no TLSA record matches the certificate';
  for (let at = 0; at < Math.min(chain.length, MAX_CHAIN); at++) {
    const anchor = anchors.find((record) => matches(record, chain[at] as X509Certificate));
    if (anchor === undefined) continue;
    const flaw = flawOfPath(chain.slice(0, at + 1), names, nowMs);
    if (flaw === undefined) return { kind: 'matched', record: anchor };
    why = flaw;
  }
  return refused(why);
}

function matches({ selector, matching, data }: TlsaRecord, certificate: X509Certificate): boolean {
  const octets = selector === 0 ? certificate.raw : publicKeyInfo(certificate.raw);
  if (octets === undefined) return false;
  const value =
    matching === 0
      ? octets
      : createHash(matching === 1 ? 'sha256' : 'sha512')
          .update(octets)
          .digest();
  return value.equals(data);
}

/** Names of the first, dates of all, and every link up to the last, which is the anchor. */
function flawOfPath(path: readonly X509Certificate[], names: readonly string[], nowMs: number): string | undefined {
  const own = path[0] as X509Certificate;
  if (!names.some((name) => own.checkHost(name) !== undefined))
    return `the certificate is not for ${names.join(' or ')}`;
  for (const [at, certificate] of path.entries()) {
    if (nowMs < Date.parse(certificate.validFrom)) return 'a certificate is not valid yet';
    if (nowMs > Date.parse(certificate.validTo)) return 'a certificate has expired';
    const issuer = path[at + 1];
    if (issuer === undefined) continue;
    if (!issuer.ca) return 'a certificate was issued by one that may issue none';
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey))
      return 'the chain of certificates is broken';
  }
  return undefined;
}

const SEQUENCE = 0x30;
const VERSION = 0xa0;

/**
 * SubjectPublicKeyInfo exactly as it stands in the certificate (RFC 5280 section 4.1): written anew from the parsed key, its
 * octets, and so its digest, could differ. OpenSSL has parsed the certificate before; lengths are believed within bounds.
 */
export function publicKeyInfo(der: Buffer): Buffer | undefined {
  const certificate = element(der, 0);
  const body = certificate === undefined ? undefined : element(der, certificate.from);
  if (certificate?.tag !== SEQUENCE || body?.tag !== SEQUENCE) return undefined;
  let next = element(der, body.from);
  if (next?.tag === VERSION) next = element(der, next.to);
  // serialNumber, signature, issuer, validity, subject: each is stepped over.
  for (let i = 0; i < 5 && next !== undefined; i++) next = element(der, next.to);
  return next?.tag === SEQUENCE ? der.subarray(next.at, next.to) : undefined;
}

interface Element {
  readonly tag: number;
  readonly at: number;
  /** Its contents, `[from, to)`. */
  readonly from: number;
  readonly to: number;
}

/** One element of DER (X.690 section 8.1), with a tag of one octet. */
function element(der: Buffer, at: number): Element | undefined {
  const tag = der[at];
  const first = der[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  const lengthOctets = first < 0x80 ? 0 : first & 0x7f;
  const from = at + 2 + lengthOctets;
  if (lengthOctets > 4 || first === 0x80 || from > der.length) return undefined;
  const to = from + (lengthOctets === 0 ? first : der.readUIntBE(at + 2, lengthOctets));
  return to > der.length ? undefined : { tag, at, from, to };
}

function refused(why: string): TlsaVerdict {
  return { kind: 'refused', why };
}
