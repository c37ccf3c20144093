/**
 * The reverse-path of a mail with its parameters: as the client gave it, and as the services of one variant made it. What a
 * service writes is judged like what a client sends.
 */
import {
  type Address,
  type MailCommand,
  needsSmtpUtf8,
  type Parameters,
  parseMailArgument,
  writeArgument,
  writePath,
} from '../../smtp/index.ts';
import { withoutRequest } from '../bypass/index.ts';

export class Sender {
  readonly command: MailCommand;
  #argument: string;
  #path: string;
  #params: Parameters;
  /** Requests to OPES processors further on; services have no say in them. */
  #request: Parameters | undefined;

  constructor(command: MailCommand, request?: Parameters) {
    this.command = command;
    this.#request = request;
    this.#argument = command.argument;
    this.#path = writePath(command.reversePath);
    this.#params = command.params;
  }

  /** MAIL's argument as it now is. */
  get argument(): string {
    return this.#argument;
  }

  /** The reverse-path the hop is told, in brackets. */
  get path(): string {
    return this.#path;
  }

  /** What the mail asks of the next hop. SIZE is not passed on, for services change it (D12), nor PRDR, which is between the client and us. */
  get hopParameters(): Parameters {
    const request = this.#request;
    if (request === undefined && !this.#params.has('SIZE') && !this.#params.has('PRDR')) return this.#params;
    const kept = new Map(request === undefined ? this.#params : [...this.#params, ...request]);
    kept.delete('SIZE');
    kept.delete('PRDR');
    return kept;
  }

  /** Something is to be left out for all recipients. */
  get asks(): boolean {
    return this.#request?.has('OPESBYPASS') === true;
  }

  /** Somebody with authority asks: processors further on that believe us are told (decision 0049). */
  vouch(): void {
    this.#request = new Map([...(this.#request ?? []), ['OPESAUTH', true]]);
  }

  /** MAIL's argument, where a service rewrote it. */
  get rewritten(): string | undefined {
    return this.#argument === this.command.argument ? undefined : this.#argument;
  }

  /** Returns whether `argument` is one of MAIL; if not, nothing changes. */
  rewrite(argument: string): boolean {
    const parsed = parseMailArgument(argument);
    if (parsed.kind !== 'got' || !isCarriedBy(this.command, parsed.value.path)) return false;
    const { path, params } = parsed.value;
    const kept = withoutRequest(params);
    this.#argument = kept === params ? argument : writeArgument(path, kept);
    this.#path = writePath(path);
    // What the content needs (BODY, SMTPUTF8) is not a service's to leave out.
    this.#params = new Map([...this.command.params, ...kept]);
    return true;
  }
}

/** RFC 6531: such an address only goes where the client asked for SMTPUTF8. */
export function isCarriedBy(command: MailCommand, path: Address | null): boolean {
  return !needsSmtpUtf8(path) || command.params.has('SMTPUTF8');
}
