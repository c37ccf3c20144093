/** Stands before a PostgreSQL server on a Unix socket; when told, it loses the answer to the next statement of a kind, and the connection. */
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
  #losing: { readonly asked: string; readonly answered: string; readonly lost: () => void } | undefined;
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
        if (this.#losing !== undefined && octets.includes(this.#losing.asked)) isLosing = true;
        server.write(octets);
      });
      server.on('data', (octets) => {
        if (!isLosing) {
          client.write(octets);
          return;
        }
        // The server has answered: it is done. Nobody hears of it.
        if (this.#losing === undefined || !octets.includes(this.#losing.answered)) return;
        client.destroy();
        server.destroy();
        this.#losing.lost();
        this.#losing = undefined;
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
    // Bind of the prepared statement `commit`, or its Parse.
    return this.#loseNext('\0commit\0', 'COMMIT');
  }

  /** Resolves when the next claim of due deliveries was done and its answer lost. */
  loseNextClaim(): Promise<void> {
    return this.#loseNext('with picks as', 'UPDATE ');
  }

  #loseNext(asked: string, answered: string): Promise<void> {
    return new Promise((lost) => {
      this.#losing = { asked, answered, lost };
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
