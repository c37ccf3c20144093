/**
 * The client's half of an SMTP session (RFC 5321), or an LMTP one (RFC 2033), as a machine: octets and events in, octets and
 * events out. After its opening (`opening.ts`) it runs one mail transaction after the other.
 *
 *     opening -> ready <-> mail -> reset -> ready
 *        ^---------'                               any -> over
 *
 * It trusts nothing: a reply nobody asked for, one of the wrong class, or one that is no reply, ends the connection, as
 * from there on nobody knows which command a reply belongs to. Sockets, time and a second try belong to the pool
 * (`../net/next-hop.ts`).
 */
import type { ReplyLimits } from '../limits.ts';
import type { Reply } from '../reply.ts';
import type { Hop } from './hop.ts';
import { type Awaited, type MailEvents, type MailHost, MailTransaction } from './mail-transaction.ts';
import { Opening, type OpeningOptions } from './opening.ts';
import type { FailureReason, OutboundFailure } from './outbound.ts';
import { ReplyParser } from './reply-parser.ts';

/** What the session asks of the shell that owns its socket. */
export interface ClientOut {
  /** Commands, one character an octet. Whatever is written in one turn should leave in one piece. */
  write(commands: string): void;
  /** Content, ready for the wire, `octets` in all. Kept by reference until written. */
  content(parts: Uint8Array[], octets: number): void;
  /** Some of that content has not been given to the socket. */
  holdsContent(): boolean;
  /** Begin TLS on the socket; `session.secured()`, `session.untrusted()` or `session.ended()` follows. */
  startTls(): void;
  /** PBKDF2 (HMAC-SHA-256, 32 octets); `session.derived()` follows. */
  derive(password: string, salt: Buffer, iterations: number): void;
  /** Nobody else reads along even without TLS: loopback, or a Unix socket. */
  isPrivate(): boolean;
  /** The deadline of the next reply: starts now, in place of any other. */
  awaits(what: Awaited): void;
  /** A mail may begin. Again after each mail, and after `identify`. */
  onReady(): void;
  /** The hop refused to be told whose mail it is (XFORWARD). The mail goes on. */
  onDeclined(reply: Reply): void;
  /** The session is over, and the socket is to be closed. The last call. `shutdown` where we wanted it so. */
  onOver(failure: OutboundFailure): void;
}

export interface ClientOptions extends OpeningOptions {
  readonly reply: ReplyLimits;
}

type State = 'opening' | 'ready' | 'mail' | 'reset' | 'quit' | 'over';

const NO_COMMANDS: readonly string[] = [];

export class ClientSession {
  readonly #isLmtp: boolean;
  readonly #out: ClientOut;
  readonly #parser: ReplyParser;
  readonly #host: MailHost;
  readonly #opening: Opening;
  #state: State = 'opening';
  #mail: MailTransaction | undefined;
  /** Replies to come before that of RSET, and whether RSET was written. */
  #owedBeforeReset = 0;
  #isResetSent = false;

  constructor(options: ClientOptions, out: ClientOut) {
    this.#isLmtp = options.protocol === 'lmtp';
    this.#out = out;
    this.#parser = new ReplyParser(options.reply);
    this.#opening = new Opening(options, {
      write: (commands) => out.write(commands),
      startTls: () => out.startTls(),
      awaits: (what) => out.awaits(what),
      derive: (password, salt, iterations) => out.derive(password, salt, iterations),
      isPrivate: () => out.isPrivate(),
      isAllRead: () => this.#parser.isEmpty,
      opened: () => this.#free(),
      broken: (reason, reply, detail) => this.#break(reason, reply, detail),
    });
    this.#host = {
      write: (commands) => out.write(commands),
      content: (parts, octets) => out.content(parts, octets),
      holdsContent: () => out.holdsContent(),
      awaits: (what) => out.awaits(what),
      free: () => this.#free(),
      reset: () => this.#reset(0),
      declined: (reply) => out.onDeclined(reply),
      broken: (reason, reply) => this.#break(reason, reply),
    };
  }

  /** What the hop offers; that of the secured session once there is one. */
  get hop(): Hop {
    return this.#opening.hop;
  }

  get isSecure(): boolean {
    return this.#opening.isSecure;
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  /** The transport stands: the greeting is owed, or TLS. */
  connected(): void {
    this.#opening.connected();
  }

  recv(chunk: Buffer): void {
    if (this.#state === 'over') return;
    if (this.#opening.isSecuring) {
      this.#break('starttls-injection');
      return;
    }
    this.#parser.feed(chunk);
    for (let reply = this.#parser.next(); reply !== undefined; reply = this.#parser.next()) {
      this.#onReply(reply);
      if (this.#isOver()) return;
    }
    if (this.#parser.rule !== undefined) {
      this.#break('bad-reply', undefined, this.#parser.rule);
      return;
    }
    // Half a reply nobody asked for is enough: the next mail must not meet its other half.
    if (this.#state === 'ready' && !this.#parser.isEmpty) this.#break('unsolicited');
  }

  /** The transport ended: the peer closed, or an error. */
  ended(detail: string, reason: FailureReason = 'lost'): void {
    this.#break(this.#opening.isSecuring ? 'tls' : reason, undefined, detail);
  }

  /** No reply, or no progress, in time. */
  timedOut(what: string): void {
    this.#break(this.#opening.isSecuring ? 'tls' : 'timeout', undefined, what);
  }

  /** TLS stands, and with whom it should. */
  secured(): void {
    if (this.#state === 'opening') this.#opening.secured();
  }

  /** TLS stands, but not with whom it should. */
  untrusted(why: string): void {
    this.#break('untrusted', undefined, why);
  }

  /** What `out.derive` was asked for. */
  derived(salted: Buffer): void {
    if (this.#state === 'opening') this.#opening.derived(salted);
  }

  /** Makes the session another client's, by XCLIENT; only while `isReady`. `onReady` follows. */
  identify(commands: readonly string[], helo: string | undefined): void {
    if (this.#state !== 'ready') return;
    this.#state = 'opening';
    this.#opening.identify(commands, helo);
  }

  /** Begins a mail with `MAIL FROM:argument`, behind XFORWARD commands where there are any; only while `isReady`. */
  mail(argument: string, events: MailEvents, xforward: readonly string[] = NO_COMMANDS): void {
    if (this.#state !== 'ready') return;
    this.#state = 'mail';
    this.#mail = new MailTransaction(argument, this.#opening.hop, this.#host, events, this.#isLmtp, xforward);
  }

  rcpt(argument: string): void {
    this.#mail?.rcpt(argument);
  }

  /** See `MailTransaction.data`. */
  data(exact: boolean): 'asked' | 'go' {
    return this.#mail?.data(exact) ?? 'asked';
  }

  content(chunks: readonly Uint8Array[], last: boolean, isDotFree = false): void {
    this.#mail?.content(chunks, last, isDotFree);
  }

  /** Gives up the mail: by RSET where the hop would understand it, else the connection ends. One for nobody ends by itself. */
  abort(): void {
    const mail = this.#mail;
    if (mail === undefined) return;
    if (mail.canReset) this.#reset(mail.owed);
    else if (!mail.isForNobody) this.#break('shutdown');
  }

  quit(): void {
    if (this.#state !== 'ready') {
      this.#break('shutdown');
      return;
    }
    this.#state = 'quit';
    this.#out.write('QUIT\r\n');
    this.#out.awaits('quit');
  }

  /** Not inlined: the compiler would take the state for what it was before the reply. */
  #isOver(): boolean {
    return this.#state === 'over';
  }

  #onReply(reply: Reply): void {
    switch (this.#state) {
      case 'opening':
        this.#opening.onReply(reply);
        return;
      case 'mail':
        this.#mail?.onReply(reply);
        return;
      case 'reset':
        this.#onResetReply(reply);
        return;
      case 'quit':
        this.#break('shutdown');
        return;
      case 'ready':
      case 'over':
        this.#break(reply.code === 421 ? 'closing' : 'unsolicited', reply);
        return;
    }
  }

  #onResetReply(reply: Reply): void {
    if (reply.code === 421) {
      this.#break('closing', reply);
      return;
    }
    if (this.#owedBeforeReset === 0) {
      if (isTwo(reply)) this.#free();
      else this.#break('out-of-place', reply);
      return;
    }
    this.#owedBeforeReset--;
    if (this.#owedBeforeReset === 0 && !this.#isResetSent) this.#sendReset();
  }

  /** Ends the transaction by RSET; `owed` replies of it are still to come and mean nothing any more. */
  #reset(owed: number): void {
    this.#mail = undefined;
    this.#state = 'reset';
    // Without PIPELINING one command may be unanswered, and RSET waits for it.
    this.#owedBeforeReset = owed;
    this.#isResetSent = false;
    if (owed === 0 || this.hop.pipelining) this.#sendReset();
  }

  #sendReset(): void {
    this.#isResetSent = true;
    this.#out.write('RSET\r\n');
    this.#out.awaits('hello');
  }

  #free(): void {
    this.#mail = undefined;
    this.#state = 'ready';
    this.#out.awaits('nothing');
    // Where octets are left over, `recv` gives the connection up before it could be used.
    if (this.#parser.isEmpty) this.#out.onReady();
  }

  #break(reason: FailureReason, reply?: Reply, detail?: string): void {
    if (this.#state === 'over') return;
    const stage = this.#mail?.stage ?? (this.#state === 'ready' || this.#state === 'reset' ? 'envelope' : 'hello');
    const sent = this.#mail?.isSent ?? false;
    this.#state = 'over';
    this.#mail = undefined;
    this.#out.onOver({ stage, reason, sent, ...(reply && { reply }), ...(detail !== undefined && { detail }) });
  }
}

function isTwo(reply: Reply): boolean {
  return reply.code >= 200 && reply.code < 300;
}
