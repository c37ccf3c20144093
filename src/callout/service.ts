/**
 * A service: what it wants to see, and what it says to it. It knows nothing of OCP; the same value runs behind a port, as
 * a child process of the gateway, and in a test (`testing.ts`).
 */
import type { Log } from '../base/index.ts';
import type { Part } from '../profile/index.ts';
import type { AnyMail, Mail, Mailbox, Session, Wants } from './mail.ts';
import type { AddressVerdict, CommandVerdict, MessageVerdict } from './verdict.ts';

/** What goes along with every call of a handler. */
export interface Context {
  /** Aborted when the mail is over, whatever ended it, or the time is up: stop working for it. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

type Answer<V> = V | Promise<V>;

export interface ServiceDefinition<W extends Wants> {
  /** The name the processor calls it by; best a page that tells about it. */
  readonly uri: string;
  readonly wants?: W;
  /** Time a handler may take without being given something new (default 25 000). Waiting for the mail does not count. */
  readonly timeoutMs?: number;
  /**
   * Asked for the client's greeting (EHLO, HELO, LHLO), before it is accepted; the client's address is in `session`. Outside of
   * mails, so an operator has to want it: `commands: [EHLO]`. Where he does not, it is asked within each mail, and what it
   * refuses fails that mail.
   */
  greeting?(name: string, session: Session, context: Context): Answer<CommandVerdict>;
  /** Asked for what stands behind VRFY, in any form a client may have chosen: `commands: [VRFY]`. */
  verify?(text: string, session: Session, context: Context): Answer<CommandVerdict>;
  /** The same behind EXPN: `commands: [EXPN]`. */
  expand?(text: string, session: Session, context: Context): Answer<CommandVerdict>;
  /** Asked for the sender, before it is accepted. */
  sender?(sender: Mailbox, session: Session, context: Context): Answer<AddressVerdict>;
  /** Asked for each recipient, before it is accepted. */
  recipient?(recipient: Mailbox, session: Session, context: Context): Answer<AddressVerdict>;
  /** Asked for the message. */
  message?(mail: Mail<W>, context: Context): Answer<MessageVerdict>;
}

export type CommandHandler = (text: string, session: Session, context: Context) => Answer<CommandVerdict>;

/** A service as servers and tests take it; made by `defineService` only. */
export interface Service {
  readonly uri: string;
  readonly wants: Wants;
  readonly timeoutMs: number;
  readonly greeting: CommandHandler | undefined;
  readonly verify: CommandHandler | undefined;
  readonly expand: CommandHandler | undefined;
  readonly sender: ((sender: Mailbox, session: Session, context: Context) => Answer<AddressVerdict>) | undefined;
  readonly recipient: ((recipient: Mailbox, session: Session, context: Context) => Answer<AddressVerdict>) | undefined;
  readonly message: ((mail: AnyMail, context: Context) => Answer<MessageVerdict>) | undefined;
}

/** Below the half minute processors usually give a service that owes an answer: so the log here says which handler was slow. */
const DEFAULT_TIMEOUT_MS = 25_000;

/**
 * Makes a service.
 * @example
 * export default defineService({
 *   uri: 'https://mail.example.com/opes/tag',
 *   wants: { headers: true },
 *   message(mail) {
 *     if (mail.headers.has('List-Id')) return keep();
 *     return edit({ headers: { add: [['X-Personal', 'yes']] } });
 *   },
 * });
 */
export function defineService<const W extends Wants>(definition: ServiceDefinition<W>): Service {
  const { uri, timeoutMs = DEFAULT_TIMEOUT_MS } = definition;
  const wants: Wants = definition.wants ?? {};
  if (!/^[a-z][a-z0-9+.-]*:[!-~]+$/i.test(uri)) throw new TypeError(`not a URI: ${uri}`);
  if (!Number.isInteger(timeoutMs) || timeoutMs <= 0) throw new TypeError(`not a time limit: ${timeoutMs}`);
  // A stream that nobody can read before the end would stop the mail half-way.
  if (wants.body !== undefined && wants.whole !== undefined) throw new TypeError('wish for the body or for the whole');
  return {
    uri,
    wants,
    timeoutMs,
    greeting: definition.greeting?.bind(definition),
    verify: definition.verify?.bind(definition),
    expand: definition.expand?.bind(definition),
    sender: definition.sender?.bind(definition),
    recipient: definition.recipient?.bind(definition),
    // What a handler is called with has every view; its type shows the wished ones.
    message: definition.message?.bind(definition) as Service['message'],
  };
}

/**
 * The same service under another name: for an operator who calls it by a URI of his own.
 * @example
 * serve([withUri(banner, 'https://mail.example.com/opes/banner')], { listen: 'ocp://127.0.0.1:4037' });
 */
export function withUri(service: Service, uri: string): Service {
  return { ...service, uri };
}

/** The parts it may change or refuse, and those it only reads. */
export function partsOf(service: Service): {
  readonly adaptive: readonly Part[];
  readonly informative: readonly Part[];
} {
  const adaptive: Part[] = [];
  if (service.greeting !== undefined) adaptive.push('EHLO', 'HELO');
  if (service.verify !== undefined) adaptive.push('VRFY');
  if (service.expand !== undefined) adaptive.push('EXPN');
  if (service.sender !== undefined) adaptive.push('MAIL');
  if (service.recipient !== undefined) adaptive.push('RCPT');
  if (service.message !== undefined) adaptive.push('RAWDATA');
  const informative: Part[] = [];
  const { envelope, recipients } = service.wants;
  const { greeting, verify, expand, sender, recipient } = service;
  if (envelope === true || sender !== undefined || recipient !== undefined) {
    informative.push('IP', 'EHLO', 'HELO', 'MAIL');
  } else if (greeting !== undefined || verify !== undefined || expand !== undefined) {
    informative.push('IP', 'EHLO', 'HELO');
  }
  if (recipients === true) informative.push('RCPT');
  return { adaptive, informative: informative.filter((part) => !adaptive.includes(part)) };
}
