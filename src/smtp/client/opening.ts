/**
 * How a session with a next hop begins: greeting, EHLO (or LHLO, RFC 2033), TLS (RFC 3207, or from the first octet on, RFC
 * 8314), the client's identity (XCLIENT), our login (RFC 4954).
 *
 *     securing -> greeting -> hello -+-> starttls -> securing -> hello
 *     (implicit)      |              +-> auth -> open
 *                     `-> helo ------'   open -> xclient -> hello
 *
 * What is required and cannot be had ends the connection with its reason; nothing is ever silently weaker than asked for.
 */
import type { Reply } from '../reply.ts';
import type { Credentials, SaslCrypto } from '../sasl/client.ts';
import { Authentication } from './authentication.ts';
import { Hop } from './hop.ts';
import type { Awaited } from './mail-transaction.ts';
import type { FailureReason } from './outbound.ts';

/** `may`: STARTTLS where offered. `must`: STARTTLS, or no dialog. `implicit`: TLS before the greeting. */
export type TlsMode = 'none' | 'may' | 'must' | 'implicit';

export interface OpeningOptions {
  /** Our name in EHLO. */
  readonly helo: string;
  readonly protocol: 'smtp' | 'lmtp';
  readonly tls: TlsMode;
  readonly auth?: { readonly credentials: Credentials; readonly crypto: SaslCrypto } | undefined;
}

export interface OpeningHost {
  write(commands: string): void;
  startTls(): void;
  awaits(what: Awaited): void;
  derive(password: string, salt: Buffer, iterations: number): void;
  /** Nobody else reads along even without TLS: loopback, or a Unix socket. */
  isPrivate(): boolean;
  /** No octet is left behind the reply just read. */
  isAllRead(): boolean;
  /** Mails may come. Again after each `identify`. */
  opened(): void;
  broken(reason: FailureReason, reply?: Reply, detail?: string): void;
}

type State = 'new' | 'greeting' | 'hello' | 'helo' | 'starttls' | 'securing' | 'auth' | 'xclient' | 'open';

export const NO_HOP = new Hop(new Map(), '');

export class Opening {
  readonly #options: OpeningOptions;
  readonly #host: OpeningHost;
  #state: State = 'new';
  #hop = NO_HOP;
  #isSecure = false;
  #isTlsRefused = false;
  #isAuthenticated = false;
  #auth: Authentication | undefined;
  /** The name for EHLO: ours, or behind XCLIENT the client's. */
  #helo: string;
  /** XCLIENT commands still to be sent. */
  #identity: readonly string[] = [];

  constructor(options: OpeningOptions, host: OpeningHost) {
    this.#options = options;
    this.#host = host;
    this.#helo = options.helo;
  }

  /** What the hop offers; that of the secured session once there is one. */
  get hop(): Hop {
    return this.#hop;
  }

  get isSecure(): boolean {
    return this.#isSecure;
  }

  get isSecuring(): boolean {
    return this.#state === 'securing';
  }

  /** The transport stands. */
  connected(): void {
    if (this.#options.tls === 'implicit') this.#secure();
    else this.#greet();
  }

  /** TLS stands: whatever was learned in clear is forgotten (RFC 3207 section 4.2). No octet of it is left unread, either. */
  secured(): void {
    if (this.#state !== 'securing') return;
    this.#isSecure = true;
    this.#hop = NO_HOP;
    if (this.#options.tls === 'implicit') this.#greet();
    else this.#sendHello();
  }

  /** Makes an open session the client's: `commands` are XCLIENT, at least one. `opened` follows. */
  identify(commands: readonly string[], helo: string | undefined): void {
    this.#helo = helo ?? this.#options.helo;
    this.#identity = commands;
    this.#sendIdentity();
  }

  /** What `host.derive` was asked for. */
  derived(salted: Buffer): void {
    if (this.#state === 'auth') this.#auth?.derived(salted);
  }

  onReply(reply: Reply): void {
    if (reply.code === 421) {
      this.#host.broken('closing', reply);
      return;
    }
    switch (this.#state) {
      case 'greeting':
        if (isTwo(reply)) this.#sendHello();
        else this.#refuse(reply);
        return;
      case 'hello':
        this.#onHelloReply(reply);
        return;
      case 'helo':
        if (isTwo(reply)) this.#onHop(Hop.fromHello('HELO', reply));
        else this.#refuse(reply);
        return;
      case 'starttls':
        this.#onStartTlsReply(reply);
        return;
      case 'auth':
        this.#auth?.onReply(reply);
        return;
      case 'xclient':
        this.#onXclientReply(reply);
        return;
      case 'new': // nothing was asked yet; the session lets nothing through while securing, or once open
      case 'securing':
      case 'open':
        this.#host.broken('unsolicited', reply);
        return;
    }
  }

  #greet(): void {
    this.#state = 'greeting';
    this.#host.awaits('greeting');
  }

  #secure(): void {
    this.#state = 'securing';
    this.#host.awaits('tls');
    this.#host.startTls();
  }

  #sendHello(): void {
    this.#state = 'hello';
    this.#say(`${this.#options.protocol === 'lmtp' ? 'LHLO' : 'EHLO'} ${this.#helo}\r\n`);
  }

  #say(command: string): void {
    this.#host.write(command);
    this.#host.awaits('hello');
  }

  #onHelloReply(reply: Reply): void {
    const isFirst = !this.#isSecure || this.#options.tls === 'implicit';
    // RFC 5321 section 3.2: whoever refuses EHLO for good may still know HELO. Not once it knew STARTTLS; LMTP has none.
    if (reply.code >= 500 && isFirst && this.#options.protocol === 'smtp') {
      this.#state = 'helo';
      this.#say(`HELO ${this.#helo}\r\n`);
      return;
    }
    if (isTwo(reply)) this.#onHop(Hop.fromHello('EHLO', reply));
    else this.#refuse(reply);
  }

  #onHop(hop: Hop): void {
    this.#hop = hop;
    const { tls } = this.#options;
    if (this.#isSecure || tls === 'none' || this.#isTlsRefused) {
      this.#goOn();
    } else if (hop.offers.has('STARTTLS')) {
      this.#state = 'starttls';
      this.#say('STARTTLS\r\n');
    } else if (tls === 'must') {
      this.#host.broken('no-tls', undefined, 'STARTTLS is not offered');
    } else {
      this.#goOn();
    }
  }

  #onStartTlsReply(reply: Reply): void {
    // 454 and the like: nothing changed, and `may` is content with clear text (RFC 3207 section 4).
    if (reply.code >= 400) {
      this.#isTlsRefused = true;
      if (this.#options.tls === 'must') this.#host.broken('no-tls', reply, 'STARTTLS is refused');
      else this.#goOn();
      return;
    }
    if (reply.code !== 220) {
      this.#host.broken('out-of-place', reply);
      return;
    }
    // Commands injected behind the 220 by somebody on the path would be taken for the secured hop's (CVE-2011-0411).
    if (this.#host.isAllRead()) this.#secure();
    else this.#host.broken('starttls-injection');
  }

  #goOn(): void {
    const { auth } = this.#options;
    const offered = this.#hop.offers.get('AUTH');
    // A hop that offers no AUTH behind XCLIENT has kept our login.
    if (auth === undefined || (this.#isAuthenticated && offered === undefined)) {
      this.#open();
    } else if (!this.#isSecure && !this.#host.isPrivate()) {
      this.#host.broken('auth', undefined, 'the password is not sent without TLS');
    } else if (offered === undefined) {
      this.#host.broken('auth', undefined, 'the hop does not offer AUTH');
    } else {
      this.#state = 'auth';
      this.#auth = new Authentication(auth.credentials, offered, auth.crypto, {
        write: (command) => this.#say(command),
        derive: (password, salt, iterations) => this.#host.derive(password, salt, iterations),
        onAuthenticated: () => {
          this.#isAuthenticated = true;
          this.#open();
        },
        onAuthenticationFailed: (why, reply) => this.#host.broken('auth', reply, why),
      });
      this.#auth.start();
    }
  }

  #open(): void {
    this.#auth = undefined;
    this.#state = 'open';
    this.#host.opened();
  }

  #sendIdentity(): void {
    const [command, ...rest] = this.#identity;
    if (command === undefined) {
      this.#sendHello();
      return;
    }
    this.#identity = rest;
    this.#state = 'xclient';
    this.#say(`${command}\r\n`);
  }

  /** A refusal is either of us (not authorised) or of the client (a greeting of 554): nobody can tell, so it is temporary. */
  #onXclientReply(reply: Reply): void {
    if (isTwo(reply)) this.#sendIdentity();
    else this.#host.broken('identity', reply, 'XCLIENT is refused');
  }

  #refuse(reply: Reply): void {
    this.#host.broken(reply.code >= 400 ? 'refused' : 'out-of-place', reply);
  }
}

function isTwo(reply: Reply): boolean {
  return reply.code >= 200 && reply.code < 300;
}
