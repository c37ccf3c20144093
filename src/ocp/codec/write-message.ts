/**
 * Writers: one for any message of the grammar, and one for each message of OCP Core (RFC 4037, section 11) that only
 * joins strings. All append to an `Outbox`; none checks the state of a connection.
 */

import { isName } from './octet-classes.ts';
import type { Outbox } from './outbox.ts';
import type { Result } from './types.ts';
import { type Named, NO_NAMED, type Structure, type Value } from './values.ts';
import { writeBlock, writeNamed, writeValue } from './write-value.ts';

const END = ';\r\n';
const PAYLOAD_END = '\r\n;\r\n';

/** Any message. Throws `RangeError` for names and numbers outside the grammar: a bug of the caller. */
export function writeMessage(
  out: Outbox,
  name: string,
  anonymous: readonly Value[],
  named: Named = NO_NAMED,
  payload?: Uint8Array,
): void {
  if (!isName(name)) throw new RangeError('not an OCP name');
  let head = name;
  for (const value of anonymous) head += ` ${writeValue(value)}`;
  const block = writeBlock(named);
  if (payload === undefined) out.head(closed(head, block));
  else writePayload(out, head, block, [payload], payload.length);
}

/** Octets of a data message: pieces by reference, or a short text, one character an octet, that goes with the head. */
export type Payload = string | readonly Uint8Array[];

/** `block`: named parameters as lines that each end with CRLF, or ''. `payload` is of `size` octets. */
export function writeDum(
  out: Outbox,
  xid: number,
  offset: number,
  block: string,
  payload: Payload,
  size: number,
): void {
  writePayload(out, `DUM ${xid} ${offset}`, block, payload, size);
}

export function writeDuy(out: Outbox, xid: number, offset: number, size: number, block = ''): void {
  out.head(closed(`DUY ${xid} ${offset} ${size}`, block));
}

export function writeCs(out: Outbox): void {
  out.head('CS;\r\n');
}

export function writeCe(out: Outbox, result?: Result): void {
  out.head(`CE${resultOf(result)}${END}`);
}

export function writeSgc(out: Outbox, sgId: number, services: readonly Structure[]): void {
  out.head(`SGC ${sgId} ${writeValue(services)}${END}`);
}

export function writeSgd(out: Outbox, sgId: number): void {
  out.head(`SGD ${sgId}${END}`);
}

export function writeTs(out: Outbox, xid: number, sgId: number): void {
  out.head(`TS ${xid} ${sgId}${END}`);
}

export function writeTe(out: Outbox, xid: number, result?: Result): void {
  out.head(`TE ${xid}${resultOf(result)}${END}`);
}

/** `services`: what is really applied, where it is not what was asked for (section 11.7). */
export function writeAms(out: Outbox, xid: number, services?: readonly Structure[]): void {
  out.head(closed(`AMS ${xid}`, services === undefined ? '' : writeNamed('Services', services)));
}

export function writeAme(out: Outbox, xid: number, result?: Result): void {
  out.head(`AME ${xid}${resultOf(result)}${END}`);
}

export function writeDpi(out: Outbox, xid: number, offset: number, size: number): void {
  out.head(`DPI ${xid} ${offset} ${size}${END}`);
}

export function writeDwsr(out: Outbox, xid: number, size: number): void {
  out.head(`DWSR ${xid} ${size}${END}`);
}

export function writeDwss(out: Outbox, xid: number): void {
  out.head(`DWSS ${xid}${END}`);
}

export function writeDss(out: Outbox, xid: number): void {
  out.head(`DSS ${xid}${END}`);
}

export function writeDwp(out: Outbox, xid: number, offset: number): void {
  out.head(`DWP ${xid} ${offset}${END}`);
}

export function writeDpm(out: Outbox, xid: number): void {
  out.head(`DPM ${xid}${END}`);
}

export function writeDwm(out: Outbox, xid: number, sizeRequest?: number): void {
  out.head(closed(`DWM ${xid}`, sizeRequest === undefined ? '' : `Size-request: ${sizeRequest}\r\n`));
}

export interface OfferOptions {
  readonly sg?: number | undefined;
  readonly offerPending?: boolean;
}

export interface ResponseOptions extends OfferOptions {
  readonly rejects?: readonly Structure[];
  readonly unknowns?: readonly Structure[];
}

export function writeNo(out: Outbox, features: readonly Structure[], options: OfferOptions = {}): void {
  out.head(closed(`NO ${writeValue(features)}`, negotiationBlock(options)));
}

/** `feature`: the one selected; `undefined` rejects the offer. */
export function writeNr(out: Outbox, feature: Structure | undefined, options: ResponseOptions = {}): void {
  out.head(closed(feature === undefined ? 'NR' : `NR ${writeValue(feature)}`, negotiationBlock(options)));
}

/** `block`: what the feature's own specification adds (section 11.20), as lines that each end with CRLF, or ''. */
export function writeAq(out: Outbox, feature: Structure, block = ''): void {
  out.head(closed(`AQ ${writeValue(feature)}`, block));
}

/** `block`: as in `writeAq` (section 11.21). */
export function writeAa(out: Outbox, supported: boolean, block = ''): void {
  out.head(closed(`AA ${supported}`, block));
}

export function writePq(out: Outbox, xid?: number): void {
  out.head(closed(xid === undefined ? 'PQ' : `PQ ${xid}`, ''));
}

export function writePa(out: Outbox, xid?: number, orgData?: number): void {
  writeProgress(out, 'PA', xid, orgData);
}

export function writePr(out: Outbox, xid?: number, orgData?: number): void {
  writeProgress(out, 'PR', xid, orgData);
}

function writeProgress(out: Outbox, name: string, xid: number | undefined, orgData: number | undefined): void {
  const head = xid === undefined ? name : `${name} ${xid}`;
  out.head(closed(head, orgData === undefined ? '' : `Org-Data: ${orgData}\r\n`));
}

function negotiationBlock({ sg, offerPending, rejects = [], unknowns = [] }: ResponseOptions): string {
  let block = '';
  if (sg !== undefined) block += `SG: ${sg}\r\n`;
  if (rejects.length > 0) block += writeNamed('Rejects', rejects);
  if (unknowns.length > 0) block += writeNamed('Unknowns', unknowns);
  if (offerPending === true) block += 'Offer-Pending: true\r\n';
  return block;
}

function resultOf(result: Result | undefined): string {
  if (result === undefined) return '';
  const { code, reason, cause } = result;
  const block = cause === undefined ? '' : `\r\n${writeNamed('Cause', cause)}`;
  return reason === '' ? ` {${code}${block}}` : ` {${code} ${writeValue(reason)}${block}}`;
}

/** The semicolon follows the last anonymous value, but stands on its own line behind a named block. */
function closed(head: string, block: string): string {
  return block === '' ? head + END : `${head}\r\n${block}${END}`;
}

/** One CRLF opens a payload; behind a named block there is another, which closes the block. */
function writePayload(out: Outbox, head: string, block: string, payload: Payload, size: number): void {
  const start = block === '' ? `${head}\r\n${size}:` : `${head}\r\n${block}\r\n${size}:`;
  const isText = typeof payload === 'string';
  let octets = isText ? payload.length : 0;
  if (!isText) for (let i = 0; i < payload.length; i++) octets += (payload[i] as Uint8Array).length;
  // Everything behind a payload of another size would be read as something else: a bug of ours must not get out.
  if (octets !== size) throw new RangeError('payload is not of the size announced');
  if (isText) {
    out.head(start + payload + PAYLOAD_END);
    return;
  }
  out.head(start);
  for (let i = 0; i < payload.length; i++) out.octets(payload[i] as Uint8Array);
  out.head(PAYLOAD_END);
}
