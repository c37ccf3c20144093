/**
 * One connection to a next hop: a socket around a `ClientSession`. It knows how to connect, to secure, to write, and which
 * deadline runs; what the connection is used for, its pool knows.
 */
import { connect, type IpcNetConnectOpts, type Socket, type TcpNetConnectOpts } from 'node:net';
import { Armed, type Deadline, type Deadlines } from '../../base/index.ts';
import type { ClientIdentity, IdentityMode } from '../client/identity.ts';
import type { NextHopLimits } from '../client/limits.ts';
import type { Awaited } from '../client/mail-transaction.ts';
import type { TlsMode } from '../client/opening.ts';
import type { OutboundFailure } from '../client/outbound.ts';
import { proxyHeader } from '../client/proxy-header.ts';
import { type ClientOut, ClientSession } from '../client/session.ts';
import type { Reply } from '../reply.ts';
import type { Credentials } from '../sasl/client.ts';
import { type SaltedPassword, saslCrypto } from './next-hop-login.ts';
import type { NextHopOutbound } from './next-hop-outbound.ts';
import type { HopSecurity } from './next-hop-tls.ts';
import { NextHopWriter, type WriterEvents } from './next-hop-writer.ts';

/** Where a next hop listens, and what it speaks there. `smtps`: TLS from the first octet on (RFC 8314). */
export type HopAddress =
  | { readonly kind: 'smtp' | 'smtps' | 'lmtp'; readonly host: string; readonly port: number }
  | { readonly kind: 'lmtp-unix'; readonly path: string };

/** What the connections to one hop have in common. */
export interface ConnectionOptions {
  readonly address: HopAddress;
  readonly helo: string;
  readonly security: HopSecurity;
  readonly identity: IdentityMode;
  readonly auth: Credentials | undefined;
  readonly salted: SaltedPassword;
  readonly limits: NextHopLimits;
}

export interface ConnectionOwner {
  readonly deadlines: Deadlines;
  /** May serve a mail; again after each. */
  onReady(connection: NextHopConnection): void;
  /** An exception while the connection was served; it ends. */
  onFault(error: unknown): void;
  /** The hop refused XFORWARD. */
  onDeclined(reply: Reply): void;
  /** Gone; the last call. */
  onOver(connection: NextHopConnection, failure: OutboundFailure): void;
}

/** Replies are short; an EHLO answer may need two reads. One buffer a connection, used again for each read. */
const READ_OCTETS = 4096;

export class NextHopConnection implements ClientOut, WriterEvents, Deadline {
  readonly session: ClientSession;
  readonly tls: TlsMode;
  /** Whose connection it is, where it carries an identity; see `identityKey`. */
  key: string;
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

  /** `tls`: what the hop's policy says, or less where that failed. `client`, `key`: for PROXY, which stands at the start. */
  constructor(
    options: ConnectionOptions,
    owner: ConnectionOwner,
    tls: TlsMode,
    client: ClientIdentity | undefined,
    key: string,
  ) {
    this.#options = options;
    this.#owner = owner;
    this.tls = tls;
    this.key = key;
    const { address, helo, auth, limits } = options;
    const protocol = address.kind === 'lmtp' || address.kind === 'lmtp-unix' ? 'lmtp' : 'smtp';
    const login = auth && { credentials: auth, crypto: saslCrypto };
    this.session = new ClientSession({ helo, protocol, tls, auth: login, reply: limits.reply }, this);
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ_OCTETS),
      callback: (octets: number, buffer: Uint8Array): boolean => {
        this.#recv((buffer as Buffer).subarray(0, octets));
        return true;
      },
    };
    this.#socket = connect({ ...placeOf(address), onread });
    this.#writer = new NextHopWriter(this.#socket, limits.pendingOctets, this);
    this.#socket.on('connect', () =>
      this.#guard(() => {
        if (options.identity === 'proxy') this.#sendProxyHeader(client);
        this.session.connected();
      }),
    );
    this.#listen(this.#socket);
    owner.deadlines.arm(this.#armed, limits.connectMs);
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

  holdsContent(): boolean {
    return this.#writer.isHolding;
  }

  awaits(what: Awaited): void {
    this.#awaited = what;
    if (!this.#writer.isBusy) this.#armReply();
  }

  startTls(): void {
    const { security, limits } = this.#options;
    const secure = security.connect(this.#socket);
    this.#socket = secure;
    this.#writer = new NextHopWriter(secure, limits.pendingOctets, this);
    secure.on('secureConnect', () =>
      this.#guard(() => {
        const flaw = security.flawOf(secure);
        if (flaw !== undefined) {
          this.session.untrusted(flaw);
          return;
        }
        security.keepSessions(secure);
        this.session.secured();
      }),
    );
    secure.on('data', (chunk: Buffer) => this.#recv(chunk));
    this.#listen(secure);
  }

  derive(password: string, salt: Buffer, iterations: number): void {
    this.#options.salted.derive(password, salt, iterations, (salted) =>
      this.#guard(() => this.session.derived(salted)),
    );
  }

  isPrivate(): boolean {
    if (this.#options.address.kind === 'lmtp-unix') return true;
    return /^(?:127\.|::1$|::ffff:127\.)/.test(this.#socket.remoteAddress ?? '');
  }

  onDeclined(reply: Reply): void {
    this.#owner.onDeclined(reply);
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

  /** Straight to the socket: it is no part of the session, and goes in clear before TLS. */
  #sendProxyHeader(client: ClientIdentity | undefined): void {
    const { remoteAddress = '', remotePort } = this.#socket;
    this.#socket.write(proxyHeader(client, { address: remoteAddress, port: remotePort }));
  }

  #recv(chunk: Buffer): void {
    if (this.#isOver) return;
    try {
      this.session.recv(chunk);
    } catch (error) {
      this.onFault(error);
    }
  }

  #listen(socket: Socket): void {
    socket.on('error', (error: NodeJS.ErrnoException) => this.#guard(() => this.#onGone(error.code ?? 'error')));
    socket.on('end', () => this.#guard(() => this.#onGone('end')));
    socket.on('close', () => this.#guard(() => this.#onGone('close')));
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.onFault(error);
    }
  }

  /** What is left of its state is not to be trusted: it ends, and its mail is told so. */
  onFault(error: unknown): void {
    this.#owner.onFault(error);
    try {
      this.session.ended('internal fault');
    } catch (again) {
      this.#owner.onFault(again);
    }
    // Where even that failed, nothing is known of how far the mail got: it is not begun again.
    this.#end({ stage: 'envelope', reason: 'lost', detail: 'internal fault', sent: true });
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

function placeOf(address: HopAddress): TcpNetConnectOpts | IpcNetConnectOpts {
  if (address.kind === 'lmtp-unix') return { path: address.path };
  return { host: address.host, port: address.port, noDelay: true };
}
