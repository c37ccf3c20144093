/**
 * The table of commands: a row says when a command is legal, how its argument is read, and what may stand behind it in
 * a pipeline. What it does is the session's (`session.ts`), one short arm a command. A new command is a row here, a
 * member of `Command`, and an arm there.
 */
import { readDecimal } from '../../base/index.ts';
import { needsSmtpUtf8 } from '../address.ts';
import { parseMailArgument, parseRcptArgument, writeArgument } from '../argument.ts';
import { replies } from '../replies.ts';
import type { Reply } from '../reply.ts';
import { decodeInitial } from '../sasl/base64.ts';
import { isOffered, isWeak } from '../sasl/mechanisms.ts';
import { type ClientAttributes, parseAttributes, XCLIENT_NAMES, XFORWARD_NAMES } from './client-attributes.ts';
import type { MailCommand, RcptCommand } from './handler.ts';
import type { ServerOptions } from './options.ts';
import { checkParameters, mailParameters, rcptParameters, withoutSubmitter } from './parameters.ts';
import type { Stage } from './state.ts';

export type Command =
  | { readonly verb: 'EHLO' | 'HELO'; readonly name: string }
  | { readonly verb: 'MAIL'; readonly mail: MailCommand }
  | { readonly verb: 'RCPT'; readonly rcpt: RcptCommand }
  | { readonly verb: 'BDAT'; readonly size: number; readonly isLast: boolean }
  | { readonly verb: 'VRFY' | 'EXPN'; readonly argument: string }
  | { readonly verb: 'AUTH'; readonly mechanism: string; readonly initial: Buffer | undefined }
  | { readonly verb: 'XCLIENT' | 'XFORWARD'; readonly attributes: ClientAttributes }
  | { readonly verb: 'DATA' | 'RSET' | 'NOOP' | 'HELP' | 'QUIT' | 'STARTTLS' };

/**
 * How a command stands to others in a pipeline (RFC 2920, 3.1), from loose to strict.
 * - free: looked at even while commands before it are unanswered
 * - waits: looked at when all before it are answered
 * - holds: and nothing behind it is looked at until it is answered itself
 * - alone: and nothing may come behind it until then
 */
export type Pipelining = 'free' | 'waits' | 'holds' | 'alone';

export interface CommandRow {
  readonly pipelining: Pipelining;
  /** `any`, or the stages it is legal at. */
  readonly legal: 'any' | readonly Stage[];
  /** Whether it moves no mail: such are counted. */
  readonly isJunk: boolean;
  /** Whether it is legal before STARTTLS where TLS is required (RFC 3207, 4). */
  readonly isPlain: boolean;
  readonly parse: (argument: string, options: ServerOptions) => Command | Reply;
}

export const commands: ReadonlyMap<string, CommandRow> = new Map<string, CommandRow>([
  [
    'EHLO',
    { pipelining: 'holds', legal: 'any', isJunk: true, isPlain: true, parse: (name) => parseHello('EHLO', name) },
  ],
  [
    'HELO',
    { pipelining: 'holds', legal: 'any', isJunk: true, isPlain: true, parse: (name) => parseHello('HELO', name) },
  ],
  // RFC 2033, 4.1: the same as EHLO, and in its place.
  [
    'LHLO',
    { pipelining: 'holds', legal: 'any', isJunk: true, isPlain: true, parse: (name) => parseHello('EHLO', name) },
  ],
  ['MAIL', { pipelining: 'waits', legal: ['none'], isJunk: false, isPlain: false, parse: parseMail }],
  ['RCPT', { pipelining: 'free', legal: ['opening', 'open'], isJunk: false, isPlain: false, parse: parseRcpt }],
  ['DATA', { pipelining: 'alone', legal: ['open'], isJunk: false, isPlain: false, parse: bare('DATA') }],
  ['BDAT', { pipelining: 'waits', legal: ['open', 'receiving'], isJunk: false, isPlain: false, parse: parseBdat }],
  ['RSET', { pipelining: 'waits', legal: 'any', isJunk: true, isPlain: true, parse: bare('RSET') }],
  ['NOOP', { pipelining: 'free', legal: 'any', isJunk: true, isPlain: true, parse: () => ({ verb: 'NOOP' }) }],
  ['HELP', { pipelining: 'free', legal: 'any', isJunk: true, isPlain: true, parse: () => ({ verb: 'HELP' }) }],
  ['QUIT', { pipelining: 'waits', legal: 'any', isJunk: false, isPlain: true, parse: bare('QUIT') }],
  [
    'VRFY',
    { pipelining: 'holds', legal: 'any', isJunk: true, isPlain: false, parse: (text) => parseText('VRFY', text) },
  ],
  [
    'EXPN',
    { pipelining: 'holds', legal: 'any', isJunk: true, isPlain: false, parse: (text) => parseText('EXPN', text) },
  ],
  // RFC 4954, 4: what stands behind it in a pipeline is the client's next response, or waits for the outcome.
  ['AUTH', { pipelining: 'holds', legal: ['none'], isJunk: true, isPlain: false, parse: parseAuth }],
  ['XCLIENT', { pipelining: 'holds', legal: ['start', 'none'], isJunk: false, isPlain: true, parse: parseXclient }],
  ['XFORWARD', { pipelining: 'waits', legal: ['start', 'none'], isJunk: false, isPlain: true, parse: parseXforward }],
  ['STARTTLS', { pipelining: 'alone', legal: ['none'], isJunk: false, isPlain: true, parse: bare('STARTTLS') }],
]);

/** Whether there is such a command: a client that says EHLO to LMTP, or LHLO to SMTP, hears 500 (RFC 2033, 4.1). */
export function isSpoken(verb: string, { protocol }: ServerOptions): boolean {
  return protocol === 'lmtp' ? verb !== 'EHLO' && verb !== 'HELO' : verb !== 'LHLO';
}

/** What a command gets that came at the wrong time. */
export function orderRefusal(verb: string, stage: Stage, { protocol }: ServerOptions): Reply {
  if (stage === 'start') return protocol === 'lmtp' ? replies.needLhlo : replies.needHello;
  if (verb === 'MAIL') return replies.nestedMail;
  return stage === 'none' && verb !== 'STARTTLS' ? replies.needMail : replies.badSequence;
}

/** A name of any printable characters: clients send underscores, bare words and addresses, and only a policy may mind. */
function parseHello(verb: 'EHLO' | 'HELO', name: string): Command | Reply {
  return isHelloName(name) ? { verb, name } : replies.needName;
}

export function isHelloName(name: string): boolean {
  return /^[\x21-\x7e]{1,255}$/.test(name);
}

function parseMail(argument: string, options: ServerOptions): Command | Reply {
  const path = behind('FROM:', argument);
  if (path === undefined) return replies.mailSyntax;
  const step = parseMailArgument(path);
  if (step.kind !== 'got')
    return step.kind === 'bad' && isParameterRule(step.rule) ? replies.badParameter : replies.badSenderSyntax;
  const { path: reversePath } = step.value;
  const refusal = checkParameters(step.value.params, mailParameters, options);
  if (refusal !== undefined) return refusal;
  const params = withoutSubmitter(step.value.params, options);
  if (needsSmtpUtf8(reversePath) && !params.has('SMTPUTF8')) return replies.needSmtpUtf8;
  return { verb: 'MAIL', mail: { argument: writeArgument(reversePath, params), reversePath, params } };
}

function parseRcpt(argument: string, options: ServerOptions): Command | Reply {
  const path = behind('TO:', argument);
  if (path === undefined) return replies.rcptSyntax;
  const step = parseRcptArgument(path);
  if (step.kind !== 'got')
    return step.kind === 'bad' && isParameterRule(step.rule) ? replies.badParameter : replies.badRecipientSyntax;
  const { path: forwardPath, params } = step.value;
  const refusal = checkParameters(params, rcptParameters, options);
  if (refusal !== undefined) return refusal;
  return { verb: 'RCPT', rcpt: { argument: writeArgument(forwardPath, params), forwardPath, params } };
}

/** RFC 5321, 3.3 forbids spaces behind the colon; many clients send one, and what goes on is written anew. */
function behind(keyword: string, argument: string): string | undefined {
  if (argument.slice(0, keyword.length).toUpperCase() !== keyword) return undefined;
  return argument.slice(keyword.length).replace(/^ +/, '');
}

function isParameterRule(rule: string): boolean {
  return rule.startsWith('parameter-');
}

/** RFC 3030, 2: `BDAT SP chunk-size [SP "LAST"]`. */
function parseBdat(argument: string, options: ServerOptions): Command | Reply {
  const m = /^([0-9]{1,15})(?: +(LAST))?$/i.exec(argument);
  const digits = Buffer.from(m?.[1]?.replace(/^0+(?=.)/, '') ?? '', 'latin1');
  const size = readDecimal(digits, 0, digits.length, Number.MAX_SAFE_INTEGER);
  if (m === null || size === undefined) return replies.bdatSyntax;
  return options.chunking ? { verb: 'BDAT', size, isLast: m[2] !== undefined } : replies.notImplemented;
}

/** RFC 4954, 4: `AUTH SP mechanism [SP initial-response]`. */
function parseAuth(argument: string, options: ServerOptions): Command | Reply {
  if (options.auth === 'none') return replies.notImplemented;
  const m = /^([A-Za-z0-9_-]{1,20})(?: +([A-Za-z0-9+/=]+))?$/.exec(argument);
  if (m === null) return replies.authSyntax;
  const mechanism = (m[1] ?? '').toUpperCase();
  if (!isOffered(mechanism)) return isWeak(mechanism) ? replies.authTooWeak : replies.authUnknown;
  const initial = m[2] === undefined ? undefined : decodeInitial(m[2]);
  if (m[2] !== undefined && initial === undefined) return replies.authNotBase64;
  return { verb: 'AUTH', mechanism, initial };
}

function parseXclient(argument: string, options: ServerOptions): Command | Reply {
  if (!options.xclient) return replies.unknownCommand;
  const attributes = parseAttributes(argument, XCLIENT_NAMES);
  return 'code' in attributes ? attributes : { verb: 'XCLIENT', attributes };
}

function parseXforward(argument: string, options: ServerOptions): Command | Reply {
  if (!options.xforward) return replies.unknownCommand;
  const attributes = parseAttributes(argument, XFORWARD_NAMES);
  return 'code' in attributes ? attributes : { verb: 'XFORWARD', attributes };
}

function parseText(verb: 'VRFY' | 'EXPN', argument: string): Command | Reply {
  if (argument === '') return replies.needArgument;
  return isLookUp(argument) ? { verb, argument } : replies.commandOctets;
}

/** Whether it may stand behind VRFY and EXPN. */
export function isLookUp(argument: string): boolean {
  return argument !== '' && !/[\x00-\x1f\x7f]/.test(argument);
}

function bare(verb: 'DATA' | 'RSET' | 'QUIT' | 'STARTTLS'): (argument: string) => Command | Reply {
  const command: Command = { verb };
  return (argument) => (argument === '' ? command : replies.noArgument);
}
