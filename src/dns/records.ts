/** The records mail needs, as values. Everything else in an answer is passed over. */
import type { Answer as PacketAnswer } from 'dns-packet';
import { type Domain, readAddress, readDomain } from './names.ts';

export type RecordType = 'A' | 'AAAA' | 'MX' | 'TXT' | 'TLSA';

interface Owned {
  /** Whose record it is. */
  readonly name: Domain;
  readonly ttlS: number;
}

export interface AddressRecord extends Owned {
  readonly type: 'A' | 'AAAA';
  readonly address: string;
}

export interface MxRecord extends Owned {
  readonly type: 'MX';
  readonly preference: number;
  /** `.` is the null MX (RFC 7505); undefined a name no host can have. */
  readonly exchange: Domain | '.' | undefined;
}

export interface TxtRecord extends Owned {
  readonly type: 'TXT';
  /** Its strings joined (as RFC 7208 section 3.3 and RFC 8461 section 3.1 ask), one character an octet. */
  readonly text: string;
}

export interface TlsaRecord extends Owned {
  readonly type: 'TLSA';
  readonly usage: number;
  readonly selector: number;
  readonly matching: number;
  readonly data: Buffer;
}

export interface CnameRecord extends Owned {
  readonly type: 'CNAME';
  /** Undefined: a name that we cannot ask for. What stands there is not known, which is not the same as nothing. */
  readonly target: Domain | undefined;
}

export type DnsRecord = AddressRecord | MxRecord | TxtRecord | TlsaRecord | CnameRecord;

export type RecordOf<T extends RecordType> = Extract<
  DnsRecord,
  { readonly type: T extends 'A' | 'AAAA' ? 'A' | 'AAAA' : T }
>;

/** What `dns-packet` read, checked again: it trusts lengths, and does not look at what names are made of. */
export function readRecord(from: PacketAnswer): DnsRecord | undefined {
  if (from.type === 'OPT' || !('class' in from) || from.class !== 'IN') return undefined;
  const name = readDomain(from.name);
  if (name === undefined) return undefined;
  const owned = { name, ttlS: readTtl(from.ttl) };
  if (from.type === 'A' || from.type === 'AAAA') {
    const address = readAddress(from.data);
    return address === undefined ? undefined : { ...owned, type: from.type, address };
  }
  if (from.type === 'CNAME') return { ...owned, type: 'CNAME', target: readDomain(from.data) };
  if (from.type === 'MX') {
    const { preference = 0, exchange } = from.data;
    return { ...owned, type: 'MX', preference, exchange: exchange === '.' ? '.' : readDomain(exchange) };
  }
  if (from.type === 'TXT') return { ...owned, type: 'TXT', text: joinStrings(from.data) };
  if (from.type !== 'TLSA') return undefined;
  const { usage, selector, matchingType, certificate } = from.data;
  // A copy: a view would keep the whole message.
  return { ...owned, type: 'TLSA', usage, selector, matching: matchingType, data: Buffer.from(certificate) };
}

/** RFC 2181 section 8: with the highest bit set it is 0. */
export function readTtl(ttlS: number | undefined): number {
  return ttlS === undefined || ttlS > 0x7fff_ffff ? 0 : ttlS;
}

function joinStrings(data: string | Buffer | readonly (string | Buffer)[]): string {
  const strings = typeof data === 'string' || Buffer.isBuffer(data) ? [data] : data;
  return strings.map((part) => part.toString('latin1')).join('');
}
