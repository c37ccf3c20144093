/** What the commands of a mail said, as the parts tell it (profile notes, questions 3 and 19). */
import { type Part, readArgumentText, rewriteArgument } from '../profile/index.ts';
import type { Mailbox, Session } from './mail.ts';

type Argument = Exclude<ReturnType<typeof readArgumentText>, { readonly error: string }>;

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

  /** `text`: the payload of a command, one character an octet. */
  learn(part: Part, text: string): void {
    if (part === 'IP') this.ip = withoutBrackets(text);
    else if (part === 'EHLO' || part === 'HELO') this.helo = unicode(text);
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

/** Reads the payload of MAIL or RCPT, one character an octet; the error is the rule it breaks. */
export function readAddress(part: 'MAIL' | 'RCPT', text: string): Address | { readonly error: string } {
  const known = recent[part].get(text);
  // Handlers of another mail had the mailbox that is remembered: each mail gets its own.
  if (known !== undefined) return { argument: known.argument, mailbox: { ...known.mailbox } };
  const argument = readArgumentText(part, text);
  if ('error' in argument) return argument;
  const address = { argument, mailbox: makeMailbox(argument) };
  remember(recent[part], text, address);
  return { argument, mailbox: { ...address.mailbox } };
}

/**
 * Addresses seen lately: mails of an hour share senders and recipients, and the grammar is long. Bounded in number and
 * in size; those with parameters differ from mail to mail.
 */
const recent: Readonly<Record<'MAIL' | 'RCPT', Map<string, Address>>> = { MAIL: new Map(), RCPT: new Map() };
const MAX_RECENT = 1024;
const MAX_RECENT_CHARACTERS = 128;

function remember(addresses: Map<string, Address>, text: string, address: Address): void {
  if (text.length > MAX_RECENT_CHARACTERS || address.argument.params.size > 0) return;
  if (addresses.size === MAX_RECENT) addresses.clear();
  addresses.set(text, address);
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

/** An address literal (RFC 5321, section 4.1.3) as the address alone. */
function withoutBrackets(literal: string): string {
  if (/^\[[0-9.]*\]$/.test(literal)) return literal.slice(1, -1);
  return unicode(literal).replace(/^\[(?:IPv6:)?(.*)\]$/i, '$1');
}

/** Internationalised addresses travel as UTF-8 octets (RFC 6531); handlers get characters. */
export function unicode(latin1: string): string {
  for (let at = 0; at < latin1.length; at++) {
    if (latin1.charCodeAt(at) > 0x7f) return Buffer.from(latin1, 'latin1').toString('utf8');
  }
  return latin1;
}
