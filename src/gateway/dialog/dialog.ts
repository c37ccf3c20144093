/**
 * One SMTP session of a client, as the gateway sees it: the session engine keeps the protocol, this turns its commands into
 * mails, one after the other, and gives each what is known of the client.
 */
import {
  type AuthAnswer,
  type AuthQuestion,
  type ClientAttributes,
  type MailCommand,
  type RcptCommand,
  type Reply,
  type ResetCause,
  replies,
  type ServerHandler,
  type Ticket,
} from '../../smtp/index.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { submissionRefusal } from '../auth/submission.ts';
import type { ListenerOptions } from '../options.ts';
import { Mail } from './mail.ts';
import { gatewayReplies } from './replies.ts';
import { makeSessionView, type SessionView, UNKNOWN_ADDRESS } from './session-view.ts';
import type { MailPeer, MailWorld } from './world.ts';

/** The connection and the session engine behind it; made by `smtp/net`, or by a test. */
export interface DialogConnection {
  readonly remoteAddress: string;
  readonly isSecure: boolean;
  /** Who logged in, or ''. */
  readonly user: string;
  /** What proxies we believe say of the client: by XCLIENT of the session's, by XFORWARD of the next mail's. */
  readonly client: ClientAttributes;
  readonly forwarded: ClientAttributes;
  pauseContent(): void;
  resumeContent(): void;
  answer(ticket: Ticket, reply: Reply): void;
  answerEach(ticket: Ticket, each: readonly Reply[]): void;
  answerHello(ticket: Ticket): void;
  answerAuth(ticket: Ticket, answer: AuthAnswer): void;
  go(ticket: Ticket): void;
}

export class Dialog implements ServerHandler {
  readonly #world: MailWorld;
  readonly #listener: ListenerOptions;
  readonly #connection: DialogConnection;
  readonly #id: string;
  readonly #onOver: (() => void) | undefined;
  readonly #auth: Authenticator | undefined;
  /** The last EHLO or HELO. */
  #verb: 'EHLO' | 'HELO' = 'HELO';
  #helo = '';
  #session: SessionView | undefined;
  #mail: Mail | undefined;
  #mails = 0;

  /** `id`: unguessable; it stands in every trace of the session's mails (design D15). `auth`: where the listener has users. */
  constructor(
    world: MailWorld,
    listener: ListenerOptions,
    connection: DialogConnection,
    id: string,
    onOver?: () => void,
    auth?: Authenticator,
  ) {
    this.#world = world;
    this.#listener = listener;
    this.#connection = connection;
    this.#id = id;
    this.#onOver = onOver;
    this.#auth = auth;
  }

  onHello(verb: 'EHLO' | 'HELO', name: string, ticket: Ticket): void {
    this.#verb = verb;
    this.#helo = name;
    this.#session = undefined;
    this.#connection.answerHello(ticket);
  }

  /** Passwords take long to look at; the session waits. */
  onAuth(question: AuthQuestion, ticket: Ticket): void {
    if (this.#auth === undefined) {
      this.#connection.answer(ticket, replies.authUnavailable);
      return;
    }
    this.#auth.ask(question, this.#peerAddress(), (verdict) => {
      if (verdict.kind === 'refused') this.#connection.answer(ticket, verdict.reply);
      else this.#connection.answerAuth(ticket, verdict);
    });
  }

  onMail(command: MailCommand, ticket: Ticket): void {
    const session = this.#sessionOfMail();
    const refusal = this.#listener.auth === undefined ? undefined : this.#permission(session, command);
    if (refusal !== undefined) {
      this.#connection.answer(ticket, refusal);
      return;
    }
    this.#mails++;
    const peer: MailPeer = this.#connection;
    const mail = new Mail(this.#world, session, peer, this.#mails, command, () => {
      if (this.#mail === mail) this.#mail = undefined;
    });
    this.#mail = mail;
    try {
      mail.begin(ticket);
    } catch (error) {
      this.#onFault(mail, error, ticket);
    }
  }

  onRcpt(command: RcptCommand, ticket: Ticket): void {
    const mail = this.#mail;
    if (mail === undefined) {
      this.#connection.answer(ticket, replies.needMail);
      return;
    }
    try {
      mail.rcpt(command, ticket);
    } catch (error) {
      this.#onFault(mail, error, ticket);
    }
  }

  onData(ticket: Ticket): void {
    const mail = this.#mail;
    if (mail === undefined) {
      this.#connection.answer(ticket, replies.needMail);
      return;
    }
    try {
      mail.data(ticket);
    } catch (error) {
      this.#onFault(mail, error, ticket);
    }
  }

  onContent(octets: Buffer): void {
    const mail = this.#mail;
    try {
      mail?.content(octets);
    } catch (error) {
      mail?.onFault(error);
    }
  }

  onContentEnd(ticket: Ticket, isDotFree: boolean): void {
    const mail = this.#mail;
    try {
      mail?.contentEnd(ticket, isDotFree);
    } catch (error) {
      if (mail !== undefined) this.#onFault(mail, error, ticket);
    }
  }

  /** A command of the client's led to it: it has its answer, and the session goes on. */
  #onFault(mail: Mail, error: unknown, ticket: Ticket): void {
    mail.onFault(error);
    this.#connection.answer(ticket, gatewayReplies.fault);
  }

  /** Who exists here is not told (RFC 5321 section 7.3). */
  onVerify(verb: 'VRFY' | 'EXPN', _argument: string, ticket: Ticket): void {
    this.#connection.answer(ticket, verb === 'VRFY' ? replies.cannotVerify : replies.notImplemented);
  }

  onReset(cause: ResetCause): void {
    const mail = this.#mail;
    try {
      mail?.reset(cause);
    } catch (error) {
      mail?.onFault(error);
    }
  }

  onClosed(): void {
    this.onReset('LOST');
    this.#onOver?.();
  }

  #permission({ user: name }: SessionView, { reversePath }: MailCommand): Reply | undefined {
    const submitter = { name, user: this.#auth?.user(name), peerAddress: this.#peerAddress() };
    return submissionRefusal(this.#listener, submitter, reversePath);
  }

  /** Of the session, unless XFORWARD said that this mail is another client's. A login since makes it another, too. */
  #sessionOfMail(): SessionView {
    const { forwarded, user } = this.#connection;
    if (forwarded.size > 0) return this.#forwardedView(forwarded);
    if (this.#session?.user !== user) this.#session = this.#view();
    return this.#session as SessionView;
  }

  /** Whose authority counts. */
  #peerAddress(): string {
    const { client, remoteAddress } = this.#connection;
    return client.has('ADDR') ? (client.get('ADDR') ?? UNKNOWN_ADDRESS) : remoteAddress;
  }

  #view(): SessionView {
    const { client, isSecure: tls, user } = this.#connection;
    return makeSessionView(this.#world.hostname, {
      id: this.#id,
      listener: this.#listener,
      clientAddress: this.#peerAddress(),
      clientName: client.get('NAME'),
      // What XCLIENT says of the client's greeting is more than what the proxy greets with itself.
      verb: verbOf(client) ?? this.#verb,
      helo: client.get('HELO') ?? this.#helo,
      tls,
      user,
    });
  }

  /** What XFORWARD does not say is not known (XFORWARD_README): nothing of the peer is said of its client. */
  #forwardedView(forwarded: ClientAttributes): SessionView {
    return makeSessionView(this.#world.hostname, {
      id: this.#id,
      listener: this.#listener,
      clientAddress: forwarded.get('ADDR') ?? UNKNOWN_ADDRESS,
      clientName: forwarded.get('NAME'),
      peerAddress: this.#peerAddress(),
      verb: verbOf(forwarded) ?? this.#verb,
      helo: forwarded.get('HELO') ?? '',
      tls: this.#connection.isSecure,
      user: this.#connection.user,
    });
  }
}

function verbOf(attributes: ClientAttributes): 'EHLO' | 'HELO' | undefined {
  const protocol = attributes.get('PROTO');
  return protocol === undefined ? undefined : protocol === 'SMTP' ? 'HELO' : 'EHLO';
}
