/** Stands before a PostgreSQL server on a Unix socket; when told, it loses the answer to the next commit, and the connection. */
import net from 'node:net';
import { join } from 'node:path';
import { atEnd } from './cleanup.ts';
import { scratchFolder } from './scratch.ts';

const NAME = '.s.PGSQL.5432';

export class LosingProxy {
  /** Where clients connect, as `host=` of the URL. */
  readonly folder = scratchFolder('pgproxy');
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #lost: (() => void) | undefined;
  #isClosed = false;

  private constructor(target: string) {
    this.#server = net.createServer((client) => {
      const server = net.connect(join(target, NAME));
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => this.#sockets.delete(socket));
      }
      if (this.#isClosed) {
        client.destroy();
        server.destroy();
        return;
      }
      let isLosing = false;
      client.on('data', (octets) => {
        // Bind of the prepared statement `commit`, or its Parse.
        if (this.#lost !== undefined && octets.includes('\0commit\0')) isLosing = true;
        server.write(octets);
      });
      server.on('data', (octets) => {
        if (!isLosing) {
          client.write(octets);
          return;
        }
        // The server has answered: it is done. Nobody hears of it.
        if (!octets.includes('COMMIT')) return;
        client.destroy();
        server.destroy();
        this.#lost?.();
        this.#lost = undefined;
      });
      client.on('close', () => server.destroy());
      server.on('close', () => client.destroy());
    });
  }

  static async start(target: string): Promise<LosingProxy> {
    const proxy = new LosingProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(join(proxy.folder, NAME), resolve));
    atEnd(async () => {
      proxy.cut();
      proxy.#server.close();
    });
    return proxy;
  }

  /** Resolves when the next commit was done and its answer lost. */
  loseNextCommit(): Promise<void> {
    return new Promise((resolve) => {
      this.#lost = resolve;
    });
  }

  /** Nobody gets through any more. */
  cut(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isClosed = false;
  }
}
