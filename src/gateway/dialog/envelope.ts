/** A mail's envelope: as the client sent it, and as services made it. What a service writes is judged like what a client sends. */
import {
  isPositive,
  type MailCommand,
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

export class Envelope {
  readonly command: MailCommand;
  readonly recipients: MailRecipient[] = [];
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

  get rcptArguments(): readonly string[] {
    return this.relayed.map((one) => one.relayedAs ?? one.command.argument);
  }

  /** The one accepted recipient, where there is exactly one: only then may a trace name it. */
  get onlyRecipient(): string | undefined {
    const accepted = this.recipients.filter(({ reply }) => reply !== undefined && isPositive(reply));
    return accepted.length === 1 ? accepted[0]?.command.forwardPath.text : undefined;
  }

  add(command: RcptCommand, ticket: number): MailRecipient {
    const recipient: MailRecipient = { command, ticket, relayedAs: undefined, reply: undefined };
    this.recipients.push(recipient);
    return recipient;
  }

  /** Returns whether `argument` is one of MAIL; if not, nothing changes. */
  rewriteSender(argument: string): boolean {
    const parsed = parseMailArgument(argument);
    if (parsed.kind !== 'got') return false;
    this.#mailArgument = argument;
    this.#path = writePath(parsed.value.path);
    this.#params = parsed.value.params;
    return true;
  }

  /** The new domain, or `undefined` where `argument` is none of RCPT. */
  rewriteRecipient(recipient: MailRecipient, argument: string): string | undefined {
    const parsed = parseRcptArgument(argument);
    if (parsed.kind !== 'got') return undefined;
    recipient.relayedAs = argument;
    return parsed.value.path.domain;
  }
}
