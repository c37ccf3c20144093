/** A mail's envelope: as the client sent it, and as services made it. What a service writes is judged like what a client sends. */
import {
  type Address,
  isPositive,
  type MailCommand,
  needsSmtpUtf8,
  type Parameters,
  parseMailArgument,
  parseRcptArgument,
  type RcptCommand,
  type Reply,
  writePath,
} from '../../smtp/index.ts';

export interface MailRecipient {
  readonly command: RcptCommand;
  readonly ticket: number;
  /** What the hop is told, where a service rewrote it. */
  relayedAs: string | undefined;
  reply: Reply | undefined;
}

/** Recipients a record and its log line name. Refused ones do not count towards the listener's limit, so this is one of its own. */
const MAX_LISTED = 200;

export class Envelope {
  readonly command: MailCommand;
  /** As they came, the first of them; for the record. */
  readonly recipients: MailRecipient[] = [];
  /** How many came that are not listed. */
  unlisted = 0;
  /** Those that were passed to the next hop, in that order. */
  readonly relayed: MailRecipient[] = [];
  #mailArgument: string;
  #path: string;
  #params: Parameters;

  constructor(command: MailCommand) {
    this.command = command;
    this.#mailArgument = command.argument;
    this.#path = writePath(command.reversePath);
    this.#params = command.params;
  }

  /** MAIL's argument as it now is. */
  get mailArgument(): string {
    return this.#mailArgument;
  }

  /** The reverse-path the hop is told. */
  get path(): string {
    return this.#path;
  }

  /** What the mail asks of the next hop. SIZE is not passed on: services change it (D12). */
  get hopParameters(): Parameters {
    if (!this.#params.has('SIZE')) return this.#params;
    const kept = new Map(this.#params);
    kept.delete('SIZE');
    return kept;
  }

  get relayedSender(): string | undefined {
    return this.#mailArgument === this.command.argument ? undefined : this.#mailArgument;
  }

  /** Those the next hop took. */
  get accepted(): readonly MailRecipient[] {
    return this.relayed.filter(({ reply }) => reply !== undefined && isPositive(reply));
  }

  get rcptArguments(): readonly string[] {
    return this.accepted.map((one) => one.relayedAs ?? one.command.argument);
  }

  /** The one accepted recipient, where there is exactly one: only then may a trace name it. */
  get onlyRecipient(): string | undefined {
    let only: MailRecipient | undefined;
    for (const recipient of this.relayed) {
      if (recipient.reply === undefined || !isPositive(recipient.reply)) continue;
      if (only !== undefined) return undefined;
      only = recipient;
    }
    return only?.command.forwardPath.text;
  }

  add(command: RcptCommand, ticket: number): MailRecipient {
    const recipient: MailRecipient = { command, ticket, relayedAs: undefined, reply: undefined };
    // A client may send any number that are refused for now; the record of a mail is not there to be filled by it.
    if (this.recipients.length < MAX_LISTED) this.recipients.push(recipient);
    else this.unlisted++;
    return recipient;
  }

  /** Returns whether `argument` is one of MAIL; if not, nothing changes. */
  rewriteSender(argument: string): boolean {
    const parsed = parseMailArgument(argument);
    if (parsed.kind !== 'got' || !this.#isCarried(parsed.value.path)) return false;
    this.#mailArgument = argument;
    this.#path = writePath(parsed.value.path);
    // What the content needs (BODY, SMTPUTF8) is not a service's to leave out.
    this.#params = new Map([...this.command.params, ...parsed.value.params]);
    return true;
  }

  /** The new domain, or `undefined` where `argument` is none of RCPT. */
  rewriteRecipient(recipient: MailRecipient, argument: string): string | undefined {
    const parsed = parseRcptArgument(argument);
    if (parsed.kind !== 'got' || !this.#isCarried(parsed.value.path)) return undefined;
    recipient.relayedAs = argument;
    return parsed.value.path.domain;
  }

  /** RFC 6531: such an address only goes where the client asked for SMTPUTF8. */
  #isCarried(path: Address | null): boolean {
    return !needsSmtpUtf8(path) || this.command.params.has('SMTPUTF8');
  }
}
