/** What the commands of a mail said, as the parts tell it (profile notes, questions 3 and 19). */
import { type Part, readArgument, rewriteArgument } from '../profile/index.ts';
import type { Mailbox, Session } from './mail.ts';

type Argument = Exclude<ReturnType<typeof readArgument>, { readonly error: string }>;

/** A sender or recipient: what handlers see, and what the wire says. */
export interface Address {
  readonly argument: Argument;
  readonly mailbox: Mailbox;
}

/** Facts in the order they come; each mail has its own. */
export class SessionFacts implements Session {
  ip: string | undefined;
  helo: string | undefined;
  sender: Mailbox | undefined;

  learn(part: Part, text: string): void {
    if (part === 'IP') this.ip = text.replace(/^\[(?:IPv6:)?(.*)\]$/i, '$1');
    else if (part === 'EHLO' || part === 'HELO') this.helo = text;
  }

  /** The same facts with another sender. */
  withSender(sender: Mailbox): SessionFacts {
    const facts = new SessionFacts();
    facts.ip = this.ip;
    facts.helo = this.helo;
    facts.sender = sender;
    return facts;
  }
}

/** Reads the payload of MAIL or RCPT; the error is the rule it breaks. */
export function readAddress(part: 'MAIL' | 'RCPT', octets: Buffer): Address | { readonly error: string } {
  const argument = readArgument(part, octets);
  return 'error' in argument ? argument : { argument, mailbox: makeMailbox(argument) };
}

/** The payload with another path; `undefined` where the service's path is none. */
export function rewriteAddress(part: 'MAIL' | 'RCPT', address: Address, path: string): Buffer | undefined {
  return rewriteArgument(part, address.argument, path);
}

function makeMailbox({ path, params }: Argument): Mailbox {
  const address = unicode(path?.text ?? '');
  return {
    address,
    local: unicode(path?.local ?? ''),
    domain: unicode(path?.domain ?? ''),
    path: `<${address}>`,
    params:
      params.size === 0 ? params : new Map([...params].map(([key, value]) => [key, value === true || unicode(value)])),
  };
}

/** Internationalised addresses travel as UTF-8 octets (RFC 6531); handlers get characters. */
function unicode(latin1: string): string {
  return /[\x80-\xff]/.test(latin1) ? Buffer.from(latin1, 'latin1').toString('utf8') : latin1;
}
