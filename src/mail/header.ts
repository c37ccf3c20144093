/**
 * Header sections as ranges of octets (RFC 5322 sections 2.2 and 3.6.8). Nothing is copied or rewritten: a field is four
 * offsets, so whatever nobody touches goes out exactly as it came.
 *
 * The reader is tolerant, because it also reads what hostile or broken programs wrote: a line ends at LF with or without
 * CR before it (taking a bare LF for a line end shows fields another reader downstream might see); spaces before the
 * colon are allowed (obs-optional); a line that is no field and no continuation is kept as a field without a name and
 * the section is marked `broken`. The ranges tile the section: no octet belongs to none or to two.
 */
import { COLON, CR, HT, LF, SP } from '../base/index.ts';
import { type MailLimits, mailLimits } from './limits.ts';

/** One field: `[start, nameEnd)` is its name, `[valueStart, end)` its body with folds and the closing line end. */
export interface FieldRange {
  readonly start: number;
  /** Equal to `start` where the line is not a field. */
  readonly nameEnd: number;
  readonly valueStart: number;
  readonly end: number;
}

export type HeaderFault = 'not-a-field' | 'field-count' | 'header-size';

export interface ScannedHeader {
  readonly fields: readonly FieldRange[];
  /** Offset behind the empty line; the length of the octets where there is none. */
  readonly end: number;
  /** Whether the empty line was there. */
  readonly whole: boolean;
  /** The first rule the section broke. `field-count`: the fields beyond the cap are not listed, `end` is right. */
  readonly broken?: HeaderFault;
}

/** How many octets the empty line at `at` has; 0 where there is none. */
export function emptyLineAt(octets: Uint8Array, at: number): 0 | 1 | 2 {
  const octet = octets[at];
  if (octet === LF) return 1;
  return octet === CR && octets[at + 1] === LF ? 2 : 0;
}

/** The offset behind the field at `from`: its line and the folded lines behind it. */
export function fieldEnd(octets: Uint8Array, from: number): number {
  for (let at = from; ; ) {
    const lf = octets.indexOf(LF, at);
    if (lf < 0) return octets.length;
    at = lf + 1;
    const next = octets[at];
    if (next !== SP && next !== HT) return at;
  }
}

/** The four offsets of the field in `[start, end)`. */
export function makeFieldRange(octets: Uint8Array, start: number, end: number, maxName: number): FieldRange {
  const stop = Math.min(end, start + maxName);
  let nameEnd = start;
  while (nameEnd < stop && isNameOctet(octets[nameEnd] as number)) nameEnd++;
  let colon = nameEnd;
  while (colon < end && (octets[colon] === SP || octets[colon] === HT)) colon++;
  if (nameEnd === start || octets[colon] !== COLON || colon >= end) {
    return { start, nameEnd: start, valueStart: start, end };
  }
  return { start, nameEnd, valueStart: colon + 1, end };
}

/** ftext of RFC 5322: printable, no colon. Octets over 126 are let in: RFC 6532 allows none in names, senders write them. */
function isNameOctet(octet: number): boolean {
  return octet > SP && octet !== COLON && octet !== 0x7f;
}

/** Reads the header section at the start of `octets`. */
export function scanHeader(octets: Uint8Array, limits: MailLimits = mailLimits): ScannedHeader {
  const fields: FieldRange[] = [];
  let broken: HeaderFault | undefined;
  let at = 0;
  while (at < octets.length) {
    const empty = emptyLineAt(octets, at);
    if (empty > 0) return made(fields, at + empty, true, broken);
    const end = fieldEnd(octets, at);
    if (fields.length < limits.fields) {
      const field = makeFieldRange(octets, at, end, limits.nameOctets);
      if (field.nameEnd === field.start) broken ??= 'not-a-field';
      fields.push(field);
    } else {
      broken ??= 'field-count';
    }
    at = end;
  }
  return made(fields, octets.length, false, broken);
}

function made(
  fields: readonly FieldRange[],
  end: number,
  whole: boolean,
  broken: HeaderFault | undefined,
): ScannedHeader {
  return broken === undefined ? { fields, end, whole } : { fields, end, whole, broken };
}

/** The field's name as it was sent. */
export function fieldName(octets: Buffer, field: FieldRange): string {
  return octets.toString('latin1', field.start, field.nameEnd);
}

/** The field's body as it was sent, folds and all, but for the closing line end. One character is one octet. */
export function fieldBody(octets: Buffer, field: FieldRange): string {
  let { end } = field;
  if (end > field.valueStart && octets[end - 1] === LF) end--;
  if (end > field.valueStart && octets[end - 1] === CR) end--;
  return octets.toString('latin1', field.valueStart, end);
}

/** A body without its folds (RFC 5322 section 2.2.3: the line end goes, the white space stays), trimmed at both ends. */
export function unfold(body: string): string {
  const line = body.includes('\n') ? body.replace(/\r?\n/g, '') : body;
  // By hand: an expression for white space at the end takes time that grows with the square of a long run inside.
  let start = 0;
  let end = line.length;
  while (start < end && isSpace(line.charCodeAt(start))) start++;
  while (end > start && isSpace(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isSpace(char: number): boolean {
  return char === SP || char === HT;
}

/** Whether the field has this name; `lowerName` in lower case. Compares octets, makes no string. */
export function isNamed(octets: Uint8Array, field: FieldRange, lowerName: string): boolean {
  const size = field.nameEnd - field.start;
  if (size !== lowerName.length) return false;
  for (let i = 0; i < size; i++) {
    const octet = octets[field.start + i] as number;
    const lower = octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
    if (lower !== lowerName.charCodeAt(i)) return false;
  }
  return size > 0;
}

/** All fields of this name (any case), in their order. */
export function findFields(octets: Uint8Array, fields: readonly FieldRange[], name: string): readonly FieldRange[] {
  const lower = name.toLowerCase();
  return fields.filter((field) => isNamed(octets, field, lower));
}

/** The first field of this name (any case). */
export function findField(octets: Uint8Array, fields: readonly FieldRange[], name: string): FieldRange | undefined {
  const lower = name.toLowerCase();
  return fields.find((field) => isNamed(octets, field, lower));
}
