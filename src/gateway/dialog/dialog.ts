/**
 * One SMTP session of a client, as the gateway sees it: the session engine keeps the protocol, this turns its commands into
 * mails, one after the other, and gives each what is known of the client.
 */
import {
  type MailCommand,
  type RcptCommand,
  type Reply,
  type ResetCause,
  replies,
  type ServerHandler,
  type Ticket,
} from '../../smtp/index.ts';
import type { ListenerOptions } from '../options.ts';
import { Mail } from './mail.ts';
import { makeSessionView, type SessionView } from './session-view.ts';
import type { MailPeer, MailWorld } from './world.ts';

/** The connection and the session engine behind it; made by `smtp/net`, or by a test. */
export interface DialogConnection {
  readonly remoteAddress: string;
  readonly isSecure: boolean;
  pauseContent(): void;
  resumeContent(): void;
  answer(ticket: Ticket, reply: Reply): void;
  answerHello(ticket: Ticket): void;
  go(ticket: Ticket): void;
}

/** Whom a session tells when it is over: the configuration it began with. */
export interface DialogHome {
  left(connection: object): void;
}

export class Dialog implements ServerHandler {
  readonly #world: MailWorld;
  readonly #listener: ListenerOptions;
  readonly #connection: DialogConnection;
  readonly #id: string;
  readonly #home: DialogHome | undefined;
  #session: SessionView | undefined;
  #mail: Mail | undefined;
  #mails = 0;

  /** `id`: unguessable; it stands in every trace of the session's mails (design D15). */
  constructor(
    world: MailWorld,
    listener: ListenerOptions,
    connection: DialogConnection,
    id: string,
    home?: DialogHome,
  ) {
    this.#world = world;
    this.#listener = listener;
    this.#connection = connection;
    this.#id = id;
    this.#home = home;
  }

  onHello(verb: 'EHLO' | 'HELO', name: string, ticket: Ticket): void {
    this.#session = this.#view(verb, name);
    this.#connection.answerHello(ticket);
  }

  onMail(command: MailCommand, ticket: Ticket): void {
    this.#mails++;
    this.#session ??= this.#view('HELO', '');
    const peer: MailPeer = this.#connection;
    const mail = new Mail(this.#world, this.#session, peer, this.#mails, command, () => {
      if (this.#mail === mail) this.#mail = undefined;
    });
    this.#mail = mail;
    mail.begin(ticket);
  }

  onRcpt(command: RcptCommand, ticket: Ticket): void {
    if (this.#mail === undefined) this.#connection.answer(ticket, replies.needMail);
    else this.#mail.rcpt(command, ticket);
  }

  onData(ticket: Ticket): void {
    if (this.#mail === undefined) this.#connection.answer(ticket, replies.needMail);
    else this.#mail.data(ticket);
  }

  onContent(octets: Buffer): void {
    this.#mail?.content(octets);
  }

  onContentEnd(ticket: Ticket, isDotFree: boolean): void {
    this.#mail?.contentEnd(ticket, isDotFree);
  }

  /** Who exists here is not told (RFC 5321 section 7.3). */
  onVerify(verb: 'VRFY' | 'EXPN', _argument: string, ticket: Ticket): void {
    this.#connection.answer(ticket, verb === 'VRFY' ? replies.cannotVerify : replies.notImplemented);
  }

  onReset(cause: ResetCause): void {
    this.#mail?.reset(cause);
  }

  onClosed(): void {
    this.#mail?.reset('LOST');
    this.#home?.left(this.#connection);
  }

  #view(verb: 'EHLO' | 'HELO', helo: string): SessionView {
    const { remoteAddress: clientAddress, isSecure: tls } = this.#connection;
    const origin = { id: this.#id, listener: this.#listener, clientAddress, verb, helo, tls };
    return makeSessionView(this.#world.hostname, origin);
  }
}
