import { chmod, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { readShared } from '../../base/net/index.ts';
import { CalloutAgent } from '../callout/agent.ts';
import type { CalloutEvents } from '../callout/types.ts';
import { failure } from '../flow/result.ts';
import { UNSUPPORTED } from '../negotiation/negotiator.ts';
import { isProtected, writeEndpoint } from './endpoint.ts';
import { readBuffer } from './read-buffer.ts';
import { SocketShell } from './socket-shell.ts';
import type { CalloutChannel, CalloutListener, Endpoint, ListenOptions } from './types.ts';

/** A processor needs one connection for each of its workers; this allows for many of both. */
const MAX_CONNECTIONS = 1024;

/**
 * Accepts OPES processors at `endpoint`; `makeEvents` gives the handler of each connection. Rejects where it cannot
 * listen, and where it would offer plaintext to other hosts (D10).
 *
 *     const listener = await listenCallout({ kind: 'unix', path: '/run/opes/upper.sock' }, () => handler, {});
 */
export async function listenCallout(
  endpoint: Endpoint,
  makeEvents: (channel: CalloutChannel) => CalloutEvents,
  options: ListenOptions,
): Promise<CalloutListener> {
  if (options.insecure !== true) {
    if (!isProtected(endpoint)) throw new Error(`${writeEndpoint(endpoint)}: plaintext for other hosts needs insecure`);
    if (endpoint.kind === 'tls' && endpoint.tls.ca === undefined) {
      throw new Error(`${writeEndpoint(endpoint)}: without ca anybody's certificate would do`);
    }
  }
  const acceptor = new Acceptor(makeEvents, options);
  const server = makeServer(endpoint, (socket) => acceptor.accept(socket));
  await listen(server, endpoint);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    endpoint: endpoint.kind === 'unix' ? endpoint : { ...endpoint, port },
    get connections() {
      return acceptor.connections;
    },
    async close(drainMs) {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await acceptor.close(drainMs);
      await closed;
    },
  };
}

class Acceptor {
  readonly #makeEvents: (channel: CalloutChannel) => CalloutEvents;
  readonly #options: ListenOptions;
  readonly #agents = new Set<CalloutAgent>();
  #onEmpty: (() => void) | undefined;

  constructor(makeEvents: (channel: CalloutChannel) => CalloutEvents, options: ListenOptions) {
    this.#makeEvents = makeEvents;
    this.#options = options;
  }

  get connections(): number {
    return this.#agents.size;
  }

  accept(accepted: Socket): void {
    const options = this.#options;
    const isFull = this.#agents.size >= (options.maxConnections ?? MAX_CONNECTIONS);
    const remoteAddress = accepted.remoteAddress ?? '';
    let events: CalloutEvents | undefined;
    const agent: CalloutAgent = new CalloutAgent(options, {
      onOffer: (features) => events?.onOffer(features),
      onTransaction: (transaction, services) => events?.onTransaction(transaction, services) ?? failure('refused'),
      onOutput: () => shell.onOutput(),
      onEnd: (end) => {
        shell.onEnd(end);
        events?.onEnd(end);
      },
      onSelected: (feature) => events?.onSelected?.(feature),
      onAbilityQuery: (feature, named) => events?.onAbilityQuery?.(feature, named) ?? UNSUPPORTED,
    });
    const shell: SocketShell = new SocketShell(accepted, agent, {
      flush: 'read',
      timeouts: options.timeouts,
      deadlines: options.deadlines,
      log: options.log,
      onClosed: () => this.#remove(agent),
    });
    startReading(accepted, (chunk) => shell.recv(chunk));
    this.#agents.add(agent);
    if (!isFull) events = this.#makeEvents({ agent, remoteAddress });
    shell.open();
    // Nothing more can be refused politely: the peer learns why (RFC 4037, section 11.2).
    if (isFull || this.#onEmpty !== undefined) agent.close(failure('too-many-connections'));
  }

  async close(drainMs: number): Promise<void> {
    if (this.#agents.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onEmpty = resolve;
    for (const agent of this.#agents) agent.drain();
    const timer = setTimeout(() => {
      for (const agent of this.#agents) agent.close(failure('shutting-down'));
    }, drainMs);
    await promise;
    clearTimeout(timer);
  }

  #remove(agent: CalloutAgent): void {
    this.#agents.delete(agent);
    if (this.#agents.size === 0) this.#onEmpty?.();
  }
}

function makeServer(endpoint: Endpoint, accept: (socket: Socket) => void): Server {
  if (endpoint.kind !== 'tls') return createServer({ allowHalfOpen: true, pauseOnConnect: true }, accept);
  const { serverName: _, ...credentials } = endpoint.tls;
  const isMutual = credentials.ca !== undefined;
  return createTlsServer(
    { ...credentials, minVersion: 'TLSv1.3', requestCert: isMutual, rejectUnauthorized: isMutual },
    accept,
  );
}

/** Plain sockets read into the one buffer; what TLS decrypts comes in memory of its own. */
function startReading(accepted: Socket, onChunk: (chunk: Buffer) => void): void {
  if (accepted instanceof TLSSocket) accepted.on('data', onChunk);
  else readShared(accepted, readBuffer, onChunk);
}

async function listen(server: Server, endpoint: Endpoint): Promise<void> {
  if (endpoint.kind !== 'unix') {
    await listening(server, () => server.listen(endpoint.port, endpoint.host));
    return;
  }
  const { path } = endpoint;
  try {
    await listening(server, () => server.listen(path));
  } catch (error) {
    if (!isAddressInUse(error) || (await answers(path))) throw error;
    await unlink(path); // left behind by a process that was killed
    await listening(server, () => server.listen(path));
  }
  await chmod(path, 0o600); // ours alone (D5)
}

function listening(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    start();
  });
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

/** Whether a process listens behind the socket file. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
