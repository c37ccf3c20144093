/**
 * Accepts SMTP connections: caps on their number, in all and for each peer, one timer for all their deadlines, and a
 * close that lets mails under way end. What is said on a connection is `connection.ts`.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { Deadlines, type Log } from '../../base/index.ts';
import { connectionLimits, serverLimits } from '../limits.ts';
import { replies } from '../replies.ts';
import { writeReply } from '../reply.ts';
import type { ServerHandler } from '../server/handler.ts';
import { makeServerOptions, type ServerOptions } from '../server/options.ts';
import { type ConnectionOwner, SmtpConnection } from './connection.ts';
import { PeerCounts, peerOf, plainAddress } from './peer-counts.ts';

export interface SmtpListenerOptions {
  readonly hostname: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly log: Log;
  /** PEM; where it is given, STARTTLS is announced. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  readonly maxSizeOctets: number;
  readonly maxRecipients: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerPeer: number;
  /** The longest wait for a command. RFC 5321, 4.5.3.2.7 asks for five minutes. */
  readonly idleMs: number;
  /** Nothing but EHLO, NOOP, STARTTLS and QUIT before TLS. */
  readonly requireTls?: boolean;
  /** What else the session shall announce or not. */
  readonly extensions?: Partial<Pick<ServerOptions, 'eightBitMime' | 'smtpUtf8' | 'chunking' | 'dsn'>>;
  /** The handler calls `connection.greet()` when it knows enough of the peer; else the greeting is sent at once. */
  readonly isGreetingHeld?: boolean;
  /** Ticked by the caller; else the listener has its own timer. */
  readonly deadlines?: Deadlines;
}

/** Connections the kernel may hold while we are busy: a burst from many peers, not a queue. */
const BACKLOG = 1024;

export class SmtpListener {
  readonly #settings: SmtpListenerOptions;
  readonly #makeHandler: (connection: SmtpConnection) => ServerHandler;
  readonly #server: Server;
  readonly #owner: ConnectionOwner;
  readonly #connections = new Set<SmtpConnection>();
  readonly #peers: PeerCounts;
  readonly #timer: NodeJS.Timeout | undefined;
  #toFlush: SmtpConnection[] = [];
  #onAllClosed: (() => void) | undefined;

  private constructor(settings: SmtpListenerOptions, makeHandler: (connection: SmtpConnection) => ServerHandler) {
    this.#settings = settings;
    this.#makeHandler = makeHandler;
    this.#peers = new PeerCounts(settings.maxConnectionsPerPeer);
    const deadlines = settings.deadlines ?? new Deadlines(performance.now());
    if (settings.deadlines === undefined) {
      this.#timer = setInterval(() => deadlines.tick(performance.now()), connectionLimits.tickMs);
      this.#timer.unref();
    }
    this.#owner = {
      options: sessionOptions(settings),
      // RFC 8996: nothing older than TLS 1.2. Certificates of clients are not asked for: few have one, none is judged.
      secureContext: settings.tls && createSecureContext({ ...settings.tls, minVersion: 'TLSv1.2' }),
      idleMs: settings.idleMs,
      deadlines,
      log: settings.log,
      flushLater: (connection) => this.#flushLater(connection),
      onClosed: (connection) => this.#onClosed(connection),
    };
    this.#server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => this.#onSocket(socket));
  }

  /** Resolves when it listens; rejects with the system's error where it cannot. */
  static listen(
    options: SmtpListenerOptions,
    makeHandler: (connection: SmtpConnection) => ServerHandler,
  ): Promise<SmtpListener> {
    const listener = new SmtpListener(options, makeHandler);
    const { promise, resolve, reject } = Promise.withResolvers<SmtpListener>();
    const server = listener.#server;
    server.once('error', (error) => {
      clearInterval(listener.#timer);
      reject(error);
    });
    server.listen({ host: options.host, port: options.port, backlog: BACKLOG }, () => {
      server.removeAllListeners('error');
      // Of one accept that failed, such as for want of descriptors: the next may do.
      server.on('error', (error) => options.log.error('smtp.accept-failed', { error: error.message }));
      resolve(listener);
    });
    return promise;
  }

  get address(): string {
    return (this.#server.address() as AddressInfo | null)?.address ?? this.#settings.host;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? this.#settings.port;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /**
   * No new connections. Idle sessions get 421 at once, busy ones when their mail is done, or after `drainMs` whatever
   * they do. Resolves when all are gone, a moment after that at the latest.
   */
  async close(drainMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const connection of this.#connections) connection.shutdown();
    if (!(await this.#allGone(drainMs))) {
      for (const connection of this.#connections) connection.cut(replies.shuttingDown);
      // The last words are with the kernel by then, or with a peer that does not take them.
      await this.#allGone(LAST_WORDS_MS);
      for (const connection of this.#connections) connection.destroy();
    }
    await promise;
    clearInterval(this.#timer);
  }

  #flushLater(connection: SmtpConnection): void {
    if (this.#toFlush.push(connection) === 1) setImmediate(this.#flushAll);
  }

  #onClosed(connection: SmtpConnection): void {
    if (!this.#connections.delete(connection)) return;
    this.#peers.remove(peerOf(connection.remoteAddress));
    if (this.#connections.size === 0) this.#onAllClosed?.();
  }

  readonly #flushAll = (): void => {
    const all = this.#toFlush;
    this.#toFlush = [];
    for (const connection of all) connection.flush();
  };

  #onSocket(socket: Socket): void {
    const peer = peerOf(plainAddress(socket.remoteAddress ?? ''));
    if (this.#connections.size >= this.#settings.maxConnections || !this.#peers.add(peer)) {
      this.#settings.log.debug('smtp.too-many-connections', { client: peer });
      refuse(socket);
      return;
    }
    try {
      const connection = new SmtpConnection(socket, this.#owner, this.#makeHandler);
      this.#connections.add(connection);
      if (this.#settings.isGreetingHeld !== true) connection.greet();
    } catch (error) {
      this.#peers.remove(peer);
      this.#settings.log.error('smtp.handler-failed', { client: peer, error: String(error) });
      socket.destroy();
    }
  }

  /** Whether all connections were gone within the time. */
  async #allGone(withinMs: number): Promise<boolean> {
    if (this.#connections.size === 0) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), withinMs);
    this.#onAllClosed = () => resolve(true);
    const isGone = await promise;
    clearTimeout(timer);
    this.#onAllClosed = undefined;
    return isGone;
  }
}

/** Time for a FIN to come back over any line in use. */
const LAST_WORDS_MS = 500;

/** RFC 5321, 3.8. It fits the empty send buffer: there is nothing to wait for behind it. */
function refuse(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.end(writeReply(replies.tooManyConnections), 'latin1', () => socket.destroy());
}

function sessionOptions(settings: SmtpListenerOptions): ServerOptions {
  const { tls, requireTls = false } = settings;
  return makeServerOptions({
    ...settings.extensions,
    hostname: settings.hostname,
    maxSize: settings.maxSizeOctets,
    tls: tls === undefined ? 'none' : requireTls ? 'required' : 'offered',
    limits: { ...serverLimits, recipients: settings.maxRecipients },
  });
}
