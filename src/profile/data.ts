/**
 * What a processor says beside the octets of a part (draft section 3.3): the named lines of its DUM. There are few
 * combinations, so each is rendered once and read into one shared value: neither side sets memory aside per message.
 */
import { atomText, isList, type Named } from '../ocp/index.ts';
import { PARTS, type Part, partByName } from './parts.ts';

/** What the processor takes as an answer to this part. */
export interface Allow {
  readonly smtpError: boolean;
  readonly addHeader: boolean;
  /** Some advice (`advice.ts`): which is the operator's to say. */
  readonly advice: boolean;
}

export interface PartData {
  /** `undefined`: a part we do not know, to be ignored. */
  readonly part: Part | undefined;
  readonly allow: Allow;
  /** The command was answered already, in an earlier transaction that this one was split from (design, D4). */
  readonly replayed: boolean;
}

export const ALLOW_NOTHING: Allow = { smtpError: false, addHeader: false, advice: false };

/** The named lines of a DUM that carries `part`, without `Kept`; each line ends with CRLF. */
export function dataBlock(part: Part, allow: Allow, flags?: { readonly replayed?: boolean }): string {
  return BLOCKS[NUMBER[part] * COMBINED + indexOf(allow, flags?.replayed === true)] as string;
}

/** Reads the named parameters of a processor's DUM; an error makes the message invalid. */
export function readData(named: Named): PartData | { readonly error: string } {
  if (named.size === 1) {
    const only = named.get('AM-Part');
    const part = typeof only === 'string' ? partByName(only) : undefined;
    if (part !== undefined) return DATA[NUMBER[part] * COMBINED] as PartData;
  }
  if (named.has('SMTP-Error') || named.has('Add-Header') || named.has('Advice'))
    return { error: 'reply-from-processor' };
  const name = named.get('AM-Part');
  if (name === undefined) return { error: 'am-part-missing' };
  if (typeof name === 'object') return { error: 'am-part-type' };
  let bits = 0;
  const allow = named.get('Allow');
  if (allow !== undefined) {
    if (!isList(allow)) return { error: 'allow-type' };
    for (const name of allow) {
      if (typeof name === 'object') return { error: 'allow-type' };
      if (name === 'SMTP-Error') bits |= SMTP_ERROR;
      else if (name === 'Add-Header') bits |= ADD_HEADER;
      else if (name === 'Advice') bits |= ADVICE;
    }
  }
  const replayed = named.get('Replayed');
  if (typeof replayed === 'object') return { error: 'replayed-type' };
  if (replayed === 'true') bits |= REPLAYED;
  const part = partByName(atomText(name) ?? '');
  return (part === undefined ? UNKNOWN[bits] : DATA[NUMBER[part] * COMBINED + bits]) as PartData;
}

const SMTP_ERROR = 1;
const ADD_HEADER = 2;
const REPLAYED = 4;
const ADVICE = 8;
/** Combinations of these a part. */
const COMBINED = 16;

const COMBINATIONS: readonly Omit<PartData, 'part'>[] = Array.from({ length: COMBINED }, (_, bits) => ({
  allow: {
    smtpError: (bits & SMTP_ERROR) !== 0,
    addHeader: (bits & ADD_HEADER) !== 0,
    advice: (bits & ADVICE) !== 0,
  },
  replayed: (bits & REPLAYED) !== 0,
}));

function indexOf({ smtpError, addHeader, advice }: Allow, replayed: boolean): number {
  return (
    (smtpError ? SMTP_ERROR : 0) + (addHeader ? ADD_HEADER : 0) + (advice ? ADVICE : 0) + (replayed ? REPLAYED : 0)
  );
}

function renderBlock(part: Part, { allow, replayed }: Omit<PartData, 'part'>): string {
  const replies = [
    allow.smtpError ? 'SMTP-Error' : '',
    allow.addHeader ? 'Add-Header' : '',
    allow.advice ? 'Advice' : '',
  ].filter((name) => name !== '');
  const allowed = replies.length > 0 ? `Allow: (${replies.join(',')})\r\n` : '';
  return `AM-Part: ${part}\r\n${allowed}${replayed ? 'Replayed: true\r\n' : ''}`;
}

const NUMBER: Readonly<Record<Part, number>> = {
  IP: 0,
  EHLO: 1,
  HELO: 2,
  MAIL: 3,
  RCPT: 4,
  VRFY: 5,
  EXPN: 6,
  RAWDATA: 7,
};

// Flat, by part and combination, in the order of PARTS, which is that of NUMBER.
const BLOCKS: readonly string[] = PARTS.flatMap((part) => COMBINATIONS.map((one) => renderBlock(part, one)));
const DATA: readonly PartData[] = PARTS.flatMap((part) => COMBINATIONS.map((one) => ({ part, ...one })));
const UNKNOWN: readonly PartData[] = COMBINATIONS.map((one) => ({ part: undefined, ...one }));
