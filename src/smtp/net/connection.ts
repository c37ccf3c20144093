/**
 * One client's connection: a socket around a `ServerSession`. Replies of one turn leave in one write, deadlines follow
 * whom the session waits for, STARTTLS puts TLS between. A handler is made for each connection and answers through it.
 *
 * A handler that throws loses this connection (logged as `smtp.handler-failed`) and no other.
 */
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { Armed, type Deadline, type Deadlines, type Log, type Seat, stackOf } from '../../base/index.ts';
import { readShared } from '../../base/net/index.ts';
import { plainAddress } from '../ip-address.ts';
import { type ConnectionLimits, connectionLimits } from '../limits.ts';
import { replies } from '../replies.ts';
import type { Reply } from '../reply.ts';
import type { AuthAnswer } from '../sasl/mechanism.ts';
import { readMemory } from '../scan/line-scan.ts';
import type { ClientAttributes } from '../server/client-attributes.ts';
import type { ServerHandler, ServerOut, Ticket } from '../server/handler.ts';
import type { ServerOptions } from '../server/options.ts';
import { ServerSession, type WaitsFor } from '../server/session.ts';
import { ProxiedSocket } from './proxied-socket.ts';
import { RateFloor } from './rate-floor.ts';

/** What all connections of a listener share. */
export interface ConnectionOwner {
  readonly options: ServerOptions;
  /** Those of some clients differ; absent where all are alike. */
  readonly optionsOf?: ((address: string) => ServerOptions) | undefined;
  readonly secureContext: SecureContext | undefined;
  /** The longest wait for a command. */
  readonly idleMs: number;
  readonly deadlines: Deadlines;
  readonly log: Log;
  /** Counts replies by their first digit. */
  readonly replies: number[];
  /** Calls `connection.flush()` at the end of this turn of the event loop. */
  flushLater(connection: SmtpConnection): void;
  onClosed(connection: SmtpConnection): void;
}

export interface TlsInfo {
  /** Such as 'TLSv1.3'. */
  readonly protocol: string;
  readonly cipher: string;
}

/** Why input is not read; bits, since several may hold at once. */
const BY_SESSION = 1;
const BY_HANDLER = 2;
const BY_OUTPUT = 4;

const DIGIT_ZERO = 0x30;

export class SmtpConnection implements ServerOut, Deadline {
  readonly session: ServerSession;
  /** UNIX_PEER on a Unix socket, '' where a TCP peer was gone at once. */
  readonly remoteAddress: string;
  /** Among the connections of its listener. */
  seat: Seat<SmtpConnection> | undefined;
  readonly #owner: ConnectionOwner;
  readonly #limits: ConnectionLimits = connectionLimits;
  readonly #armed = new Armed(this);
  #socket: Socket;
  #tls: TlsInfo | undefined;
  #floor: RateFloor | undefined;
  /** What was said since the last write. */
  #outbox = '';
  #isInTurn = true;
  /** The owner was asked to flush it, and did not yet. */
  #isFlushDue = false;
  #pauses = 0;
  #watched: WaitsFor = 'greeting';
  #watchedSteps = -1;
  /** Octets read after our last word. */
  #lingered = 0;
  /** A greeting that waits for TLS. */
  #heldGreeting: (() => void) | undefined;

  /**
   * `makeHandler` is called before there is a session; the handler may use it from its first event on. A socket is paused
   * (`pauseOnConnect`), or one whose PROXY header was read; `proxiedFor` is the client in that case.
   */
  constructor(
    from: Socket | ProxiedSocket,
    owner: ConnectionOwner,
    makeHandler: (connection: SmtpConnection) => ServerHandler,
    proxiedFor?: string,
  ) {
    const socket = from instanceof ProxiedSocket ? from.socket : from;
    this.#owner = owner;
    this.remoteAddress = proxiedFor ?? plainAddress(socket.remoteAddress ?? '');
    const options = owner.optionsOf?.(this.remoteAddress) ?? owner.options;
    this.session = new ServerSession(options, makeHandler(this), this);
    this.#socket = socket;
    if (options.tls === 'implicit') this.#startImplicitTls(from);
    else if (from instanceof ProxiedSocket) this.#readOn(from);
    else readShared(from, readMemory, (octets) => this.#onData(octets));
    if (options.tls !== 'implicit') this.#listen(this.#socket);
    this.#isInTurn = false;
  }

  /** Of the TLS session, where there is one. */
  get tls(): TlsInfo | undefined {
    return this.#tls;
  }

  get isSecure(): boolean {
    return this.session.isSecure;
  }

  /** Who logged in, or ''. */
  get user(): string {
    return this.session.user;
  }

  /** What a proxy said of the client by XCLIENT, and by XFORWARD of the next mail's. */
  get client(): ClientAttributes {
    return this.session.client;
  }

  get forwarded(): ClientAttributes {
    return this.session.forwarded;
  }

  // For the handler

  greet(refusal?: Reply): void {
    if (this.session.waitsFor === 'tls') this.#heldGreeting = () => this.session.greet(refusal);
    else this.#turn(() => this.session.greet(refusal));
  }

  // An answer lets the session read on, and what is read may be the next mail's: its faults are not those of whoever answers.

  answer(ticket: Ticket, reply: Reply): void {
    // The answer to one mail may bring the next one's content in this very call, which nobody holds back yet.
    if (!this.session.isReceiving) this.#resume(BY_HANDLER);
    try {
      this.session.answer(ticket, reply);
    } catch (error) {
      this.#onHandlerFailed(error);
    }
    this.#afterWord();
  }

  answerEach(ticket: Ticket, each: readonly Reply[]): void {
    try {
      this.session.answerEach(ticket, each);
    } catch (error) {
      this.#onHandlerFailed(error);
    }
    this.#afterWord();
  }

  answerAuth(ticket: Ticket, answer: AuthAnswer): void {
    try {
      this.session.answerAuth(ticket, answer);
    } catch (error) {
      this.#onHandlerFailed(error);
    }
    this.#afterWord();
  }

  answerHello(ticket: Ticket): void {
    try {
      this.session.answerHello(ticket);
    } catch (error) {
      this.#onHandlerFailed(error);
    }
    this.#afterWord();
  }

  go(ticket: Ticket): void {
    try {
      this.session.go(ticket);
    } catch (error) {
      this.#onHandlerFailed(error);
    }
    this.#afterWord();
  }

  /** Holds content back until `resumeContent` or the end of the transaction. What was read already still comes. */
  pauseContent(): void {
    if (this.session.isReceiving) this.#pause(BY_HANDLER);
  }

  resumeContent(): void {
    this.#resume(BY_HANDLER);
  }

  /** Without a word. */
  destroy(): void {
    this.#socket.destroy();
  }

  // For the listener

  shutdown(): void {
    this.#turn(() => this.session.shutdown(replies.shuttingDown));
  }

  cut(farewell: Reply): void {
    this.#turn(() => this.session.cut(farewell));
  }

  /** Writes what was said, and looks whom the session waits for now. */
  flush(): void {
    this.#isFlushDue = false;
    if (this.#outbox !== '') {
      const text = this.#outbox;
      this.#outbox = '';
      // A peer that does not read our replies gets no more of them to make.
      if (!this.#socket.write(text, 'latin1')) this.#pause(BY_OUTPUT);
    }
    if ((this.#pauses & BY_HANDLER) !== 0 && !this.session.isReceiving) this.#resume(BY_HANDLER);
    this.#watch();
  }

  // For the session

  write(latin1: string): void {
    // One reply a call, and its first character is the digit that says how it went.
    const { replies: counts } = this.#owner;
    const digit = latin1.charCodeAt(0) - DIGIT_ZERO;
    counts[digit] = (counts[digit] ?? 0) + 1;
    this.#outbox += latin1;
  }

  startTls(): void {
    const { secureContext } = this.#owner;
    if (secureContext === undefined) {
      this.destroy();
      return;
    }
    const plain = this.#socket;
    plain.removeAllListeners();
    plain.on('error', ignore);
    // Octets that come from now on are TLS: they stay with the socket, which hands them to its TLS.
    plain.pause();
    // Nothing that held it back before lets it go on, and its TLS begins unheld.
    this.#pauses = 0;
    const text = this.#outbox;
    this.#outbox = '';
    plain.write(text, 'latin1', (error) => {
      if (error) plain.destroy();
      else this.#secure(plain, secureContext);
    });
    plain.once('close', () => this.#onClose());
  }

  close(isAwaited: boolean): void {
    const socket = this.#socket;
    const isAllRead = this.#pauses === 0;
    this.#pauses = 0;
    if (this.#outbox !== '') {
      socket.write(this.#outbox, 'latin1');
      this.#outbox = '';
    }
    // The kernel has it all, and the client said that it is done: what an orderly end would wait for has happened.
    if (isAwaited && isAllRead && this.#tls === undefined && socket.writableLength === 0) {
      socket.destroy();
      return;
    }
    socket.end();
    // Closing with octets unread would reset the connection, and our last words with it.
    socket.resume();
  }

  pauseInput(): void {
    this.#pause(BY_SESSION);
  }

  resumeInput(): void {
    this.#resume(BY_SESSION);
  }

  // Time

  onDeadline(): void {
    switch (this.#watched) {
      case 'command':
        this.cut(replies.timeout);
        break;
      case 'content':
        if (this.#floor?.isMet !== false) this.#startWindow();
        else this.cut(replies.tooSlow);
        break;
      case 'tls':
      case 'nothing':
        this.destroy();
        break;
      case 'greeting':
      case 'handler':
        break;
    }
  }

  /** Time runs anew when the session moved on, not when octets came. */
  #watch(): void {
    // Who is gone is waited for no more, though answers to it may still come.
    if (this.#socket.destroyed) return;
    const { waitsFor, steps } = this.session;
    if (waitsFor === this.#watched && steps === this.#watchedSteps) return;
    this.#watched = waitsFor;
    this.#watchedSteps = steps;
    const { deadlines, idleMs } = this.#owner;
    switch (waitsFor) {
      case 'command':
        deadlines.arm(this.#armed, idleMs);
        break;
      case 'content':
        this.#startWindow();
        break;
      case 'tls':
        deadlines.arm(this.#armed, this.#limits.tlsMs);
        break;
      case 'nothing':
        deadlines.arm(this.#armed, this.#limits.lingerMs);
        break;
      case 'greeting':
      case 'handler':
        deadlines.disarm(this.#armed);
        break;
    }
  }

  #startWindow(): void {
    this.#floor ??= new RateFloor(this.#limits.minOctetsPerSecond, this.#limits.rateWindowMs);
    this.#floor.start();
    if ((this.#pauses & ~BY_OUTPUT) !== 0) this.#floor.held();
    this.#owner.deadlines.arm(this.#armed, this.#limits.rateWindowMs);
  }

  // The socket

  /** RFC 8314, 3: TLS first, the greeting inside of it. Octets that came with a PROXY header are its beginning. */
  #startImplicitTls(from: Socket | ProxiedSocket): void {
    const { secureContext } = this.#owner;
    const socket = this.#socket;
    if (secureContext === undefined) throw new Error('implicit TLS without a certificate');
    if (from instanceof ProxiedSocket) {
      const early = from.handOver(() => undefined);
      socket.pause();
      if (early.length > 0) socket.unshift(early);
    }
    this.#secure(socket, secureContext);
    this.#watch();
  }

  /** A client that spoke before its greeting did so in the packet of the PROXY header, too. */
  #readOn(from: ProxiedSocket): void {
    const early = from.handOver((octets) => this.#onData(octets));
    if (early.length > 0) this.session.recv(early);
  }

  #listen(socket: Socket): void {
    socket.on('drain', () => this.#resume(BY_OUTPUT));
    socket.on('end', () => this.#turn(() => this.#onHalfClosed()));
    socket.on('error', ignore);
    socket.on('close', () => this.#onClose());
  }

  /** The chunk's memory is the next read's again. */
  #onData(chunk: Buffer): void {
    this.#floor?.came(chunk.length);
    if (this.#watched === 'nothing') {
      this.#lingered += chunk.length;
      if (this.#lingered > this.#limits.lingerOctets) this.destroy();
      return;
    }
    this.#isInTurn = true;
    try {
      this.session.recv(chunk);
    } catch (error) {
      this.#onHandlerFailed(error);
    }
    this.#isInTurn = false;
    // One read's replies may wait, not those of two: a client that sends on has no more of them made than one read asks for.
    if (this.#isFlushDue || this.#outbox === '') this.flush();
    else {
      this.#watch();
      this.#flushSoon();
    }
  }

  /** Replies made outside of a read are collected, too. */
  #afterWord(): void {
    if (!this.#isInTurn && !this.#isFlushDue) this.#flushSoon();
  }

  /** Behind the reads of this turn, together with the replies to other clients (decision 0066). */
  #flushSoon(): void {
    this.#isFlushDue = true;
    this.#owner.flushLater(this);
  }

  #turn(action: () => void): void {
    this.#guard(action);
    if (!this.#isInTurn) this.flush();
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#onHandlerFailed(error);
    }
  }

  #onHandlerFailed(error: unknown): void {
    this.#owner.log.error('smtp.handler-failed', { client: this.remoteAddress, error: stackOf(error) });
    // What was answered before holds: a client that does not hear that its mail was taken sends it again.
    this.flush();
    this.destroy();
  }

  #onHalfClosed(): void {
    if (!this.session.halfClosed()) this.close(false);
  }

  #onClose(): void {
    this.#owner.deadlines.release(this.#armed);
    this.#guard(() => this.session.ended());
    this.#owner.onClosed(this);
  }

  #pause(by: number): void {
    this.#pauses |= by;
    // Who takes no replies holds itself back.
    if (by !== BY_OUTPUT) this.#floor?.held();
    this.#socket.pause();
  }

  #resume(by: number): void {
    if ((this.#pauses & by) === 0) return;
    this.#pauses &= ~by;
    if (this.#pauses === 0) this.#socket.resume();
  }

  /** RFC 3207. Who fails the handshake is gone without a word: there is no language left to say it in. */
  #secure(plain: Socket, secureContext: SecureContext): void {
    if (plain.destroyed) return;
    plain.removeAllListeners('close');
    const secure = new TLSSocket(plain, { isServer: true, secureContext });
    this.#socket = secure;
    secure.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.#listen(secure);
    secure.once('secure', () => {
      this.#tls = { protocol: secure.getProtocol() ?? '', cipher: secure.getCipher().name };
      this.#turn(() => {
        this.session.secured();
        this.#heldGreeting?.();
      });
    });
  }
}

function ignore(): void {}
