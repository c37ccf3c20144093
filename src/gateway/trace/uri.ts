/**
 * URIs as trace entries carry them. An entry list is divided by commas and an entry by semicolons, so both are
 * percent-encoded inside a URI, as is every octet that RFC 3986 does not allow to stand bare (REQ-002).
 */
import { MAX_AGENT_URI_OCTETS, MAX_ID_OCTETS } from './limits.ts';

/** RFC 3986 section 2, without `,` and `;`. Square brackets stay: they are needed around IPv6 addresses. */
const PLAIN = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+=]*$/;
const PLAIN_CHAR = /[A-Za-z0-9\-._~:/?#[\]@!$&'()*+=]/;
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+.-]*:[^\s]/;
const PERCENT_ENCODED = /^%[0-9A-Fa-f]{2}/;

/** The URI with everything encoded that may not stand in an entry. What is encoded already stays as it is. */
export function encodeUri(uri: string): string {
  if (PLAIN.test(uri)) return uri;
  let out = '';
  for (let i = 0; i < uri.length; ) {
    const char = String.fromCodePoint(uri.codePointAt(i) as number);
    if (PLAIN_CHAR.test(char) || (char === '%' && PERCENT_ENCODED.test(uri.slice(i, i + 3)))) out += char;
    else for (const octet of Buffer.from(char)) out += `%${octet.toString(16).toUpperCase().padStart(2, '0')}`;
    i += char.length;
  }
  return out;
}

/** Why `uri` may not stand for an agent in a trace, or `undefined`. Asked when a configuration is read. */
export function checkAgentUri(uri: string): string | undefined {
  if (!ABSOLUTE.test(uri)) return 'is not an absolute URI';
  if (uri.includes('#')) return 'has a fragment, which would hide the mail id behind it';
  const octets = encodeUri(uri).length;
  if (octets > MAX_AGENT_URI_OCTETS) return `has ${octets} octets when encoded, the limit is ${MAX_AGENT_URI_OCTETS}`;
  return undefined;
}

/** The System's URI for one mail: `id` goes into the query, behind a query that is there already. */
export function mailUri(systemUri: string, mailId: string): string {
  if (systemUri !== lastSystem) {
    lastStart = `${agentUri(systemUri)}${systemUri.includes('?') ? '&' : '?'}id=`;
    lastSystem = systemUri;
  }
  return lastStart + encodeId(mailId);
}

/** A gateway has one System, and each of its mails asks. */
let lastSystem: string | undefined;
let lastStart = '';

/** The encoded URI of an agent. One that `checkAgentUri` refuses never came from a checked configuration: that is a bug. */
export function agentUri(uri: string): string {
  const encoded = encodeUri(uri);
  if (encoded.length > MAX_AGENT_URI_OCTETS) throw new RangeError('agent URI over its limit: check it at load');
  return encoded;
}

function encodeId(mailId: string): string {
  const encoded = /^[A-Za-z0-9._~-]*$/.test(mailId) ? mailId : encodeURIComponent(mailId);
  if (encoded.length > MAX_ID_OCTETS) throw new RangeError('mail id over its limit');
  return encoded;
}
