/**
 * Who the client of a session is: where it comes from, how it greeted, what proxies we believe say of it (XCLIENT for the
 * session, XFORWARD for one mail), who logged in, and what services made of its greeting. Each of them may change while the
 * session lasts; a view is how they stand for one mail or one command.
 */
import type { ClientAttributes } from '../../smtp/index.ts';
import type { ListenerOptions } from '../options.ts';
import { type AdaptedGreeting, makeSessionView, type SessionView, UNKNOWN_ADDRESS } from './session-view.ts';

type Hello = 'EHLO' | 'HELO';

/** What the connection knows, as it is now. */
export interface ClientConnection {
  /** UNIX_PEER on a Unix socket. */
  readonly remoteAddress: string;
  readonly isSecure: boolean;
  /** Who logged in, or ''. */
  readonly user: string;
  /** What proxies we believe say of the client: by XCLIENT of the session's, by XFORWARD of the next mail's. */
  readonly client: ClientAttributes;
  readonly forwarded: ClientAttributes;
}

export class Client {
  readonly #hostname: string;
  readonly #id: string;
  readonly #listener: ListenerOptions;
  readonly #connection: ClientConnection;
  /** The last EHLO or HELO that was taken. */
  #verb: Hello = 'HELO';
  #name = '';
  #greeting: AdaptedGreeting | undefined;
  /** Who it was by XCLIENT when it greeted, and whether that was inside TLS. */
  #greeted: ClientAttributes | undefined;
  #greetedInTls = false;
  #view: SessionView | undefined;

  /** `hostname`: our own name. `id`: the session's. */
  constructor(hostname: string, id: string, listener: ListenerOptions, connection: ClientConnection) {
    this.#hostname = hostname;
    this.#id = id;
    this.#listener = listener;
    this.#connection = connection;
  }

  /** Its greeting was taken; `greeting`: what services made of it. */
  greeted(verb: Hello, name: string, greeting: AdaptedGreeting | undefined): void {
    this.#verb = verb;
    this.#name = name;
    this.#greeting = greeting;
    this.#greeted = this.#connection.client;
    this.#greetedInTls = this.#connection.isSecure;
    this.#view = undefined;
  }

  /** With a greeting that was not taken yet. */
  viewWith(verb: Hello, name: string): SessionView {
    return this.#make(verb, name, undefined);
  }

  /**
   * For a command outside of mails, which needs no greeting. Behind XCLIENT it is another client, and behind STARTTLS what was
   * said in the clear is forgotten (RFC 3207, 4.2): neither has greeted before it does so again.
   */
  viewNow(): SessionView {
    const { client, isSecure } = this.#connection;
    const hasGreeted = this.#greeted === client && this.#greetedInTls === isSecure;
    return hasGreeted ? this.#own() : this.#make('HELO', '', undefined);
  }

  /** Of the session, unless XFORWARD said that this mail is another client's. */
  viewOfMail(): SessionView {
    const { forwarded } = this.#connection;
    return forwarded.size > 0 ? this.#forwarded(forwarded) : this.#own();
  }

  /** Whose authority counts. */
  get peerAddress(): string {
    const { client, remoteAddress } = this.#connection;
    return client.has('ADDR') ? (client.get('ADDR') ?? UNKNOWN_ADDRESS) : remoteAddress;
  }

  /** A login since makes it another. */
  #own(): SessionView {
    if (this.#view === undefined || this.#view.user !== this.#connection.user)
      this.#view = this.#make(this.#verb, this.#name, this.#greeting);
    return this.#view;
  }

  #make(verb: Hello, name: string, greeting: AdaptedGreeting | undefined): SessionView {
    const { client, isSecure: tls, user } = this.#connection;
    return makeSessionView(this.#hostname, {
      id: this.#id,
      listener: this.#listener,
      clientAddress: this.peerAddress,
      clientName: client.get('NAME'),
      // What XCLIENT says of the client's greeting is more than what the proxy greets with itself.
      verb: verbOf(client) ?? verb,
      helo: client.get('HELO') ?? name,
      greeting,
      tls,
      user,
    });
  }

  /** What XFORWARD does not say is not known (XFORWARD_README): nothing of the peer is said of its client. */
  #forwarded(forwarded: ClientAttributes): SessionView {
    return makeSessionView(this.#hostname, {
      id: this.#id,
      listener: this.#listener,
      clientAddress: forwarded.get('ADDR') ?? UNKNOWN_ADDRESS,
      clientName: forwarded.get('NAME'),
      peerAddress: this.peerAddress,
      verb: verbOf(forwarded) ?? this.#verb,
      helo: forwarded.get('HELO') ?? '',
      tls: this.#connection.isSecure,
      user: this.#connection.user,
    });
  }
}

function verbOf(attributes: ClientAttributes): Hello | undefined {
  const protocol = attributes.get('PROTO');
  return protocol === undefined ? undefined : protocol === 'SMTP' ? 'HELO' : 'EHLO';
}
