/**
 * One connection to the server, made again when it is lost: at once, then after ever longer pauses. Who needs it waits a while
 * for it. Statements are pipelined: those given together leave together.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Client, type QueryResult } from 'pg';
import type { Value } from '../engine.ts';
import { isLost, toStoreError } from './errors.ts';

const CONNECT_MS = 5000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;
/** No statement of ours takes so long; one that does holds up all others. */
const ANSWER_MS = 60_000;
/** A commit waits so long for the server to come back, then its mail is refused for now. */
const PATIENCE_MS = 10_000;

export interface Query {
  /** Prepared under this name; none: not prepared. */
  readonly name?: string;
  readonly text: string;
  readonly values: readonly (Value | readonly Value[])[];
}

export class Connection {
  /** Server and database, for messages. */
  readonly where: string;
  readonly #url: string;
  readonly #role: string;
  #client: Client | undefined;
  #connecting: Promise<void> | undefined;
  #pauseMs = 0;
  #isClosed = false;

  /** `role`: what the server's list of connections shows. */
  constructor(url: string, role: string) {
    this.#url = url;
    this.#role = role;
    const { host, port, database } = new Client({ connectionString: url });
    this.where = `PostgreSQL ${host.startsWith('/') ? host : `${host}:${port}`}/${database ?? ''}`;
  }

  /** Connects if it must, and waits `patienceMs` for that. */
  async ready(patienceMs = PATIENCE_MS): Promise<void> {
    const until = performance.now() + patienceMs;
    for (;;) {
      if (this.#client !== undefined || this.#isClosed) return;
      try {
        // Whoever waits at the same time gets the same connection.
        this.#connecting ??= this.#connect().finally(() => {
          this.#connecting = undefined;
        });
        await this.#connecting;
        this.#pauseMs = 0;
        return;
      } catch (error) {
        const failure = toStoreError(error, this.where);
        this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, this.#pauseMs * 2));
        if (failure.code !== 'unreachable' || performance.now() + this.#pauseMs > until) throw failure;
      }
      await pause(this.#pauseMs);
    }
  }

  /**
   * All answers, or the first error behind all of them. A connection that was lost meanwhile is not used any more; one that
   * somebody else has made anew by then is.
   */
  async query(queries: readonly Query[]): Promise<readonly QueryResult[]> {
    const client = this.#client;
    if (client === undefined) throw new Error('not connected');
    const sent = queries.map(({ name, text, values }) =>
      client.query({ text, values: [...values], ...(name === undefined ? {} : { name }) }),
    );
    const settled = await Promise.allSettled(sent);
    const failed = settled.find((one) => one.status === 'rejected');
    if (failed !== undefined) {
      if (isLost(failed.reason) && this.#client === client) this.drop();
      throw failed.reason;
    }
    return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  }

  /** Not to be used any more: what it would answer is not known. */
  drop(): void {
    const client = this.#client;
    this.#client = undefined;
    // It may have failed before, and does not mind.
    client?.end().catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  async #connect(): Promise<void> {
    const client = new Client({
      connectionString: this.#url,
      application_name: this.#role,
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: ANSWER_MS,
      keepAlive: true,
      pipeline: true,
    });
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined;
    });
    try {
      await client.connect();
      // Durable means synchronised, whatever the server's default is.
      await client.query(
        "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') in ('off', 'local')",
      );
    } catch (error) {
      client.end().catch(() => undefined);
      throw error;
    }
    this.#client = client;
  }
}
