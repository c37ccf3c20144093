/**
 * One connection to a next hop: a socket around a `ClientSession`. It knows how to connect, to secure, to write, and which
 * deadline runs; what the connection is used for, its pool knows.
 */
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Armed, type Deadline, type Deadlines } from '../../base/index.ts';
import type { NextHopLimits } from '../client/limits.ts';
import type { Awaited } from '../client/mail-transaction.ts';
import type { OutboundFailure } from '../client/outbound.ts';
import { type ClientOut, ClientSession } from '../client/session.ts';
import type { NextHopOutbound } from './next-hop-outbound.ts';
import { NextHopWriter, type WriterEvents } from './next-hop-writer.ts';

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly helo: string;
  readonly tls: 'none' | 'may';
  readonly limits: NextHopLimits;
}

export interface ConnectionOwner {
  readonly deadlines: Deadlines;
  /** May serve a mail; again after each. */
  onReady(connection: NextHopConnection): void;
  /** Gone; the last call. */
  onOver(connection: NextHopConnection, failure: OutboundFailure): void;
}

/** Replies are short; an EHLO answer may need two reads. One buffer a connection, used again for each read. */
const READ_OCTETS = 4096;

export class NextHopConnection implements ClientOut, WriterEvents, Deadline {
  readonly session: ClientSession;
  readonly tls: 'none' | 'may';
  /** The mail on this connection. */
  outbound: NextHopOutbound | undefined;
  /** The mail it was opened for. */
  reserved: NextHopOutbound | undefined;
  /** Mails begun on it. */
  transactions = 0;
  /** It could serve a mail at least once. */
  wasReady = false;
  readonly #options: ConnectionOptions;
  readonly #owner: ConnectionOwner;
  readonly #armed = new Armed(this);
  #socket: Socket;
  #writer: NextHopWriter;
  #awaited: Awaited | 'connect' = 'connect';
  #isOver = false;

  constructor(options: ConnectionOptions, owner: ConnectionOwner) {
    this.#options = options;
    this.#owner = owner;
    this.tls = options.tls;
    this.session = new ClientSession({ helo: options.helo, tls: options.tls, reply: options.limits.reply }, this);
    const { host, port } = options;
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ_OCTETS),
      callback: (octets: number, buffer: Uint8Array): boolean => {
        this.#recv((buffer as Buffer).subarray(0, octets));
        return true;
      },
    };
    this.#socket = connect({ host, port, noDelay: true, onread });
    this.#writer = new NextHopWriter(this.#socket, options.limits.pendingOctets, this);
    this.#socket.on('connect', () => this.session.connected());
    this.#listen(this.#socket);
    owner.deadlines.arm(this.#armed, options.limits.connectMs);
  }

  /** Nobody uses it now: it leaves after a while. */
  idle(): void {
    this.#owner.deadlines.arm(this.#armed, this.#options.limits.idleMs);
  }

  /** False: `outbound.onRoom` follows. */
  hasRoom(): boolean {
    return this.#writer.hasRoom();
  }

  /** Our side ends it at once. */
  destroy(): void {
    if (this.#awaited === 'connect') this.#end({ stage: 'connect', reason: 'shutdown', sent: false });
    else this.session.ended('destroyed', 'shutdown');
  }

  // What the session asks for.

  write(commands: string): void {
    this.#writer.commands(commands);
  }

  content(parts: Uint8Array[], octets: number): void {
    this.#writer.content(parts, octets);
  }

  awaits(what: Awaited): void {
    this.#awaited = what;
    if (!this.#writer.isBusy) this.#armReply();
  }

  startTls(): void {
    const { host } = this.#options;
    const plain = this.#socket;
    // Any certificate will do: `may` protects against listening, and clear text would be the other choice (RFC 7435).
    const secure = connectTls({
      socket: plain,
      rejectUnauthorized: false,
      ...(isIP(host) === 0 && { servername: host }),
    });
    this.#socket = secure;
    this.#writer = new NextHopWriter(secure, this.#options.limits.pendingOctets, this);
    secure.on('secureConnect', () => this.session.secured());
    secure.on('data', (chunk: Buffer) => this.#recv(chunk));
    this.#listen(secure);
  }

  onReady(): void {
    this.#owner.onReady(this);
  }

  onOver(failure: OutboundFailure): void {
    this.#end(failure);
  }

  // What the writer tells.

  onWriting(octets: number): void {
    const { blockMs, minOctetsPerSecond } = this.#options.limits;
    this.#owner.deadlines.arm(this.#armed, Math.max(blockMs, (octets * 1000) / minOctetsPerSecond));
  }

  onWritten(): void {
    // Only now, when the hop has it all, its time to answer begins.
    this.#armReply();
  }

  onRoom(): void {
    this.outbound?.onRoom();
  }

  onDeadline(): void {
    if (this.#awaited === 'connect') this.#end({ stage: 'connect', reason: 'timeout', detail: 'connect', sent: false });
    else if (this.#writer.isBusy) this.session.timedOut('content');
    else if (this.#awaited === 'nothing') this.session.quit();
    else this.session.timedOut(this.#awaited);
  }

  #recv(chunk: Buffer): void {
    if (!this.#isOver) this.session.recv(chunk);
  }

  #listen(socket: Socket): void {
    socket.on('error', (error: NodeJS.ErrnoException) => this.#onGone(error.code ?? 'error'));
    socket.on('end', () => this.#onGone('end'));
    socket.on('close', () => this.#onGone('close'));
  }

  #onGone(detail: string): void {
    if (this.#isOver) return;
    if (this.#awaited === 'connect') this.#end({ stage: 'connect', reason: 'unreachable', detail, sent: false });
    else this.session.ended(detail);
  }

  #armReply(): void {
    const ms = this.#deadlineMs();
    if (ms === undefined) this.#owner.deadlines.disarm(this.#armed);
    else this.#owner.deadlines.arm(this.#armed, ms);
  }

  #deadlineMs(): number | undefined {
    const { limits } = this.#options;
    switch (this.#awaited) {
      case 'nothing':
        return undefined;
      case 'connect':
        return limits.connectMs;
      case 'greeting':
        return limits.greetingMs;
      case 'hello':
        return limits.helloMs;
      case 'tls':
        return limits.tlsMs;
      case 'envelope':
        return limits.envelopeMs;
      case 'data':
        return limits.dataMs;
      case 'final':
        return limits.finalMs;
      case 'quit':
        return limits.quitMs;
    }
  }

  #end(failure: OutboundFailure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.deadlines.release(this.#armed);
    this.#socket.destroy();
    this.#owner.onOver(this, failure);
  }
}
