/**
 * One SMTP session of a client, as the gateway sees it: the session engine keeps the protocol, this turns its commands into
 * mails, one after the other, and gives each what is known of the client.
 */
import {
  type AuthAnswer,
  type AuthQuestion,
  type MailCommand,
  type RcptCommand,
  type Reply,
  type ResetCause,
  replies,
  type ServerHandler,
  type Ticket,
} from '../../smtp/index.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { strangerRefusal, submissionRefusal } from '../auth/submission.ts';
import type { CommandName, ListenerOptions } from '../options.ts';
import type { ViaEntry } from '../trace/index.ts';
import { Client, type ClientConnection } from './client.ts';
import { Inquiry, type Question } from './inquiry.ts';
import { Mail } from './mail.ts';
import { gatewayReplies } from './replies.ts';
import type { AdaptedGreeting, SessionView } from './session-view.ts';
import type { MailPeer, MailWorld } from './world.ts';

/** The connection and the session engine behind it; made by `smtp/net`, or by a test. */
export interface DialogConnection extends ClientConnection {
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
  readonly #client: Client;
  readonly #onOver: (() => void) | undefined;
  readonly #auth: Authenticator | undefined;
  /** A command that services are being asked about. */
  #inquiry: Inquiry | undefined;
  #mail: Mail | undefined;
  /** With the commands that services were asked about: each has an id. */
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
    this.#client = new Client(world.hostname, id, listener, connection);
    this.#onOver = onOver;
    this.#auth = auth;
  }

  onHello(verb: 'EHLO' | 'HELO', name: string, ticket: Ticket): void {
    if (this.#world.dispatcher.asks('EHLO')) this.#askAboutHello(verb, name, ticket);
    else this.#hello(verb, name, undefined, ticket);
  }

  #hello(verb: 'EHLO' | 'HELO', name: string, greeting: AdaptedGreeting | undefined, ticket: Ticket): void {
    this.#client.greeted(verb, name, greeting);
    this.#connection.answerHello(ticket);
  }

  /** What mails will say of the client is what services are asked about: by XCLIENT's word, where there is one. */
  #askAboutHello(verb: 'EHLO' | 'HELO', name: string, ticket: Ticket): void {
    const view = this.#client.viewWith(verb, name);
    const facts = view.parts.filter(([part]) => part === 'IP');
    const question = { part: view.verb, argument: view.helo, facts };
    this.#inquire('EHLO', question, view, ticket, (helo, via) => {
      const isAsPresented = helo === view.helo && via.length === 0;
      this.#hello(verb, name, isAsPresented ? undefined : { helo, via }, ticket);
    });
  }

  #inquire(
    command: CommandName,
    question: Question,
    view: SessionView,
    ticket: Ticket,
    passed: (argument: string, via: readonly ViaEntry[]) => void,
  ): void {
    const steps = this.#world.dispatcher.atCommand(command, view.facts);
    if (steps.length === 0) {
      passed(question.argument, []);
      return;
    }
    this.#mails++;
    this.#inquiry = new Inquiry(this.#world, view, this.#mails, question, steps, (answer) => {
      this.#inquiry = undefined;
      if (answer.kind === 'refused') this.#connection.answer(ticket, answer.reply);
      else passed(answer.argument, answer.via);
    });
    this.#inquiry.ask();
  }

  /** Passwords take long to look at; the session waits. */
  onAuth(question: AuthQuestion, ticket: Ticket): void {
    if (this.#auth === undefined) {
      this.#connection.answer(ticket, replies.authUnavailable);
      return;
    }
    this.#auth.ask(question, this.#client.peerAddress, (verdict) => {
      if (verdict.kind === 'refused') this.#connection.answer(ticket, verdict.reply);
      else this.#connection.answerAuth(ticket, verdict);
    });
  }

  onMail(command: MailCommand, ticket: Ticket): void {
    const session = this.#client.viewOfMail();
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

  /** Who exists here is not told (RFC 5321 section 7.3), whoever services would rather have been asked about. */
  onVerify(verb: 'VRFY' | 'EXPN', argument: string, ticket: Ticket): void {
    const answer = verb === 'VRFY' ? replies.cannotVerify : replies.notImplemented;
    if (!this.#world.dispatcher.asks(verb)) {
      this.#connection.answer(ticket, answer);
      return;
    }
    const submitter = { name: this.#connection.user, peerAddress: this.#client.peerAddress };
    const refusal = strangerRefusal(this.#listener, submitter);
    if (refusal !== undefined) {
      this.#connection.answer(ticket, refusal);
      return;
    }
    const view = this.#client.viewNow();
    const question = { part: verb, argument, facts: view.parts };
    this.#inquire(verb, question, view, ticket, () => this.#connection.answer(ticket, answer));
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
    this.#inquiry?.abandon();
    this.onReset('LOST');
    this.#onOver?.();
  }

  #permission({ user: name }: SessionView, { reversePath }: MailCommand): Reply | undefined {
    const submitter = { name, user: this.#auth?.user(name), peerAddress: this.#client.peerAddress };
    return submissionRefusal(this.#listener, submitter, reversePath);
  }
}
