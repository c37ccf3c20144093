/**
 * The payload of the parts MAIL and RCPT: the argument as in the command, path in brackets and parameters behind it
 * (profile notes, question 19); and of those whose argument is plain text. Both sides read it by the one grammar of SMTP.
 */
import {
  isHelloName,
  isLookUp,
  type MailArgument,
  parseMailArgument,
  parsePath,
  parseRcptArgument,
  writeArgument,
} from '../smtp/index.ts';

/** Far more than the longest command with all its parameters; judged before a payload is collected. */
export const MAX_ARGUMENT_OCTETS = 8192;
/** A rewritten argument longer than a command line may be is no argument (RFC 5321 section 4.5.3.1.4, with extensions). */
export const MAX_REWRITTEN_OCTETS = 2048;

/** Reads the argument in `octets`; the error is the rule it breaks. */
export function readArgument(part: 'MAIL' | 'RCPT', octets: Buffer): MailArgument | { readonly error: string } {
  return readArgumentText(part, octets.toString('latin1'));
}

/** The same, of octets that are text already, one character an octet. */
export function readArgumentText(part: 'MAIL' | 'RCPT', text: string): MailArgument | { readonly error: string } {
  const step = part === 'MAIL' ? parseMailArgument(text) : parseRcptArgument(text);
  if (step.kind === 'got') return step.value;
  return { error: step.kind === 'bad' ? step.rule : 'argument' };
}

/** The octets of `argument` with `path` (`<a@b>`, in Unicode) in its place; `undefined` where that is no path. */
export function rewriteArgument(part: 'MAIL' | 'RCPT', argument: MailArgument, path: string): Buffer | undefined {
  const text = Buffer.from(path, 'utf8').toString('latin1');
  const step = parsePath(text, 0, { empty: part === 'MAIL' });
  if (step.kind !== 'got' || step.used !== text.length) return undefined;
  return Buffer.from(writeArgument(step.value, argument.params), 'latin1');
}

/** Command parts whose payload is plain text: the client's greeting and its look-ups. */
export type TextPart = 'EHLO' | 'HELO' | 'VRFY' | 'EXPN';

/** Whether a client could have said so; `text`: one character an octet. */
export function isCommandText(part: TextPart, text: string): boolean {
  return part === 'EHLO' || part === 'HELO' ? isHelloName(text) : isLookUp(text);
}
