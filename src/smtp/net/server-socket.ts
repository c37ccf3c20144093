/**
 * A place that is listened on, apart from who serves it: so that ports can be taken before privileges are given up, a socket
 * can come from systemd, and a reload can open what is new before it touches what is there. Who connects before somebody
 * serves waits, unread.
 *
 * A client that closes its side may still listen: whoever serves it ends the other side (`SmtpConnection`).
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/** Where to listen: an address, or a socket that listens already (systemd's file descriptor). */
export type BindTo = { readonly host: string; readonly port: number } | { readonly fd: number };

/** Connections the kernel may hold while we are busy: a burst from many peers, not a queue. */
const BACKLOG = 1024;
/** Connections that may wait for somebody to serve them: a start takes a second or two. */
const MAX_WAITING = 1024;

export class ServerSocket {
  readonly #server: Server;
  #waiting: Socket[] = [];
  #onSocket: ((socket: Socket) => void) | undefined;
  #onError: ((error: Error) => void) | undefined;

  private constructor() {
    this.#server = createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
      if (this.#onSocket !== undefined) this.#onSocket(socket);
      else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(socket.on('error', ignore));
      else socket.destroy();
    });
  }

  /** Resolves when it listens; rejects with the system's error where it cannot. */
  static bind(to: BindTo): Promise<ServerSocket> {
    const bound = new ServerSocket();
    const server = bound.#server;
    const { promise, resolve, reject } = Promise.withResolvers<ServerSocket>();
    server.once('error', reject);
    server.listen({ ...to, backlog: BACKLOG }, () => {
      server.off('error', reject);
      // Of one accept that failed, such as for want of descriptors: the next may do.
      server.on('error', (error) => bound.#onError?.(error));
      resolve(bound);
    });
    return promise;
  }

  /** Once closed, what it was is no longer known. */
  get place(): { readonly address: string; readonly port: number } | undefined {
    return (this.#server.address() as AddressInfo | null) ?? undefined;
  }

  /** From now on; who waits comes at once. */
  serve(onSocket: (socket: Socket) => void, onError: (error: Error) => void): void {
    this.#onSocket = onSocket;
    this.#onError = onError;
    for (const socket of this.#waiting.splice(0)) {
      socket.off('error', ignore);
      if (!socket.destroyed) onSocket(socket);
    }
  }

  /** No new connections. Resolves when the last one served is gone. */
  close(): Promise<void> {
    for (const socket of this.#waiting.splice(0)) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

function ignore(): void {}
