/**
 * Parameters of the extension `OPES` (docs/spec/opes-smtp.md, section 12): what a sender asks of the OPES processors on the way
 * of its mail.
 *
 *     OPESBYPASS = "*" / agent-uri *( "," agent-uri )      ; each of them xtext (RFC 3461, 4), a comma in it +2C
 *     OPESTRACE                                            ; no value
 *     OPESAUTH                                             ; no value, of MAIL only: whoever says it has authorised the requests
 *
 * Read and judged here; what goes on goes as it came. What is left out for whom is the gateway's decision.
 */
import type { Parameters } from './argument.ts';
import { decodeXtext } from './dsn.ts';
import { MAX_OPES_URIS, MAX_OPESBYPASS } from './limits.ts';

/** Agents by their URIs, or all there are. */
export type AgentUris = '*' | readonly string[];

/** An absolute URI as far as anybody can tell: whose it is need not be known (REQ-064). */
export function isAgentUri(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/.test(text);
}

/** The value of OPESBYPASS as sent. `*` beside others means `*`. `undefined`: it breaks the grammar, or a cap. */
export function parseOpesBypass(value: string): AgentUris | undefined {
  if (value.length > MAX_OPESBYPASS) return undefined;
  const members = value.split(',');
  if (members.length > MAX_OPES_URIS) return undefined;
  const uris = new Set<string>();
  let isAll = false;
  for (const member of members) {
    const uri = decodeXtext(member);
    if (uri === '*') isAll = true;
    else if (uri !== undefined && isAgentUri(uri)) uris.add(uri);
    else return undefined;
  }
  return isAll ? '*' : [...uris];
}

/** Whether any of them is there; no more than look-ups, for nearly all mail has none. */
export function hasOpesParameters(params: Parameters): boolean {
  return params.size > 0 && (params.has('OPESBYPASS') || params.has('OPESTRACE') || params.has('OPESAUTH'));
}

export function isOpesParameter(keyword: string): boolean {
  return keyword === 'OPESBYPASS' || keyword === 'OPESTRACE' || keyword === 'OPESAUTH';
}
