/**
 * The form of a request in the message itself (RFC 4236 section 5; docs/spec/opes-smtp.md, section 12.2):
 *
 *     OPES-Bypass = "OPES-Bypass:" ( "*" / 1#agent-uri )
 *
 * Anybody may have written one, so it is read tolerantly and with caps. A field that is none asks for nothing and harms no mail:
 * it is counted, for the log.
 */
import { type AgentUris, isAgentUri } from '../../smtp/index.ts';
import { joinAsked } from './asked.ts';
import { MAX_ASKED, MAX_FIELD_OCTETS, MAX_FIELDS } from './limits.ts';

export interface HeaderRequest {
  /** Of all readable fields together; `undefined`: none of them was. */
  readonly asked: AgentUris | undefined;
  /** Fields that are no requests: their form, or beyond a cap. */
  readonly unreadable: number;
}

/** `fields`: each field named so, whole, in the order of the message. */
export function readBypassFields(fields: readonly Buffer[]): HeaderRequest {
  let asked: AgentUris | undefined;
  let unreadable = Math.max(0, fields.length - MAX_FIELDS);
  for (const field of fields.slice(0, MAX_FIELDS)) {
    const one = readField(field);
    const both = one && joinAsked(asked, one);
    if (both === undefined || (both !== '*' && both.length > MAX_ASKED)) unreadable++;
    else asked = both;
  }
  return { asked, unreadable };
}

/** One word with white space around it. A look at each octet, or two: strangers write what costs most. */
const MEMBER = /^[ \t\r\n]*([^ \t\r\n]*)[ \t\r\n]*$/;

/** `*` beside URIs means `*`. Empty members mean nothing (RFC 2616 section 2.1), a list of nothing else is no request. */
function readField(octets: Buffer): AgentUris | undefined {
  if (octets.length > MAX_FIELD_OCTETS) return undefined;
  const text = octets.toString('latin1');
  const members = text
    .slice(text.indexOf(':') + 1)
    .split(',')
    .map((member) => MEMBER.exec(member)?.[1])
    .filter((member) => member !== '');
  if (members.length === 0 || members.length > MAX_ASKED) return undefined;
  if (!members.every(isMember)) return undefined;
  return members.includes('*') ? '*' : [...new Set(members)];
}

function isMember(member: string | undefined): member is string {
  return member === '*' || (member !== undefined && isAgentUri(member));
}

/** One field with its CRLF, folded behind commas. A comma in a URI would divide it: it is percent-encoded. */
export function writeBypassField(asked: AgentUris): string {
  const members = asked === '*' ? ['*'] : asked.map((uri) => uri.replaceAll(',', '%2C'));
  return `OPES-Bypass: ${members.join(',\r\n\t')}\r\n`;
}
