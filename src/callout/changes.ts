/** What an `edit` says: fields and ranges of the message, checked when the service says it, so that its author sees. */
import { isFieldName, isForbiddenName } from '../profile/index.ts';
import type { Field } from './headers.ts';

export interface Changes {
  readonly headers?: HeaderChanges;
  /**
   * Places of the message by their offsets, counted from its first octet, header included. One within a trace field (`Received`,
   * `Return-Path`, `OPES-*`) fails the service where the header was seen; where not, the processor restores the field.
   */
  readonly ranges?: readonly RangeChange[];
}

export interface HeaderChanges {
  /** Fields to add, below the trace fields at the top. Added without touching the message where the processor can. */
  readonly add?: readonly NewField[];
  /** Fields to take out: one of `mail.headers`, or all of a name. */
  readonly remove?: readonly (Field | string)[];
  /** Fields to write anew: one of `mail.headers`, or the first of a name; added where there is none of that name. */
  readonly replace?: readonly (readonly [field: Field | string, value: string])[];
}

/** A name and its value. Long values are folded, and characters beyond ASCII encoded (RFC 2047). */
export type NewField = readonly [name: string, value: string];

/** `data` in place of the octets from `start` up to but not including `end`; with `start` and `end` equal, before them. */
export interface RangeChange {
  readonly start: number;
  readonly end: number;
  /** Text is written as UTF-8. Lines end with CRLF. */
  readonly data: Uint8Array | string;
}

/** Throws on what can be seen to be wrong without the message. */
export function checkChanges({ headers, ranges = NO_RANGES }: Changes): void {
  if (headers !== undefined) checkHeaders(headers);
  for (const { start, end, data } of ranges) {
    if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end < start) {
      throw new RangeError(`not a range: ${start} to ${end}`);
    }
    const octets = typeof data === 'string' ? Buffer.from(data) : data;
    if (hasBareNewline(octets)) throw new TypeError('a line of the inserted data does not end with CRLF');
  }
}

const NO_RANGES: readonly RangeChange[] = [];

function checkHeaders({ add, remove, replace }: HeaderChanges): void {
  if (add !== undefined) for (const [name, value] of add) checkField(name, value);
  if (remove !== undefined) for (const field of remove) checkName(typeof field === 'string' ? field : field.name);
  if (replace === undefined) return;
  for (const [field, value] of replace) checkField(typeof field === 'string' ? field : field.name, value);
}

function checkField(name: string, value: string): void {
  checkName(name);
  // Folding is ours to do: a line end in a value would start a field of whoever wrote the value.
  if (value.includes('\n') || value.includes('\r') || value.includes('\0')) {
    throw new TypeError(`the value of ${name} holds a line end or NUL`);
  }
}

function checkName(name: string): void {
  if (!isFieldName(name)) throw new TypeError(`not the name of a field: ${name}`);
  if (isForbiddenName(name)) throw new TypeError(`services may not touch ${name}`);
}

/** Whether a CR or LF stands alone. Data that a neighbouring range completes to a CRLF counts as alone: keep line ends whole. */
export function hasBareNewline(octets: Uint8Array): boolean {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  for (let cr = buffer.indexOf(13); cr >= 0; cr = buffer.indexOf(13, cr + 2)) if (buffer[cr + 1] !== 10) return true;
  for (let lf = buffer.indexOf(10); lf >= 0; lf = buffer.indexOf(10, lf + 1)) if (buffer[lf - 1] !== 13) return true;
  return false;
}
