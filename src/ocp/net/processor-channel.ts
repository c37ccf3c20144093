import { connect, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ProcessorAgent } from '../processor/agent.ts';
import { isLoopback, isProtected } from './endpoint.ts';
import { readBuffer } from './read-buffer.ts';
import { SocketShell } from './socket-shell.ts';
import type { ChannelEvents, ChannelOptions, Endpoint } from './types.ts';

/**
 * A connection of the OPES processor to a callout server: one socket and a `ProcessorAgent`. Failure to connect is told
 * like any other end of it: `onEnd`, by the transport.
 */
export class ProcessorChannel {
  readonly agent: ProcessorAgent;
  /** Settled when the socket is gone. */
  readonly closed: Promise<void>;
  readonly #shell: SocketShell;

  /** Connects; `events.onReady` tells when transactions may start. */
  static open(endpoint: Endpoint, options: ChannelOptions, events: ChannelEvents): ProcessorChannel {
    return new ProcessorChannel(endpoint, options, events);
  }

  private constructor(endpoint: Endpoint, options: ChannelOptions, events: ChannelEvents) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.agent = new ProcessorAgent(options, {
      onSelected: (feature, details) => events.onSelected(feature, details),
      onReady: () => events.onReady(),
      onOutput: () => this.#shell.onOutput(),
      onEnd: (end) => {
        this.#shell.onEnd(end);
        events.onEnd(end);
      },
      onOffer: (features) => events.onOffer?.(features),
      onAbility: (supported, named) => events.onAbility?.(supported, named),
    });
    const socket = openSocket(endpoint, (chunk) => this.#shell.recv(chunk));
    this.#shell = new SocketShell(socket, this.agent, {
      flush: 'turn',
      timeouts: options.timeouts,
      deadlines: options.deadlines,
      log: options.log,
      onClosed: resolve,
    });
    const mayGoPlain = endpoint.kind !== 'tcp' || options.insecure === true;
    if (!mayGoPlain && !isProtected(endpoint)) {
      socket.destroy(new Error('plaintext-to-other-host'));
      return;
    }
    socket.once(endpoint.kind === 'tls' ? 'secureConnect' : 'connect', () => {
      // A name can lead anywhere; what counts is where it led.
      if (mayGoPlain || isLoopback(socket.remoteAddress ?? '')) this.#shell.open();
      else this.#shell.destroy('plaintext-to-other-host');
    });
  }

  /** CE, then the socket. Live transactions end; `agent.drain()` lets them finish instead. */
  close(): void {
    if (this.agent.isEnded) return;
    this.agent.close();
  }
}

function openSocket(endpoint: Endpoint, onChunk: (chunk: Buffer) => void): Socket {
  const onread: OnReadOpts = {
    buffer: readBuffer,
    callback(size) {
      onChunk(readBuffer.subarray(0, size));
      return true;
    },
  };
  switch (endpoint.kind) {
    case 'unix':
      return connect({ path: endpoint.path, allowHalfOpen: true, onread });
    case 'tcp':
      return connect({ host: endpoint.host, port: endpoint.port, allowHalfOpen: true, onread });
    case 'tls': {
      const { serverName, ...credentials } = endpoint.tls;
      const socket = connectTls({
        ...credentials,
        host: endpoint.host,
        port: endpoint.port,
        minVersion: 'TLSv1.3',
        rejectUnauthorized: true,
        ...(serverName === undefined ? {} : { servername: serverName }),
      });
      socket.on('data', onChunk);
      return socket;
    }
  }
}
