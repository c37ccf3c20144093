/** First step of a command: is it one, is it legal now, is it well-formed? A pure look at the line and the state. */
import { needsSmtpUtf8 } from '../address.ts';
import type { Parameters } from '../argument.ts';
import { replies } from '../replies.ts';
import type { Reply } from '../reply.ts';
import { type CommandLine, isHttp } from './command-line.ts';
import { type Command, commands, isSpoken, orderRefusal } from './commands.ts';
import { isAuthServed } from './extensions.ts';
import type { ServerOptions } from './options.ts';
import type { Stage, Transaction } from './state.ts';

export type Checked =
  | { readonly kind: 'proceed'; readonly command: Command }
  | { readonly kind: 'refuse'; readonly reply: Reply }
  /** A BDAT refused: its octets come all the same. */
  | { readonly kind: 'drop'; readonly reply: Reply; readonly size: number; readonly isLast: boolean }
  /** Refused, and what follows cannot be trusted. */
  | { readonly kind: 'hang-up'; readonly reply: Reply };

export interface Circumstances {
  readonly isGreeted: boolean;
  readonly isSecure: boolean;
  readonly isAuthenticated: boolean;
  readonly transaction: Transaction;
  /** Whether octets behind the command are there already. */
  readonly isFollowed: boolean;
  readonly options: ServerOptions;
}

export function checkCommand({ verb, argument }: CommandLine, now: Circumstances): Checked {
  const { options } = now;
  if (isHttp(verb)) return { kind: 'hang-up', reply: replies.notSmtp };
  const row = isSpoken(verb, options) ? commands.get(verb) : undefined;
  if (row === undefined) return { kind: 'refuse', reply: replies.unknownCommand };
  if (row.pipelining === 'alone' && now.isFollowed) {
    return { kind: 'hang-up', reply: verb === 'DATA' ? replies.dataTooSoon : replies.tlsTooSoon };
  }
  const stage: Stage = now.isGreeted ? now.transaction.at : 'start';
  const isLegal = row.legal === 'any' || row.legal.includes(stage);
  let refusal = isLegal ? undefined : orderRefusal(verb, stage, options);
  if (options.tls === 'required' && !now.isSecure && !row.isPlain) refusal = replies.needTls;
  // The octets of an illegal BDAT must be counted off, so that it is read even so.
  if (refusal !== undefined && verb !== 'BDAT') return { kind: 'refuse', reply: refusal };
  const command = row.parse(argument, options);
  if ('code' in command) return { kind: verb === 'BDAT' ? 'hang-up' : 'refuse', reply: command };
  if (command.verb === 'BDAT') return checkBdat(command, refusal, now);
  return checkCircumstances(command, now) ?? { kind: 'proceed', command };
}

/** What the table of commands cannot say. */
function checkCircumstances(
  command: Command,
  { transaction: tx, isSecure, isAuthenticated, options }: Circumstances,
): Checked | undefined {
  if (command.verb === 'STARTTLS') {
    if (options.tls === 'none') return { kind: 'refuse', reply: replies.notImplemented };
    if (isSecure) return { kind: 'refuse', reply: replies.tlsActive };
  }
  if (command.verb === 'AUTH') {
    if (!isAuthServed(options, isSecure)) return { kind: 'refuse', reply: replies.authNeedsTls };
    if (isAuthenticated) return { kind: 'refuse', reply: replies.authTwice };
  }
  if (tx.at !== 'opening' && tx.at !== 'open') return undefined;
  if (command.verb === 'DATA' && tx.envelope.accepted === 0) return { kind: 'refuse', reply: noRecipients(options) };
  if (command.verb !== 'RCPT') return undefined;
  // RFC 6531, 3.4: the parameter of MAIL speaks for the whole envelope.
  if (!tx.envelope.smtpUtf8 && (needsSmtpUtf8(command.rcpt.forwardPath) || hasUtf8Orcpt(command.rcpt.params))) {
    return { kind: 'refuse', reply: replies.needSmtpUtf8 };
  }
  if (tx.envelope.asked < options.limits.recipients) return undefined;
  return { kind: 'refuse', reply: replies.tooManyRecipients };
}

/** RFC 6533, 3: the form of `utf-8` that is not ASCII. */
function hasUtf8Orcpt(params: Parameters): boolean {
  if (params.size === 0) return false;
  const orcpt = params.get('ORCPT');
  return typeof orcpt === 'string' && /[\x80-\xff]/.test(orcpt);
}

function checkBdat(
  command: Command & { readonly verb: 'BDAT' },
  illegal: Reply | undefined,
  now: Circumstances,
): Checked {
  const { transaction: tx, options } = now;
  const { size, isLast } = command;
  const before = tx.at === 'receiving' ? tx.intake.octets : 0;
  let reply = illegal;
  if (reply === undefined && tx.at === 'open' && tx.envelope.accepted === 0) reply = noRecipients(options);
  if (reply === undefined && before + size > options.maxSize) reply = replies.tooBig;
  if (reply === undefined) return { kind: 'proceed', command };
  // Only to keep us busy does one announce much more than a server takes that told its limit.
  const isTooMuch = size > options.maxSize * options.limits.droppedContentFactor;
  return isTooMuch ? { kind: 'hang-up', reply } : { kind: 'drop', reply, size, isLast };
}

/** RFC 2033, 4.2 wants 503 in LMTP. */
function noRecipients({ protocol }: ServerOptions): Reply {
  return protocol === 'lmtp' ? replies.noRecipientsYet : replies.noRecipients;
}

/**
 * Refusals that a client meets without breaking a rule: one that pipelines sends RCPT and DATA in the hope that MAIL and
 * RCPT will be accepted (RFC 2920, 3.1), and a mail may have many recipients, or be large.
 */
export function isInnocent(refusal: Reply): boolean {
  return INNOCENT.has(refusal);
}

const INNOCENT: ReadonlySet<Reply> = new Set([
  replies.needMail,
  replies.noRecipients,
  replies.noRecipientsYet,
  replies.tooManyRecipients,
  replies.tooBig,
]);
