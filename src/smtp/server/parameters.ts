/**
 * ESMTP parameters of MAIL and RCPT: a row for each one we know. Whatever stands in no row, or whose extension this
 * listener does not announce, is refused (RFC 5321, 4.1.1.11: 555).
 */
import { readDecimal } from '../../base/index.ts';
import type { Parameters } from '../argument.ts';
import { parseEnvid, parseNotify, parseOrcpt, parseRet } from '../dsn.ts';
import { parseOpesBypass } from '../opes.ts';
import { replies } from '../replies.ts';
import type { Reply } from '../reply.ts';
import { decodeXtext } from './client-attributes.ts';
import { isPrdrServed } from './extensions.ts';
import type { ServerOptions } from './options.ts';

interface ParameterRow {
  readonly isAnnounced: (options: ServerOptions) => boolean;
  /** What is wrong with the value, if anything. */
  readonly check: (value: string | true, options: ServerOptions) => Reply | undefined;
}

type ParameterTable = ReadonlyMap<string, ParameterRow>;

export const mailParameters: ParameterTable = new Map<string, ParameterRow>([
  ['SIZE', { isAnnounced: () => true, check: checkSize }], // RFC 1870
  ['BODY', { isAnnounced: (options) => options.eightBitMime, check: checkBody }], // RFC 6152
  ['SMTPUTF8', { isAnnounced: (options) => options.smtpUtf8, check: checkBare }], // RFC 6531
  ['PRDR', { isAnnounced: isPrdrServed, check: checkBare }], // draft-hall-prdr
  ['RET', dsn(parseRet)],
  ['ENVID', dsn(parseEnvid)],
  ['AUTH', { isAnnounced: (options) => options.auth !== 'none', check: checkAuth }], // RFC 4954, 5
  ['OPESBYPASS', opes(checkBypass)],
  ['OPESTRACE', opes(checkBare)],
  ['OPESAUTH', opes(checkBare)],
]);

/** What `smtpd_proxy_filter` of Postfix passes on as its client sent it, whatever we announced. */
const UNASKED_MAIL: ReadonlySet<string> = new Set(['BODY', 'SMTPUTF8', 'AUTH', 'RET', 'ENVID']);
const UNASKED_RCPT: ReadonlySet<string> = new Set(['NOTIFY', 'ORCPT']);

export const rcptParameters: ParameterTable = new Map<string, ParameterRow>([
  ['NOTIFY', dsn(parseNotify)],
  ['ORCPT', dsn(parseOrcpt)],
  ['OPESBYPASS', opes(checkBypass)],
  ['OPESTRACE', opes(checkBare)],
]);

/** RFC 3461, 4: a parameter of the extension, by what reads it. */
function dsn(parse: (value: string) => unknown): ParameterRow {
  return {
    isAnnounced: (options) => options.dsn,
    check: (value) => (value === true || parse(value) === undefined ? replies.badParameter : undefined),
  };
}

/** docs/spec/opes-smtp.md, 12. */
function opes(check: ParameterRow['check']): ParameterRow {
  return { isAnnounced: (options) => options.opes, check };
}

export function checkParameters(params: Parameters, known: ParameterTable, options: ServerOptions): Reply | undefined {
  for (const [keyword, value] of params) {
    const row = known.get(keyword);
    if (row === undefined || !row.isAnnounced(options)) {
      if (!options.xforward || !isSentUnasked(known, keyword)) return replies.unknownParameter;
      if (row === undefined) continue;
    }
    const refusal = row.check(value, options);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function isSentUnasked(known: ParameterTable, keyword: string): boolean {
  return (known === mailParameters ? UNASKED_MAIL : UNASKED_RCPT).has(keyword);
}

/**
 * RFC 4954, 5: who the message's submitter was, as the client says. Nobody is trusted to say so, so it counts as `<>` and is
 * not passed on.
 */
export function withoutSubmitter(params: Parameters, { auth, xforward }: ServerOptions): Parameters {
  if ((auth === 'none' && !xforward) || !params.has('AUTH')) return params;
  const kept = new Map(params);
  kept.delete('AUTH');
  return kept;
}

/** xtext of a mailbox, or `<>`. */
function checkAuth(value: string | true): Reply | undefined {
  if (value === '<>') return undefined;
  return value === true || decodeXtext(value) === undefined ? replies.badParameter : undefined;
}

/** RFC 1870, 6.1: 1*20DIGIT. More than we take is refused before an octet of it comes. */
function checkSize(value: string | true, options: ServerOptions): Reply | undefined {
  if (value === true || !/^[0-9]{1,20}$/.test(value)) return replies.badParameter;
  const digits = Buffer.from(value.replace(/^0+(?=.)/, ''), 'latin1');
  return readDecimal(digits, 0, digits.length, options.maxSize) === undefined ? replies.tooBig : undefined;
}

/** BINARYMIME (RFC 3030) is not announced: no next hop we know takes it, and we convert nothing. */
function checkBody(value: string | true): Reply | undefined {
  if (value === true) return replies.badParameter;
  return /^(?:7BIT|8BITMIME)$/i.test(value) ? undefined : replies.unknownParameter;
}

function checkBypass(value: string | true): Reply | undefined {
  return value === true || parseOpesBypass(value) === undefined ? replies.badParameter : undefined;
}

function checkBare(value: string | true): Reply | undefined {
  return value === true ? undefined : replies.badParameter;
}
