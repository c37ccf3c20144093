/**
 * Accepts SMTP connections: caps on their number, in all and for each peer, one timer for all their deadlines, and a
 * close that lets mails under way end. What is said on a connection is `connection.ts`.
 */
import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { Deadlines, type Log, Roster } from '../../base/index.ts';
import { plainAddress } from '../ip-address.ts';
import { connectionLimits, OPES_LINE, serverLimits } from '../limits.ts';
import { replies } from '../replies.ts';
import { writeReply } from '../reply.ts';
import type { ServerHandler } from '../server/handler.ts';
import { makeServerOptions, type ServerOptions } from '../server/options.ts';
import { type ConnectionOwner, SmtpConnection } from './connection.ts';
import { type IsIn, makeNetworks } from './networks.ts';
import { PeerCounts, peerOf, UNIX_PEER } from './peer-counts.ts';
import { ProxiedSocket } from './proxied-socket.ts';
import { type ServerPlace, ServerSocket } from './server-socket.ts';
import type { SocketAccess } from './unix-place.ts';

export interface SmtpListenerOptions {
  readonly hostname: string;
  readonly log: Log;
  /** LMTP is SMTP with few differences (RFC 2033). */
  readonly protocol?: ServerOptions['protocol'];
  /** PEM; where it is given, STARTTLS is announced, or TLS comes before the greeting. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer; readonly implicit?: boolean } | undefined;
  readonly maxSizeOctets: number;
  readonly maxRecipients: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerPeer: number;
  /** The longest wait for a command. RFC 5321, 4.5.3.2.7 asks for five minutes. */
  readonly idleMs: number;
  /** Nothing but EHLO, NOOP, STARTTLS and QUIT before TLS. */
  readonly requireTls?: boolean;
  /** Whether AUTH is served, and `always` in the clear, too; the handler has `onAuth` then. */
  readonly auth?: ServerOptions['auth'];
  /** Where it is given, each connection begins with a PROXY header, and comes from these networks. */
  readonly proxyFrom?: readonly string[] | undefined;
  /** Networks whose XCLIENT, and whose XFORWARD, is believed. */
  readonly xclientFrom?: readonly string[];
  readonly xforwardFrom?: readonly string[];
  /** What else the session shall announce or not. */
  readonly extensions?: Partial<
    Pick<ServerOptions, 'eightBitMime' | 'smtpUtf8' | 'chunking' | 'dsn' | 'prdr' | 'opes'>
  >;
  /** The handler calls `connection.greet()` when it knows enough of the peer; else the greeting is sent at once. */
  readonly isGreetingHeld?: boolean;
  /** Ticked by the caller; else the listener has its own timer. */
  readonly deadlines?: Deadlines;
}

type MakeHandler = (connection: SmtpConnection) => ServerHandler;

export class SmtpListener {
  /** Replies written, by their first digit. */
  readonly replies: readonly number[];
  readonly #counted: number[] = [0, 0, 0, 0, 0, 0];
  /** Where it listens, or listened. */
  readonly place: ServerPlace;
  readonly #server: ServerSocket;
  readonly #deadlines: Deadlines;
  #settings: SmtpListenerOptions;
  #makeHandler: MakeHandler;
  #owner: ConnectionOwner;
  readonly #connections = new Roster<SmtpConnection>();
  readonly #peers: PeerCounts;
  readonly #timer: NodeJS.Timeout | undefined;
  /** Proxies allowed, where connections begin with their header, and those whose header is not here yet. */
  #isProxy: IsIn | undefined;
  readonly #proxied = new Set<ProxiedSocket>();
  #toFlush: SmtpConnection[] = [];
  #onAllClosed: (() => void) | undefined;
  #refused = 0;

  private constructor(settings: SmtpListenerOptions, server: ServerSocket, makeHandler: MakeHandler) {
    this.replies = this.#counted;
    this.#settings = settings;
    this.#server = server;
    this.place = server.place ?? { address: '', port: 0 };
    this.#makeHandler = makeHandler;
    this.#peers = new PeerCounts(settings.maxConnectionsPerPeer);
    const deadlines = settings.deadlines ?? new Deadlines(performance.now());
    this.#deadlines = deadlines;
    if (settings.deadlines === undefined) {
      this.#timer = setInterval(() => deadlines.tick(performance.now()), connectionLimits.tickMs);
      this.#timer.unref();
    }
    this.#owner = this.#makeOwner(settings);
    this.#isProxy = settings.proxyFrom && makeNetworks(settings.proxyFrom);
    server.serve(
      (socket) => this.#onSocket(socket),
      (error) => settings.log.error('smtp.accept-failed', { error: error.message }),
    );
  }

  /** Resolves when it listens at `host` and `port` (0: any free one); rejects with the system's error where it cannot. */
  static async listen(
    options: SmtpListenerOptions & { readonly host: string; readonly port: number },
    makeHandler: MakeHandler,
  ): Promise<SmtpListener> {
    return SmtpListener.on(await ServerSocket.bind({ host: options.host, port: options.port }), options, makeHandler);
  }

  /** Serves a socket that listens already. */
  static on(socket: ServerSocket, options: SmtpListenerOptions, makeHandler: MakeHandler): SmtpListener {
    return new SmtpListener(options, socket, makeHandler);
  }

  /** 0 on a Unix socket. */
  get port(): number {
    return 'port' in this.place ? this.place.port : 0;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Connections refused because there were too many. */
  get refused(): number {
    return this.#refused;
  }

  /** Another mode, owner or group for its Unix socket: see `ServerSocket.setAccess`. */
  setAccess(access: SocketAccess): () => void {
    return this.#server.setAccess(access);
  }

  /**
   * Other options for connections from now on: all but where it listens and whose time it is. Whatever can fail fails here;
   * they hold once the returned function is called.
   */
  prepare(settings: SmtpListenerOptions, makeHandler: MakeHandler): () => void {
    const owner = this.#makeOwner(settings);
    const isProxy = settings.proxyFrom && makeNetworks(settings.proxyFrom);
    return () => {
      this.#settings = settings;
      this.#makeHandler = makeHandler;
      this.#owner = owner;
      this.#isProxy = isProxy;
      this.#peers.max = settings.maxConnectionsPerPeer;
    };
  }

  /**
   * No new connections. Idle sessions get 421 at once, busy ones when their mail is done, or after `drainMs` whatever
   * they do. Resolves when all are gone, a moment after that at the latest.
   */
  async close(drainMs: number): Promise<void> {
    const closed = this.#server.close();
    for (const proxied of this.#proxied) proxied.destroy();
    this.#proxied.clear();
    for (const connection of this.#connections) connection.shutdown();
    if (!(await this.#allGone(drainMs))) {
      for (const connection of this.#connections) connection.cut(replies.shuttingDown);
      // The last words are with the kernel by then, or with a peer that does not take them.
      await this.#allGone(LAST_WORDS_MS);
      for (const connection of this.#connections) connection.destroy();
    }
    await closed;
    clearInterval(this.#timer);
  }

  #makeOwner(settings: SmtpListenerOptions): ConnectionOwner {
    const options = sessionOptions(settings);
    return {
      options,
      optionsOf: optionsOfPeers(options, settings),
      // RFC 8996: nothing older than TLS 1.2. Certificates of clients are not asked for: few have one, none is judged.
      secureContext: settings.tls && createSecureContext({ ...settings.tls, minVersion: 'TLSv1.2' }),
      idleMs: settings.idleMs,
      deadlines: this.#deadlines,
      log: settings.log,
      replies: this.#counted,
      flushLater: (connection) => this.#flushLater(connection),
      onClosed: (connection) => this.#onClosed(connection),
    };
  }

  #flushLater(connection: SmtpConnection): void {
    if (this.#toFlush.push(connection) === 1) setImmediate(this.#flushAll);
  }

  #onClosed(connection: SmtpConnection): void {
    if (connection.seat === undefined || !this.#connections.leave(connection.seat)) return;
    this.#peers.remove(peerOf(connection.remoteAddress));
    if (this.#connections.size === 0) this.#onAllClosed?.();
  }

  readonly #flushAll = (): void => {
    const all = this.#toFlush;
    this.#toFlush = [];
    for (const connection of all) connection.flush();
  };

  #onSocket(socket: Socket): void {
    // A TCP peer that is gone already has no address either: only the listener knows which it is.
    const peer = 'path' in this.place ? UNIX_PEER : plainAddress(socket.remoteAddress ?? '');
    if (this.#isProxy === undefined) this.#open(socket, peer);
    else this.#awaitHeader(socket, peer, this.#isProxy);
  }

  /** Connections without their header count towards all of them, and towards no peer: whose they are is not known yet. */
  #awaitHeader(socket: Socket, proxy: string, isProxy: IsIn): void {
    const { log, maxConnections } = this.#settings;
    if (!isProxy(proxy) || this.#connections.size + this.#proxied.size >= maxConnections) {
      log.warn('smtp.proxy-refused', { proxy, why: isProxy(proxy) ? 'too many connections' : 'not in proxyFrom' });
      socket.destroy();
      return;
    }
    const proxied = new ProxiedSocket(socket, this.#owner.deadlines, {
      onHeader: (from, { source }) => {
        this.#proxied.delete(from);
        this.#open(from, source === undefined ? proxy : plainAddress(source.address));
      },
      onFailed: (from, rule) => {
        this.#proxied.delete(from);
        log.warn('smtp.proxy-failed', { proxy, rule });
      },
    });
    this.#proxied.add(proxied);
  }

  #open(from: Socket | ProxiedSocket, address: string): void {
    const peer = peerOf(address);
    if (this.#connections.size >= this.#settings.maxConnections || !this.#peers.add(peer)) {
      this.#settings.log.debug('smtp.too-many-connections', { client: peer });
      this.#refused++;
      refuse(from instanceof ProxiedSocket ? from.socket : from, this.#owner.options);
      return;
    }
    try {
      const connection = new SmtpConnection(from, this.#owner, this.#makeHandler, address);
      connection.seat = this.#connections.enter(connection);
      if (this.#settings.isGreetingHeld !== true) connection.greet();
    } catch (error) {
      this.#peers.remove(peer);
      this.#settings.log.error('smtp.handler-failed', { client: peer, error: String(error) });
      from.destroy();
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

/** RFC 5321, 3.8. It fits the empty send buffer: there is nothing to wait for behind it. A client that waits for TLS could not read it. */
function refuse(socket: Socket, { tls }: ServerOptions): void {
  socket.on('error', () => undefined);
  if (tls === 'implicit') {
    socket.destroy();
    return;
  }
  socket.end(writeReply(replies.tooManyConnections), 'latin1', () => socket.destroy());
}

function sessionOptions(settings: SmtpListenerOptions): ServerOptions {
  const { tls, requireTls = false } = settings;
  return makeServerOptions({
    ...settings.extensions,
    protocol: settings.protocol ?? 'smtp',
    hostname: settings.hostname,
    maxSize: settings.maxSizeOctets,
    tls: tls === undefined ? 'none' : tls.implicit === true ? 'implicit' : requireTls ? 'required' : 'offered',
    auth: settings.auth ?? 'none',
    limits: {
      ...serverLimits,
      recipients: settings.maxRecipients,
      commandLine: serverLimits.commandLine + (settings.extensions?.opes === true ? OPES_LINE : 0),
    },
  });
}

/** Peers whose word about clients is believed get options of their own: four objects a listener at most, as all its sessions share them. */
function optionsOfPeers(
  options: ServerOptions,
  { xclientFrom = [], xforwardFrom = [] }: SmtpListenerOptions,
): ((address: string) => ServerOptions) | undefined {
  if (xclientFrom.length + xforwardFrom.length === 0) return undefined;
  const isXclient = makeNetworks(xclientFrom);
  const isXforward = makeNetworks(xforwardFrom);
  const kinds = [false, true].map((xclient) =>
    [false, true].map((xforward) => makeServerOptions({ ...options, xclient, xforward })),
  );
  return (address) => kinds[Number(isXclient(address))]?.[Number(isXforward(address))] ?? options;
}
