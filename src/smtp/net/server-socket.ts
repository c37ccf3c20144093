/**
 * A place that is listened on, apart from who serves it: so that ports can be taken before privileges are given up, a socket
 * can come from systemd, and a reload can open what is new before it touches what is there. Who connects before somebody
 * serves waits, unread.
 *
 * A client that closes its side may still listen: whoever serves it ends the other side (`SmtpConnection`).
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { listenAt, type SocketAccess, setAccess, type UnixPlace } from './unix-place.ts';

/** Where to listen: an address, a Unix socket, or a socket that listens already (systemd's file descriptor; `path` where it is a Unix socket). */
export type BindTo =
  | { readonly host: string; readonly port: number }
  | UnixPlace
  | { readonly fd: number; readonly path?: string | undefined };

/** Where it listens. */
export type ServerPlace = { readonly address: string; readonly port: number } | { readonly path: string };

/** Connections the kernel may hold while we are busy: a burst from many peers, not a queue. */
const BACKLOG = 1024;
/** Connections that may wait for somebody to serve them: a start takes a second or two. */
const MAX_WAITING = 1024;

export class ServerSocket {
  readonly #server: Server;
  readonly #path: string | undefined;
  /** Whether owner, group and mode of the file are ours to set: those of a socket that was passed are its maker's. */
  readonly #isFileOurs: boolean;
  #waiting: Socket[] = [];
  #onSocket: ((socket: Socket) => void) | undefined;
  #onError: ((error: Error) => void) | undefined;

  private constructor(to: BindTo) {
    this.#path = 'path' in to ? to.path : undefined;
    this.#isFileOurs = !('fd' in to);
    this.#server = createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
      if (this.#onSocket !== undefined) this.#onSocket(socket);
      else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(socket.on('error', ignore));
      else socket.destroy();
    });
  }

  /** Resolves when it listens; rejects with the system's error, or SocketPathError, where it cannot. */
  static async bind(to: BindTo): Promise<ServerSocket> {
    const bound = new ServerSocket(to);
    const server = bound.#server;
    if ('mode' in to) await listenAt(server, to, BACKLOG);
    else await listening(server, 'fd' in to ? { fd: to.fd } : to);
    // Of one accept that failed, such as for want of descriptors: the next may do.
    server.on('error', (error) => bound.#onError?.(error));
    return bound;
  }

  /** Once closed, what it was is no longer known. */
  get place(): ServerPlace | undefined {
    if (!this.#server.listening) return undefined;
    if (this.#path !== undefined) return { path: this.#path };
    return (this.#server.address() as AddressInfo | null) ?? undefined;
  }

  /**
   * Another mode, owner or group for a Unix socket, for who connects from now on. Returns what takes it back. Throws
   * SocketPathError with nothing changed.
   */
  setAccess(access: SocketAccess): () => void {
    if (this.#path === undefined || !this.#isFileOurs) return ignore;
    return setAccess({ ...access, path: this.#path });
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

  /** No new connections; a Unix socket's file is removed (one that was passed is not). Resolves when the last one served is gone. */
  close(): Promise<void> {
    for (const socket of this.#waiting.splice(0)) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

function listening(
  server: Server,
  to: { readonly host: string; readonly port: number } | { readonly fd: number },
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ ...to, backlog: BACKLOG }, () => {
    server.off('error', reject);
    resolve();
  });
  return promise;
}

function ignore(): void {}
