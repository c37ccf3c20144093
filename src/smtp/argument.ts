/**
 * Arguments of MAIL and RCPT behind their `FROM:` and `TO:` (RFC 5321, 4.1.1.2, 4.1.1.3, 4.1.2): a path and ESMTP
 * parameters. The listener, callout answers and the client all use this one grammar, and what goes on is written from
 * the parsed value. Which parameters mean anything is not judged here.
 */
import { bad, got, type Step } from '../base/index.ts';
import { type Address, isUtf8Text, parsePath, writePath } from './address.ts';
import { MAX_PARAMETERS } from './limits.ts';

/** ESMTP parameters by keyword in upper case; `true` is one without a value. In the order sent. */
export type Parameters = ReadonlyMap<string, string | true>;

export const NO_PARAMETERS: Parameters = new Map();

export interface MailArgument {
  /** `null` is the null reverse-path `<>`. */
  readonly path: Address | null;
  readonly params: Parameters;
}

export interface RcptArgument {
  readonly path: Address;
  readonly params: Parameters;
}

/** Reads `<a@b> SIZE=1` or `<>`. */
export function parseMailArgument(text: string): Step<MailArgument> {
  const path = parsePath(text, 0, { empty: true });
  if (path.kind !== 'got') return path;
  const params = parseParameters(text, path.used);
  if (params.kind !== 'got') return params;
  return got({ path: path.value, params: params.value }, text.length);
}

/** Reads `<a@b> NOTIFY=NEVER` or `<postmaster>`. */
export function parseRcptArgument(text: string): Step<RcptArgument> {
  const path = parsePath(text, 0, { empty: false });
  if (path.kind !== 'got') return path;
  if (path.value === null) return bad('path-empty', 0);
  const params = parseParameters(text, path.used);
  if (params.kind !== 'got') return params;
  return got({ path: path.value, params: params.value }, text.length);
}

/** The normal form: path as understood, keywords in upper case, single spaces. */
export function writeArgument(path: Address | null, params: Parameters): string {
  let out = writePath(path);
  for (const [keyword, value] of params) out += value === true ? ` ${keyword}` : ` ${keyword}=${value}`;
  return out;
}

/**
 *     esmtp-param = esmtp-keyword [ "=" esmtp-value ]
 *     esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
 *     esmtp-value = 1*(%d33-60 / %d62-126)               ; and UTF-8 (RFC 6531, 3.3)
 */
const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e\x80-\xff]+))?$/;

/** Takes everything behind the path. A keyword twice is refused: two readers would take different ones. */
function parseParameters(text: string, at: number): Step<Parameters> {
  const rest = text.slice(at);
  if (/^ *$/.test(rest)) return got(NO_PARAMETERS, rest.length);
  if (rest[0] !== ' ') return bad('path-end', at);
  const params = new Map<string, string | true>();
  for (const word of rest.split(' ')) {
    if (word === '') continue; // trailing and double spaces are common and mean nothing
    const m = PARAMETER.exec(word);
    if (m === null || !isUtf8Text(word)) return bad('parameter-syntax', at);
    const keyword = (m[1] ?? '').toUpperCase();
    if (params.has(keyword)) return bad('parameter-twice', at);
    if (params.size === MAX_PARAMETERS) return bad('parameter-count', at);
    params.set(keyword, m[2] ?? true);
  }
  return got(params, rest.length);
}
