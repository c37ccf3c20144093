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
}

export interface PartData {
  /** `undefined`: a part we do not know, to be ignored. */
  readonly part: Part | undefined;
  readonly allow: Allow;
  /** The command was answered already, in an earlier transaction that this one was split from (design, D4). */
  readonly replayed: boolean;
}

export const ALLOW_NOTHING: Allow = { smtpError: false, addHeader: false };

/** The named lines of a DUM that carries `part`, without `Kept`; each line ends with CRLF. */
export function dataBlock(part: Part, allow: Allow, flags?: { readonly replayed?: boolean }): string {
  return BLOCKS[NUMBER[part] * 8 + indexOf(allow.smtpError, allow.addHeader, flags?.replayed === true)] as string;
}

/** Reads the named parameters of a processor's DUM; an error makes the message invalid. */
export function readData(named: Named): PartData | { readonly error: string } {
  if (named.size === 1) {
    const only = named.get('AM-Part');
    const part = typeof only === 'string' ? partByName(only) : undefined;
    if (part !== undefined) return DATA[NUMBER[part] * 8] as PartData;
  }
  if (named.has('SMTP-Error') || named.has('Add-Header')) return { error: 'reply-from-processor' };
  const name = named.get('AM-Part');
  if (name === undefined) return { error: 'am-part-missing' };
  if (typeof name === 'object') return { error: 'am-part-type' };
  let smtpError = false;
  let addHeader = false;
  const allow = named.get('Allow');
  if (allow !== undefined) {
    if (!isList(allow)) return { error: 'allow-type' };
    for (const name of allow) {
      if (typeof name === 'object') return { error: 'allow-type' };
      if (name === 'SMTP-Error') smtpError = true;
      else if (name === 'Add-Header') addHeader = true;
    }
  }
  const replayed = named.get('Replayed');
  if (typeof replayed === 'object') return { error: 'replayed-type' };
  const index = indexOf(smtpError, addHeader, replayed === 'true');
  const part = partByName(atomText(name) ?? '');
  return (part === undefined ? UNKNOWN[index] : DATA[NUMBER[part] * 8 + index]) as PartData;
}

const COMBINATIONS: readonly Omit<PartData, 'part'>[] = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => ({
  allow: { smtpError: (bits & 1) !== 0, addHeader: (bits & 2) !== 0 },
  replayed: (bits & 4) !== 0,
}));

function indexOf(smtpError: boolean, addHeader: boolean, replayed: boolean): number {
  return (smtpError ? 1 : 0) + (addHeader ? 2 : 0) + (replayed ? 4 : 0);
}

function renderBlock(part: Part, { allow, replayed }: Omit<PartData, 'part'>): string {
  const replies = [allow.smtpError ? 'SMTP-Error' : '', allow.addHeader ? 'Add-Header' : ''].filter(
    (name) => name !== '',
  );
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

// Flat, eight combinations a part, in the order of PARTS, which is that of NUMBER.
const BLOCKS: readonly string[] = PARTS.flatMap((part) => COMBINATIONS.map((one) => renderBlock(part, one)));
const DATA: readonly PartData[] = PARTS.flatMap((part) => COMBINATIONS.map((one) => ({ part, ...one })));
const UNKNOWN: readonly PartData[] = COMBINATIONS.map((one) => ({ part: undefined, ...one }));
