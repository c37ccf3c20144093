/**
 * Requests in MAIL and RCPT (docs/spec/opes-smtp.md, section 12.3). They are taken out of the command, so that services are not
 * shown them (REQ-075) and can neither make nor change one, and are put back for the next hop and for the store (REQ-068).
 */
import {
  hasOpesParameters,
  isOpesParameter,
  type MailCommand,
  type Parameters,
  parseOpesBypass,
  type RcptCommand,
  writeArgument,
} from '../../smtp/index.ts';
import { type AgentUris, joinAsked } from './asked.ts';
import { writeBypassField } from './field.ts';
import { MAX_ASKED } from './limits.ts';

export interface CommandRequest {
  readonly asked: AgentUris | undefined;
  /** The client says that it authorised what this mail asks for; whether that counts is not said here. Never of RCPT. */
  readonly isVouchedFor: boolean;
  /** What goes on with the mail, without OPESAUTH: whoever passes it on speaks for himself. */
  readonly params: Parameters;
}

export interface Parted<Command> {
  readonly command: Command;
  readonly request: CommandRequest;
}

/** `undefined`: nothing is asked, as of nearly all mail. */
export function partMail(command: MailCommand): Parted<MailCommand> | undefined {
  if (!hasOpesParameters(command.params)) return undefined;
  const params = withoutRequest(command.params);
  const { reversePath } = command;
  return {
    command: { argument: writeArgument(reversePath, params), reversePath, params },
    request: requestOf(command.params),
  };
}

export function partRcpt(command: RcptCommand): Parted<RcptCommand> | undefined {
  if (!hasOpesParameters(command.params)) return undefined;
  const params = withoutRequest(command.params);
  const { forwardPath } = command;
  return {
    command: { argument: writeArgument(forwardPath, params), forwardPath, params },
    request: requestOf(command.params),
  };
}

/** Of what a service wrote, too: it asks for nothing. */
export function withoutRequest(params: Parameters): Parameters {
  if (!hasOpesParameters(params)) return params;
  return new Map([...params].filter(([keyword]) => !isOpesParameter(keyword)));
}

function requestOf(all: Parameters): CommandRequest {
  const params = new Map<string, string | true>();
  for (const keyword of ['OPESBYPASS', 'OPESTRACE']) {
    const value = all.get(keyword);
    if (value !== undefined) params.set(keyword, value);
  }
  return { asked: askedIn(all), isVouchedFor: all.has('OPESAUTH'), params };
}

function askedIn(params: Parameters): AgentUris | undefined {
  const value = params.get('OPESBYPASS');
  return typeof value === 'string' ? parseOpesBypass(value) : undefined;
}

/**
 * The request as a field of the message, for a next hop that is not told otherwise (REQ-091). A field speaks for all recipients, so what
 * is asked for one of them stands in it only where it is asked for each. `undefined`: nothing is asked.
 */
export function bypassField(mail: Parameters, recipients: readonly (Parameters | undefined)[]): string | undefined {
  const [first] = recipients;
  const value = first?.get('OPESBYPASS');
  const isCommon = value !== undefined && recipients.every((one) => one?.get('OPESBYPASS') === value);
  const ofMail = askedIn(mail);
  const ofEach = isCommon && first !== undefined ? askedIn(first) : undefined;
  const asked = joinAsked(ofMail, ofEach);
  if (asked === undefined) return undefined;
  // A field beyond the cap is none for the next reader: what is asked for all must not be lost with what is too much.
  if (asked.length > MAX_ASKED && ofMail !== undefined && ofEach !== undefined)
    return writeBypassField(ofMail) + writeBypassField(ofEach);
  return writeBypassField(asked);
}
