/**
 * The admin socket of a running gateway. Whoever can reach it is its user: there is no other proof. A client that says
 * nonsense, too much, or nothing harms itself only.
 */
import { unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Log } from '../../base/index.ts';
import { Failure } from '../exit.ts';
import type { AdminHandler } from './handler.ts';
import { OctetReader, ReadProblem, writeAll } from './octet-reader.ts';
import { parseRequest } from './parse-request.ts';
import { makePlace, type SocketPlace } from './place.ts';
import { type ErrorAnswer, MAX_REQUEST_OCTETS, VERSION } from './protocol.ts';

/** An operator's shell and a script or two; more are a mistake. */
const MAX_CLIENTS = 32;
/** A command writes its request at once, and reads its answer as fast as its own output is read. */
const PATIENCE_MS = 30_000;
/** What is still read, and thrown away, behind an answer that ends the connection. */
const LINGER_MS = 2_000;
const LINGER_OCTETS = 64 * 1024 * 1024;

export interface AdminServerOptions {
  readonly dataDir: string;
  readonly handler: AdminHandler;
  readonly log: Log;
  readonly patienceMs?: number;
  readonly maxClients?: number;
}

export class AdminServer {
  readonly path: string;
  readonly #place: SocketPlace;
  readonly #server: Server;
  readonly #options: AdminServerOptions;
  readonly #patienceMs: number;
  readonly #maxClients: number;
  readonly #clients = new Map<Socket, Promise<void>>();
  #served = 0;

  private constructor(place: SocketPlace, options: AdminServerOptions) {
    this.path = place.path;
    this.#place = place;
    this.#options = options;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.#maxClients = options.maxClients ?? MAX_CLIENTS;
    // The client may end its side behind its last request, and still gets the answer.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  static async open(options: AdminServerOptions): Promise<AdminServer> {
    const server = new AdminServer(makePlace(options.dataDir), options);
    await server.#listen();
    return server;
  }

  /** Waits for what is being done to the queue; nobody is answered any more. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#clients.keys()) socket.destroy();
    await Promise.all(this.#clients.values());
    await closed;
    this.#place.remove();
  }

  async #listen(): Promise<void> {
    try {
      await listening(this.#server, this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      if (await answers(this.path)) throw new Failure(`another gateway answers at ${this.path}: stop it first`);
      unlinkSync(this.path); // left behind by a gateway that was killed
      await listening(this.#server, this.path);
    }
    this.#server.on('error', (error) => this.#options.log.error('admin.failed', { error: error.message }));
  }

  #accept(socket: Socket): void {
    // What goes wrong with a client is found where it is read or written.
    socket.on('error', () => undefined);
    const isOneTooMany = this.#served >= this.#maxClients;
    const served = (isOneTooMany ? this.#sendAway(socket) : this.#serve(socket))
      .catch((error: Error) => this.#options.log.debug('admin.client-lost', { error: error.message }))
      .finally(() => {
        socket.destroy();
        this.#clients.delete(socket);
      });
    this.#clients.set(socket, served);
  }

  async #sendAway(socket: Socket): Promise<void> {
    const message = 'too many commands talk to this gateway; try again';
    await this.#finish(new OctetReader(socket, this.#patienceMs), socket, { code: 'busy', message });
  }

  async #serve(socket: Socket): Promise<void> {
    const reader = new OctetReader(socket, this.#patienceMs);
    this.#served++;
    try {
      for (;;) {
        const line = await this.#request(reader, socket);
        if (line === undefined) return;
        const parsed = parseRequest(line);
        if ('error' in parsed) {
          await this.#finish(reader, socket, parsed.error);
          return;
        }
        for await (const octets of this.#options.handler.answer(parsed.request))
          await writeAll(socket, octets, this.#patienceMs);
      }
    } finally {
      this.#served--;
    }
  }

  async #request(reader: OctetReader, socket: Socket): Promise<string | undefined> {
    try {
      return await reader.line(MAX_REQUEST_OCTETS);
    } catch (error) {
      if (!(error instanceof ReadProblem) || error.code !== 'too-long') throw error;
      const message = `a request has at most ${MAX_REQUEST_OCTETS} octets`;
      await this.#finish(reader, socket, { code: 'too-long', message });
      return undefined;
    }
  }

  /**
   * After a request that cannot be read, what follows cannot be trusted to be one. It is read all the same for a while: who is cut off
   * while writing finds his write broken, and may never look at the answer. Where many come at once they are not waited for.
   */
  async #finish(reader: OctetReader, socket: Socket, error: ErrorAnswer): Promise<void> {
    await writeAll(socket, `${JSON.stringify({ v: VERSION, error })}\n`, this.#patienceMs);
    if (this.#clients.size > 2 * this.#maxClients) return;
    socket.end();
    await reader.discard(Math.min(LINGER_MS, this.#patienceMs), LINGER_OCTETS);
  }
}

/** The socket is made with mode 0600 from the start: there is no moment in which others could connect. */
function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const before = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const done = (isAlive: boolean) => () => {
      probe.destroy();
      resolve(isAlive);
    };
    probe.once('connect', done(true)).once('error', done(false));
  });
}
