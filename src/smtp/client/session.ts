/**
 * The client's half of an SMTP session (RFC 5321), as a machine: octets and events in, octets and events out. It greets,
 * secures where the hop offers it (RFC 3207), and runs one mail transaction after the other.
 *
 *     greeting -> ehlo -+-> starttls -> securing -> ehlo
 *                  |    `-> ready <-> mail -> reset -> ready
 *                  `-> helo -> ready             any -> over
 *
 * It trusts nothing: a reply nobody asked for, one of the wrong class, or one that is no reply, ends the connection, as
 * from there on nobody knows which command a reply belongs to. Sockets, time and a second try belong to the pool
 * (`../net/next-hop.ts`). LHLO (RFC 2033) would be another first command and as many final replies as recipients.
 */
import type { ReplyLimits } from '../limits.ts';
import type { Reply } from '../reply.ts';
import { Hop } from './hop.ts';
import { type Awaited, type MailEvents, type MailHost, MailTransaction } from './mail-transaction.ts';
import type { FailureReason, OutboundFailure } from './outbound.ts';
import { ReplyParser } from './reply-parser.ts';

/** What the session asks of the shell that owns its socket. */
export interface ClientOut {
  /** Commands, one character an octet. Whatever is written in one turn should leave in one piece. */
  write(commands: string): void;
  /** Content, ready for the wire, `octets` in all. Kept by reference until written. */
  content(parts: Uint8Array[], octets: number): void;
  /** Begin TLS on the socket; `session.secured()` or `session.ended()` follows. */
  startTls(): void;
  /** The deadline of the next reply: starts now, in place of any other. */
  awaits(what: Awaited): void;
  /** A mail may begin. Again after each mail. */
  onReady(): void;
  /** The session is over, and the socket is to be closed. The last call. `shutdown` where we wanted it so. */
  onOver(failure: OutboundFailure): void;
}

export interface ClientOptions {
  /** Our name in EHLO. */
  readonly helo: string;
  /** `may`: STARTTLS where it is offered. */
  readonly tls: 'none' | 'may';
  readonly reply: ReplyLimits;
}

type State = 'greeting' | 'ehlo' | 'helo' | 'starttls' | 'securing' | 'ready' | 'mail' | 'reset' | 'quit' | 'over';

const NO_HOP = new Hop(new Map(), '');

export class ClientSession {
  readonly #options: ClientOptions;
  readonly #out: ClientOut;
  readonly #parser: ReplyParser;
  readonly #host: MailHost;
  #state: State = 'greeting';
  #hop = NO_HOP;
  #isSecure = false;
  #mail: MailTransaction | undefined;
  /** Replies to come before that of RSET, and whether RSET was written. */
  #owedBeforeReset = 0;
  #isResetSent = false;

  constructor(options: ClientOptions, out: ClientOut) {
    this.#options = options;
    this.#out = out;
    this.#parser = new ReplyParser(options.reply);
    this.#host = {
      write: (commands) => out.write(commands),
      content: (parts, octets) => out.content(parts, octets),
      awaits: (what) => out.awaits(what),
      free: () => this.#free(),
      reset: () => this.#reset(0),
      broken: (reason, reply) => this.#break(reason, reply),
    };
  }

  /** What the hop offers; that of the secured session once there is one. */
  get hop(): Hop {
    return this.#hop;
  }

  get isSecure(): boolean {
    return this.#isSecure;
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  /** The connection stands: the greeting is owed. */
  connected(): void {
    this.#out.awaits('greeting');
  }

  recv(chunk: Buffer): void {
    if (this.#state === 'over') return;
    if (this.#state === 'securing') {
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
    this.#break(this.#state === 'securing' ? 'tls' : reason, undefined, detail);
  }

  /** No reply, or no progress, in time. */
  timedOut(what: string): void {
    this.#break(this.#state === 'securing' ? 'tls' : 'timeout', undefined, what);
  }

  /** TLS stands: whatever was learned in clear is forgotten (RFC 3207 section 4.2). No octet of it is left unread, either. */
  secured(): void {
    if (this.#state !== 'securing') return;
    this.#isSecure = true;
    this.#hop = NO_HOP;
    this.#sendHello('EHLO');
  }

  /** Begins a mail with `MAIL FROM:argument`; only while `isReady`. */
  mail(argument: string, events: MailEvents): void {
    if (this.#state !== 'ready') return;
    this.#state = 'mail';
    this.#mail = new MailTransaction(argument, this.#hop, this.#host, events);
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

  /** Gives up the mail: by RSET where the hop would understand it, else the connection ends. */
  abort(): void {
    const mail = this.#mail;
    if (mail === undefined) return;
    if (mail.canReset) this.#reset(mail.owed);
    else this.#break('shutdown');
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
      case 'greeting':
        if (isTwo(reply)) this.#sendHello('EHLO');
        else this.#refuse(reply);
        return;
      case 'ehlo':
        this.#onEhloReply(reply);
        return;
      case 'helo':
        if (!isTwo(reply)) {
          this.#refuse(reply);
          return;
        }
        this.#hop = Hop.fromHello('HELO', reply);
        this.#free();
        return;
      case 'starttls':
        this.#onStartTlsReply(reply);
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
      case 'securing': // `recv` lets nothing through
      case 'ready':
      case 'over':
        this.#break(reply.code === 421 ? 'closing' : 'unsolicited', reply);
        return;
    }
  }

  #sendHello(verb: 'EHLO' | 'HELO'): void {
    this.#state = verb === 'EHLO' ? 'ehlo' : 'helo';
    this.#out.write(`${verb} ${this.#options.helo}\r\n`);
    this.#out.awaits('hello');
  }

  #onEhloReply(reply: Reply): void {
    // RFC 5321 section 3.2: whoever refuses EHLO for good may still know HELO. Not once it knew STARTTLS.
    if (reply.code >= 500 && !this.#isSecure) {
      this.#sendHello('HELO');
      return;
    }
    if (!isTwo(reply)) {
      this.#refuse(reply);
      return;
    }
    this.#hop = Hop.fromHello('EHLO', reply);
    if (this.#isSecure || this.#options.tls === 'none' || !this.#hop.offers.has('STARTTLS')) {
      this.#free();
      return;
    }
    this.#state = 'starttls';
    this.#out.write('STARTTLS\r\n');
    this.#out.awaits('hello');
  }

  #onStartTlsReply(reply: Reply): void {
    if (reply.code === 421) {
      this.#break('closing', reply);
      return;
    }
    // 454 and the like: nothing changed, and `may` is content with clear text (RFC 3207 section 4).
    if (reply.code >= 400) {
      this.#free();
      return;
    }
    if (reply.code !== 220) {
      this.#break('out-of-place', reply);
      return;
    }
    // Commands injected behind the 220 by somebody on the path would be taken for the secured hop's (CVE-2011-0411).
    if (!this.#parser.isEmpty) {
      this.#break('starttls-injection');
      return;
    }
    this.#state = 'securing';
    this.#out.awaits('tls');
    this.#out.startTls();
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
    if (owed === 0 || this.#hop.pipelining) this.#sendReset();
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

  #refuse(reply: Reply): void {
    this.#break(reply.code === 421 ? 'closing' : reply.code >= 400 ? 'refused' : 'out-of-place', reply);
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
