/**
 * Parameters by which a sender asks for delivery status notifications (RFC 3461, section 4; RFC 6533, section 3): read,
 * judged and written. Text is latin1, one character an octet. What is decoded here may hold any printable octet: whoever
 * writes it somewhere else encodes it for that place.
 */
import { isUtf8Text, parseAddress } from './address.ts';
import type { Parameters } from './argument.ts';
import { MAX_ENVID, MAX_ORCPT } from './limits.ts';

export type NotifyOn = 'SUCCESS' | 'FAILURE' | 'DELAY';

export interface DsnMailParameters {
  readonly ret: 'FULL' | 'HDRS' | undefined;
  /** Decoded: printable ASCII, spaces included. */
  readonly envid: string | undefined;
}

export interface DsnRcptParameters {
  /** Undefined: the sender said nothing, so we choose. An empty list is NEVER. */
  readonly notify: readonly NotifyOn[] | undefined;
  readonly orcpt: OriginalRecipient | undefined;
}

/** The recipient as its sender named it, before anybody forwarded the mail. */
export interface OriginalRecipient {
  /** `rfc822`, `utf-8` or another registered type; lower case. */
  readonly type: string;
  /** Decoded: printable ASCII; with `utf-8` a mailbox in UTF-8 octets. */
  readonly address: string;
}

/** `undefined`: one of them breaks its grammar. Parameters that are not of this extension are passed over. */
export function parseDsnMail(params: Parameters): DsnMailParameters | undefined {
  const ret = one(params, 'RET', parseRet);
  const envid = one(params, 'ENVID', parseEnvid);
  return ret === BROKEN || envid === BROKEN ? undefined : { ret, envid };
}

export function parseDsnRcpt(params: Parameters): DsnRcptParameters | undefined {
  const notify = one(params, 'NOTIFY', parseNotify);
  const orcpt = one(params, 'ORCPT', parseOrcpt);
  return notify === BROKEN || orcpt === BROKEN ? undefined : { notify, orcpt };
}

export function writeDsnMail({ ret, envid }: DsnMailParameters): Parameters {
  const out = new Map<string, string>();
  if (ret !== undefined) out.set('RET', ret);
  if (envid !== undefined) out.set('ENVID', encodeXtext(envid));
  return out;
}

/** `utf8`: whether the mail goes with SMTPUTF8; without it an address of type `utf-8` is written in ASCII. */
export function writeDsnRcpt({ notify, orcpt }: DsnRcptParameters, utf8: boolean): Parameters {
  const out = new Map<string, string>();
  if (notify !== undefined) out.set('NOTIFY', notify.length === 0 ? 'NEVER' : notify.join(','));
  if (orcpt !== undefined) {
    const { type, address } = orcpt;
    out.set('ORCPT', `${type};${type === 'utf-8' ? encodeUtf8Address(address, utf8) : encodeXtext(address)}`);
  }
  return out;
}

const BROKEN = Symbol('broken');

function one<T>(
  params: Parameters,
  keyword: string,
  parse: (value: string) => T | undefined,
): T | undefined | typeof BROKEN {
  const value = params.get(keyword);
  if (value === undefined) return undefined;
  return value === true ? BROKEN : (parse(value) ?? BROKEN);
}

/** RFC 3461, 4.3: `RET=FULL` or `RET=HDRS`. */
export function parseRet(value: string): 'FULL' | 'HDRS' | undefined {
  const word = value.toUpperCase();
  return word === 'FULL' || word === 'HDRS' ? word : undefined;
}

/** RFC 3461, 4.4: xtext of printable ASCII, at most 100 characters as sent. */
export function parseEnvid(value: string): string | undefined {
  return value.length > MAX_ENVID ? undefined : printableOf(decodeXtext(value));
}

/** RFC 3461, 4.1: `NEVER` alone, or a list of the others. */
export function parseNotify(value: string): readonly NotifyOn[] | undefined {
  const words = value.toUpperCase().split(',');
  if (words.length === 1 && words[0] === 'NEVER') return [];
  const asked = new Set<NotifyOn>();
  for (const word of words) {
    if (word !== 'SUCCESS' && word !== 'FAILURE' && word !== 'DELAY') return undefined;
    asked.add(word);
  }
  return [...asked];
}

/** RFC 3461, 4.2: `ORCPT=addr-type;xtext`, at most 500 characters; RFC 6533, 3: the type `utf-8` has an encoding of its own. */
export function parseOrcpt(value: string): OriginalRecipient | undefined {
  const found = value.length > MAX_ORCPT ? null : ORCPT.exec(value);
  if (found === null) return undefined;
  const type = (found[1] ?? '').toLowerCase();
  const text = found[2] ?? '';
  const address = type === 'utf-8' ? decodeUtf8Address(text) : printableOf(decodeXtext(text));
  return address === undefined ? undefined : { type, address };
}

/** addr-type is an atom (RFC 5322, 3.2.3). The types in use have at most six characters; 64 leaves room. */
const ORCPT = /^([A-Za-z0-9!#$%&'*+\-/?^_`{|}~]{1,64});(.+)$/s;

/**
 *     xtext = *( xchar / hexchar )    xchar = %d33-42 / %d44-60 / %d62-126    hexchar = "+" 2HEXDIG, upper case
 */
const XTEXT = /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})+$/;

export function decodeXtext(text: string): string | undefined {
  if (!XTEXT.test(text)) return undefined;
  return text.replace(/\+(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

export function encodeXtext(octets: string): string {
  return octets.replace(/[^\x21-\x2a\x2c-\x3c\x3e-\x7e]/g, (octet) => `+${hexOf(octet.charCodeAt(0))}`);
}

function printableOf(text: string | undefined): string | undefined {
  return text !== undefined && /^[\x20-\x7e]+$/.test(text) ? text : undefined;
}

/**
 *     utf-8-addr-unitext  = 1*(QUCHAR / EmbeddedUnicodeChar)     utf-8-addr-xtext = the same in ASCII
 *     EmbeddedUnicodeChar = "\x{" HEXPOINT "}"
 *
 * QUCHAR is any printable character but `\`, `+` and `=`. A HEXPOINT has no needless zero, and stands only for what could
 * not stand there bare in ASCII; two ways to write one character would be two addresses for one.
 */
const EMBEDDED = /\\x\{([0-9A-Fa-f]{2,6})\}/g;

function decodeUtf8Address(text: string): string | undefined {
  if (!isUtf8Text(text) || /[+=\x00-\x20\x7f]/.test(text)) return undefined;
  let isBroken = false;
  const decoded = text.replace(EMBEDDED, (_, hex: string) => {
    const point = Number.parseInt(hex, 16);
    if (!isEmbeddable(point, hex)) isBroken = true;
    return isBroken ? '' : Buffer.from(String.fromCodePoint(point)).toString('latin1');
  });
  // A backslash that begins no such sequence; one that stands for itself came as \x{5C}.
  const isBare = text.replace(EMBEDDED, '').includes('\\');
  return isBroken || isBare || parseAddress(decoded) === undefined ? undefined : decoded;
}

function isEmbeddable(point: number, hex: string): boolean {
  if (hex.startsWith('0') || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
  return point > 0x7f || point === 0x20 || point === 0x2b || point === 0x3d || point === 0x5c;
}

/** `address` in UTF-8 octets. `bare`: characters beyond ASCII may stand as they are. */
export function encodeUtf8Address(address: string, bare: boolean): string {
  const special = bare ? /[\\+=\x00-\x20\x7f]/gu : /[\\+=\x00-\x20\x7f]|[^\x00-\x7f]/gu;
  const text = Buffer.from(address, 'latin1').toString();
  const encoded = text.replace(special, (char) => `\\x{${hexOf(char.codePointAt(0) ?? 0)}}`);
  return Buffer.from(encoded).toString('latin1');
}

function hexOf(code: number): string {
  return code.toString(16).toUpperCase().padStart(2, '0');
}
