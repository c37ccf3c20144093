/**
 * The fields nobody may touch, and the check before a mail leaves the gateway (REQ-003, REQ-036, REQ-037). Services get
 * the header with our block on top and could remove, change, move or forge trace fields; what they did to any other
 * field is not judged here.
 *
 * Both read the whole header section they are given: a cap on fields would let a forged trace hide behind filler. The
 * caller caps the octets.
 */
import { HT, SP } from '../../base/index.ts';
import { emptyLineAt, fieldEnd, isNamed, makeFieldRange } from '../../mail/index.ts';
import { MAX_NAME_OCTETS } from './limits.ts';

export interface OctetRange {
  readonly start: number;
  readonly end: number;
}

export interface TraceExpectation {
  /** The block that was put on top, exactly as the services saw it. */
  readonly block: Buffer;
  /** The protected fields the mail came with, in their order, joined: `olderTrace` of its header. */
  readonly older: Buffer;
}

export interface TraceCheck {
  /** Our block is on top octet for octet, and the older protected fields are all there, unchanged, in order, alone. */
  readonly intact: boolean;
  /** If not intact: the header with both restored, and the other fields as they are. It begins with our block. */
  readonly repaired?: Buffer;
  /** If not intact: protected fields of the output that were not expected (forged, changed, folded anew). */
  readonly foreign?: number;
  /** If not intact: expected fields that were missing at their place (removed, changed, moved). */
  readonly missing?: number;
}

/** Where `Received`, `Return-Path` and `OPES-*` fields stand in a header section (design D7). */
export function protectedFields(header: Buffer): readonly OctetRange[] {
  const found: OctetRange[] = [];
  if (beginsFolded(header)) return found;
  for (let at = 0; at < header.length && emptyLineAt(header, at) === 0; ) {
    const end = fieldEnd(header, at);
    if (isProtected(header, at, end)) found.push({ start: at, end });
    at = end;
  }
  return found;
}

/**
 * Whether a mail begins with a continuation line. It continues nothing and would lengthen whatever is put above it, so
 * such a mail counts as one without a header: an empty line is set before it, as other servers do.
 */
export function beginsFolded(mail: Buffer): boolean {
  return mail[0] === SP || mail[0] === HT;
}

function isProtected(header: Buffer, start: number, end: number): boolean {
  // Four first letters, either case: most fields need no further look.
  const first = (header[start] as number) | 0x20;
  if (first !== 0x72 && first !== 0x6f) return false;
  const field = makeFieldRange(header, start, end, MAX_NAME_OCTETS);
  if (first === 0x72) return isNamed(header, field, 'received') || isNamed(header, field, 'return-path');
  return header.toString('latin1', start, Math.min(field.nameEnd, start + 5)).toLowerCase() === 'opes-';
}

/** The octets of the protected fields of the mail as it came, joined in their order. */
export function olderTrace(header: Buffer): Buffer {
  return Buffer.concat(protectedFields(header).map(({ start, end }) => header.subarray(start, end)));
}

/** What the trace fields that a mail came with say. */
export interface TraceFacts {
  /** How many hops it made: the loop guard's count (RFC 5321 section 6.3). */
  readonly hops: number;
  /** It came with an `OPES-Via` of somebody else (REQ-007). */
  readonly hasForeignVia: boolean;
  /** Requests to leave services out, whole fields in their order; undefined where there is none. */
  readonly bypass: readonly Buffer[] | undefined;
}

export function traceFacts(header: Buffer): TraceFacts {
  let hops = 0;
  let hasForeignVia = false;
  let bypass: Buffer[] | undefined;
  for (const { start, end } of protectedFields(header)) {
    const field = makeFieldRange(header, start, end, MAX_NAME_OCTETS);
    if (isNamed(header, field, 'received')) hops++;
    else if (isNamed(header, field, 'opes-via')) hasForeignVia = true;
    else if (isNamed(header, field, 'opes-bypass')) {
      bypass ??= [];
      bypass.push(header.subarray(start, end));
    }
  }
  return { hops, hasForeignVia, bypass };
}

/** Judges the header section that came out of the services; octets behind its empty line are kept as they are. */
export function verifyTrace(expected: TraceExpectation, output: Buffer): TraceCheck {
  const { block, older } = expected;
  const fields = protectedFields(output);
  return isIntact(block, older, output, fields) ? { intact: true } : repair(block, older, output, fields);
}

function isIntact(block: Buffer, older: Buffer, output: Buffer, fields: readonly OctetRange[]): boolean {
  if (output.length < block.length || output.compare(block, 0, block.length, 0, block.length) !== 0) return false;
  let matched = 0;
  for (const { start, end } of fields) {
    if (end <= block.length) continue;
    // A field that begins inside the block was lengthened by a fold behind it.
    if (start < block.length) return false;
    const size = end - start;
    if (matched + size > older.length) return false;
    if (older.compare(output, start, end, matched, matched + size) !== 0) return false;
    matched += size;
  }
  // A block without fields behind it: the octet after it must begin a line of its own, which the loop has shown.
  return matched === older.length;
}

/**
 * One pass over the output: fields that are not protected stay; a protected one stays if it is an expected older field
 * not passed yet, and pulls the missing ones before it along; every other one is dropped. What is then still missing
 * follows the last one kept.
 */
function repair(block: Buffer, older: Buffer, output: Buffer, fields: readonly OctetRange[]): TraceCheck {
  const wanted = protectedFields(older).map(({ start, end }) => older.subarray(start, end));
  const places = placesOf(wanted);
  const ours = new Map<string, number>();
  for (const { start, end } of protectedFields(block)) bump(ours, block.toString('latin1', start, end), 1);
  const kept: Buffer[] = [];
  let next = 0;
  let at = 0;
  let tailIndex = 0; // where missing fields go that no kept field pulled along
  let foreign = 0;
  let missing = 0;
  for (const { start, end } of fields) {
    if (start > at) kept.push(output.subarray(at, start));
    at = end;
    const text = output.toString('latin1', start, end);
    const place = takePlace(places, text, next);
    if (place !== undefined) {
      missing += place - next;
      for (const field of wanted.slice(next, place + 1)) kept.push(field);
      next = place + 1;
      tailIndex = kept.length;
    } else if ((ours.get(text) ?? 0) > 0) {
      bump(ours, text, -1);
    } else {
      foreign++;
    }
  }
  missing += wanted.length - next + [...ours.values()].reduce((sum, n) => sum + n, 0);
  const behind = kept.slice(tailIndex);
  if (beginsFolded(output)) behind.push(LINE_END);
  behind.push(output.subarray(at));
  const pieces = [[block], kept.slice(0, tailIndex), wanted.slice(next), behind].flat();
  return { intact: false, repaired: joined(pieces), foreign, missing };
}

/** Each wanted field's places, so that a hostile output of many fields costs one look-up a field. */
function placesOf(wanted: readonly Buffer[]): Map<string, number[]> {
  const places = new Map<string, number[]>();
  for (let i = wanted.length - 1; i >= 0; i--) {
    const text = (wanted[i] as Buffer).toString('latin1');
    const list = places.get(text);
    if (list === undefined) places.set(text, [i]);
    else list.push(i);
  }
  return places;
}

function takePlace(places: Map<string, number[]>, text: string, next: number): number | undefined {
  const list = places.get(text);
  if (list === undefined) return undefined;
  for (let place = list.pop(); place !== undefined; place = list.pop()) {
    if (place >= next) return place;
  }
  return undefined;
}

function bump(counts: Map<string, number>, text: string, by: number): void {
  counts.set(text, (counts.get(text) ?? 0) + by);
}

const LINE_END = Buffer.from('\r\n');

/** A last field without its line end (a mail that stops inside its header) gets one, or what follows would join it. */
function closed(field: Buffer): Buffer {
  return field[field.length - 1] === 0x0a ? field : Buffer.concat([field, LINE_END]);
}

function joined(pieces: readonly Buffer[]): Buffer {
  const full = pieces.filter((piece) => piece.length > 0);
  return Buffer.concat(full.map((piece, i) => (i === full.length - 1 ? piece : closed(piece))));
}
