/** The recipients of a mail, as the client named them and as services made them. */
import {
  type Address,
  isPositive,
  type MailCommand,
  type Parameters,
  parseDsnRcpt,
  parseRcptArgument,
  type RcptCommand,
  type Reply,
  writeArgument,
} from '../../smtp/index.ts';
import { type CommandRequest, withoutRequest } from '../bypass/index.ts';
import { isCarriedBy } from './sender.ts';

interface RcptArgument {
  readonly path: Address;
  readonly params: Parameters;
}

export interface MailRecipient {
  readonly command: RcptCommand;
  readonly ticket: number;
  /** What is asked of OPES processors for this recipient; not in `command`. */
  readonly request: CommandRequest | undefined;
  /** What the hop is told, where a service rewrote it. */
  relayedAs: string | undefined;
  /** That, read. */
  relayed: RcptArgument | undefined;
  /** To RCPT. */
  reply: Reply | undefined;
  /** At the end of the data, where the client hears one for each recipient. */
  final: Reply | undefined;
}

/** Recipients a record and its log line name. Refused ones do not count towards the listener's limit, so this is one of its own. */
const MAX_LISTED = 200;

export class Envelope {
  readonly command: MailCommand;
  /** As they came, the first of them; for the record. */
  readonly recipients: MailRecipient[] = [];
  /** How many came that are not listed. */
  unlisted = 0;
  /** Those of them that may have no reply yet. */
  #late: MailRecipient[] = [];

  constructor(command: MailCommand) {
    this.command = command;
  }

  add(command: RcptCommand, ticket: number, request?: CommandRequest): MailRecipient {
    const recipient: MailRecipient = {
      command,
      ticket,
      request,
      relayedAs: undefined,
      relayed: undefined,
      reply: undefined,
      final: undefined,
    };
    // A client may send any number that are refused for now; the record of a mail is not there to be filled by it.
    if (this.recipients.length < MAX_LISTED) this.recipients.push(recipient);
    else this.#addLate(recipient);
    return recipient;
  }

  /** Recipients without a reply. */
  get unanswered(): readonly MailRecipient[] {
    return [...this.recipients, ...this.#late].filter(({ reply }) => reply === undefined);
  }

  #addLate(recipient: MailRecipient): void {
    this.unlisted++;
    if (this.#late.length >= MAX_LISTED) this.#late = this.#late.filter(({ reply }) => reply === undefined);
    this.#late.push(recipient);
  }

  /** The new domain, or `undefined` where `argument` is none of RCPT. */
  rewrite(recipient: MailRecipient, argument: string): string | undefined {
    const parsed = parseRcptArgument(argument);
    if (parsed.kind !== 'got' || !isCarriedBy(this.command, parsed.value.path)) return undefined;
    const { path } = parsed.value;
    const params = withoutRequest(parsed.value.params);
    recipient.relayedAs = params === parsed.value.params ? argument : writeArgument(path, params);
    recipient.relayed = { path, params };
    return parsed.value.path.domain;
  }
}

/** Those of a list that were accepted. */
export function isAccepted(recipient: MailRecipient): boolean {
  return recipient.reply !== undefined && isPositive(recipient.reply);
}

/** The recipient as it is relayed. */
export function relayedPath({ relayed, command }: MailRecipient): Address {
  return relayed?.path ?? command.forwardPath;
}

/** Its parameters; undefined where there are none, as mostly. */
export function relayedParameters({ relayed, command, request }: MailRecipient): Parameters | undefined {
  const { params } = relayed ?? command;
  if (request !== undefined && request.params.size > 0) return new Map([...params, ...request.params]);
  return params.size === 0 ? undefined : params;
}

/** RCPT's argument as services are shown it: as it is relayed, without requests. */
export function relayedArgument(recipient: MailRecipient): string {
  return recipient.relayedAs ?? recipient.command.argument;
}

/** The same with them: for the store. */
export function storedArgument(recipient: MailRecipient): string {
  const params = recipient.request === undefined ? undefined : relayedParameters(recipient);
  return params === undefined ? relayedArgument(recipient) : writeArgument(relayedPath(recipient), params);
}

/** A report on success was asked for. */
export function wantsSuccess({ params }: RcptCommand): boolean {
  return params.has('NOTIFY') && parseDsnRcpt(params)?.notify?.includes('SUCCESS') === true;
}
