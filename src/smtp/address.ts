/**
 * Mailboxes and paths of the envelope (RFC 5321, 4.1.2 and 4.1.3; RFC 6531, 3.3). Text is latin1, one character an
 * octet; a UTF-8 address is its octets, checked to be UTF-8. The grammar is strict in the local part, because a next
 * hop that reads the same octets differently is how mail goes astray, and lax in two places where the field is:
 * source routes are accepted and dropped (RFC 5321, appendix C), and a domain may hold `_`.
 */
import { isUtf8 } from 'node:buffer';
import { bad, got, type Step } from '../base/index.ts';
import { MAX_DOMAIN, MAX_LOCAL_PART, MAX_PATH } from './limits.ts';
import { skipDomain, skipLocalPart, skipRoute } from './path-grammar.ts';

export interface Address {
  /** As sent, quotes and case included: only the final host may judge it. */
  readonly local: string;
  /** Lower case (ASCII only), or an address literal as sent; empty in `<postmaster>`. */
  readonly domain: string;
  /** `local@domain`, or `postmaster` alone. */
  readonly text: string;
}

export function makeAddress(local: string, domain: string): Address {
  const name = domain.startsWith('[') ? domain : lowerAscii(domain);
  return { local, domain: name, text: name === '' ? local : `${local}@${name}` };
}

/** Whether the address may only go where SMTPUTF8 was agreed on. */
export function needsSmtpUtf8(address: Address | null): boolean {
  return address !== null && /[\x80-\xff]/.test(address.text);
}

/** `<a@b>`, or `<>` for the null reverse-path. */
export function writePath(path: Address | null): string {
  return path === null ? '<>' : `<${path.text}>`;
}

const IPV4 = /^\[(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}\]$/;
const TAGGED = /^\[[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?:[\x21-\x5a\x5e-\x7e]+\]$/;

/**
 *     Path = "<" [ A-d-l ":" ] Mailbox ">"        Reverse-path adds "<>"        Forward-path adds "<postmaster>"
 *
 * Reads the path at `at`; `used` says how long it is. `null` is `<>`.
 */
export function parsePath(text: string, at: number, allow: { readonly empty: boolean }): Step<Address | null> {
  if (text[at] !== '<') return bad('path-bracket', at);
  if (text[at + 1] === '>') return allow.empty ? got(null, 2) : bad('path-empty', at);
  const start = skipRoute(text, at + 1);
  const localEnd = skipLocalPart(text, start);
  if (localEnd === start) return bad('local-part', start);
  const local = text.slice(start, localEnd);
  const domainEnd = text[localEnd] === '@' ? skipDomain(text, localEnd + 1) : localEnd;
  const domain = text.slice(localEnd + 1, domainEnd);
  if (domain === '' && (text[localEnd] === '@' || local.toLowerCase() !== 'postmaster')) return bad('domain', localEnd);
  if (text[domainEnd] !== '>') return bad('path-bracket', domainEnd);
  const rule = checkMailbox(local, domain) ?? (domainEnd - at >= MAX_PATH ? 'path-length' : undefined);
  return rule === undefined ? got(makeAddress(local, domain), domainEnd + 1 - at) : bad(rule, at);
}

/** Reads `local@domain` without brackets, whole. */
export function parseAddress(text: string): Address | undefined {
  const step = parsePath(`<${text}>`, 0, { empty: false });
  return step.kind === 'got' && step.value !== null && step.used === text.length + 2 ? step.value : undefined;
}

function checkMailbox(local: string, domain: string): string | undefined {
  if (local.length > MAX_LOCAL_PART) return 'local-part-length';
  if (domain.length > MAX_DOMAIN) return 'domain-length';
  if (domain.startsWith('[') && !IPV4.test(domain) && !TAGGED.test(domain)) return 'address-literal';
  return isUtf8Text(local) && isUtf8Text(domain) ? undefined : 'utf8';
}

/** Whether the octets of `text` are ASCII or well-formed UTF-8 (RFC 6531, 3.3). */
export function isUtf8Text(text: string): boolean {
  return !/[\x80-\xff]/.test(text) || isUtf8(Buffer.from(text, 'latin1'));
}

/** `toLowerCase` would change octets of UTF-8 seen as latin1. */
export function lowerAscii(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (upper) => upper.toLowerCase()) : text;
}
