/**
 * Questions and answers as octets (RFC 1035 section 4, RFC 6891), on `dns-packet`. Whatever octets come, nothing here throws:
 * an answer is ours, somebody else's (then the right one may still come), or bad.
 */
import * as packet from 'dns-packet';
import type { DnsLimits } from './limits.ts';
import { type Domain, readDomain } from './names.ts';
import { type CnameRecord, type DnsRecord, type RecordType, readRecord, readTtl } from './records.ts';

export interface Question {
  readonly name: Domain;
  readonly type: RecordType;
}

export interface Query extends Question {
  /** Unguessable: with the port it is all that keeps a forger out who cannot see the question. */
  readonly id: number;
  /** With an OPT record: larger datagrams, DNSSEC. Without for servers that do not know it. */
  readonly edns: boolean;
}

/** An answer that says something of the name: records, or that there are none. */
export interface Answer {
  readonly isDomain: boolean;
  readonly records: readonly (DnsRecord | CnameRecord)[];
  /** The server validated every record of it (RFC 4035 section 3.2.3). Whether to believe that is the caller's affair. */
  readonly isAuthentic: boolean;
  /** RFC 2308 section 5: how long "there is none" holds; undefined where the server does not say. */
  readonly negativeTtlS: number | undefined;
  readonly octets: number;
}

export type ReadAnswer =
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** It did not fit: ask by TCP. */
  | { readonly kind: 'truncated' }
  /** An error code: SERVFAIL, REFUSED ... */
  | { readonly kind: 'error'; readonly rcode: string }
  /** No answer to this question. */
  | { readonly kind: 'foreign' }
  /** An answer to it that breaks the format or a cap. */
  | { readonly kind: 'bad'; readonly rule: string };

const HEADER_OCTETS = 12;

/**
 * AD asks for the answer's AD bit (RFC 6840 section 5.7); DO does so too at servers that know nothing newer than RFC 4035.
 */
export function writeQuery(query: Query, limits: DnsLimits): Buffer {
  const opt = {
    type: 'OPT' as const,
    name: '.',
    udpPayloadSize: limits.udpOctets,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: packet.DNSSEC_OK,
    flag_do: true,
    options: [],
  };
  return packet.encode({
    type: 'query',
    id: query.id,
    flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA,
    questions: [{ name: query.name, type: query.type, class: 'IN' }],
    additionals: query.edns ? [opt] : [],
  });
}

export function readAnswer(octets: Buffer, query: Query, limits: DnsLimits): ReadAnswer {
  if (octets.length < HEADER_OCTETS || octets.readUInt16BE(0) !== query.id) return { kind: 'foreign' };
  const flags = octets.readUInt16BE(2);
  if ((flags & 0x8000) === 0 || (flags & 0x7800) !== 0) return { kind: 'foreign' };
  if (octets.length > limits.messageOctets) return { kind: 'bad', rule: 'message-octets' };
  if (recordCount(octets) > limits.records) return { kind: 'bad', rule: 'record-count' };
  // A server that could not read the question cannot repeat it.
  if (octets.readUInt16BE(4) === 0 && (flags & 0xf) !== 0)
    return { kind: 'error', rcode: RCODES[flags & 0xf] ?? 'error' };
  const decoded = decode(octets);
  if (decoded === undefined) return isQuestionOf(octets, query) ? { kind: 'bad', rule: 'format' } : { kind: 'foreign' };
  const [asked, second] = decoded.questions ?? [];
  if (asked === undefined || second !== undefined || !isSame(asked, query)) return { kind: 'foreign' };
  return judge(decoded, flags, octets.length);
}

function judge(decoded: packet.DecodedPacket, flags: number, octets: number): ReadAnswer {
  if ((flags & packet.TRUNCATED_RESPONSE) !== 0) return { kind: 'truncated' };
  const opt = decoded.additionals?.find((record) => record.type === 'OPT');
  const rcode = (flags & 0xf) | ((opt?.extendedRcode ?? 0) << 4);
  if (rcode !== NOERROR && rcode !== NXDOMAIN) return { kind: 'error', rcode: RCODES[rcode] ?? `rcode ${rcode}` };
  // The name is not its own, and it asks nobody: a referral (RFC 2308 section 2.2), or nothing. That does not say "there is none".
  const knows = (flags & (packet.AUTHORITATIVE_ANSWER | packet.RECURSION_AVAILABLE)) !== 0;
  if (!knows && rcode === NOERROR && (decoded.answers ?? []).length === 0)
    return { kind: 'error', rcode: 'no recursion' };
  const records = (decoded.answers ?? []).map(readRecord).filter((record) => record !== undefined);
  const soa = decoded.authorities?.find((record) => record.type === 'SOA');
  const negativeTtlS = soa === undefined ? undefined : Math.min(readTtl(soa.ttl), readTtl(soa.data.minimum));
  const isAuthentic = (flags & packet.AUTHENTIC_DATA) !== 0;
  return { kind: 'answer', answer: { isDomain: rcode === NOERROR, records, isAuthentic, negativeTtlS, octets } };
}

const NOERROR = 0;
const NXDOMAIN = 3;
const RCODES: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  4: 'NOTIMP',
  5: 'REFUSED',
  16: 'BADVERS',
};

/** The server does not know EDNS (RFC 6891 section 7): the question may be asked again without. */
export function isAboutEdns(rcode: string): boolean {
  return rcode === 'FORMERR' || rcode === 'NOTIMP' || rcode === 'BADVERS';
}

function recordCount(octets: Buffer): number {
  return [4, 6, 8, 10].reduce((sum, at) => sum + octets.readUInt16BE(at), 0);
}

/** `dns-packet` throws where the octets end or point out of the message. */
function decode(octets: Buffer): packet.DecodedPacket | undefined {
  try {
    return packet.decode(octets);
  } catch {
    return undefined;
  }
}

/** Of octets that cannot be read as a whole: do they begin with our question, octet for octet but for case? */
function isQuestionOf(octets: Buffer, query: Query): boolean {
  const ours = packet.encode({ type: 'query', questions: [{ name: query.name, type: query.type, class: 'IN' }] });
  const theirs = octets.subarray(HEADER_OCTETS, ours.length).toString('latin1').toLowerCase();
  return theirs === ours.subarray(HEADER_OCTETS).toString('latin1').toLowerCase();
}

function isSame(asked: packet.Question, query: Query): boolean {
  return readDomain(asked.name) === query.name && asked.type === query.type && asked.class === 'IN';
}
