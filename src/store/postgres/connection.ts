/**
 * One connection to the server, made again when it is lost: at once, then after ever longer pauses. Who needs it waits a while
 * for it. Statements are pipelined: those given together leave together.
 *
 * Each has a place of its own at the server, by the name of its gateway, that only one connection can be in (decision 0054):
 * what a former life, or a former connection, still has at work there has ended before anything is asked by this one.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, DatabaseError, type QueryResult } from 'pg';
import type { Value } from '../engine.ts';
import { StoreError } from '../ports.ts';
import { isAway, isLost, toStoreError } from './errors.ts';

const CONNECT_MS = 5000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;
/** No statement of ours takes so long; one that does holds up all others. */
const ANSWER_MS = 60_000;
/** A commit waits so long for the server to come back, then its mail is refused for now. */
const PATIENCE_MS = 10_000;
/** The server looks as often whether somebody still waits for what it does (PostgreSQL 14). */
const CHECK_MS = 1000;
/** Seconds after which it gives up a machine that is gone without a word. */
const SILENT_S = { tcp_keepalives_idle: 20, tcp_keepalives_interval: 10, tcp_keepalives_count: 3 } as const;

const SYNCHRONOUS =
  "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') in ('off', 'local')";
/** Said behind the start, where a name in the URL would take the place of ours, and END_FORMER find nobody. */
const NAME = "select set_config('application_name', $1, false)";
/** What else this gateway's own life has open for the same place: it was lost, and the server has not noticed. */
const END_FORMER =
  'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid()';
/** Held until the connection ends. */
const TAKE_PLACE = 'select pg_try_advisory_lock(hashtextextended($1, 0)) as is_ours';

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
  readonly #place: string;
  /** As the server shows it. Short, as it cuts names at 63 octets. */
  readonly #name = `opes ${randomUUID()}`;
  #client: Client | undefined;
  #connecting: Promise<void> | undefined;
  #pauseMs = 0;
  #isClosed = false;

  /** `place`: which only one connection to the database can be in at a time. */
  constructor(url: string, place: string) {
    this.#url = url;
    this.#place = place;
    const { host, port, database } = new Client({ connectionString: url });
    this.where = `PostgreSQL ${host.startsWith('/') ? host : `${host}:${port}`}/${database ?? ''}`;
  }

  /** Connects if it must, and waits `patienceMs` for that. Rejects with `owned` where another has its place. */
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
        if (!isAway(failure) || performance.now() + this.#pauseMs > until) throw failure;
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
      await this.#begin(client);
    } catch (error) {
      client.end().catch(() => undefined);
      throw error;
    }
    this.#client = client;
  }

  async #begin(client: Client): Promise<void> {
    const whenGone = Object.entries({ client_connection_check_interval: CHECK_MS, ...SILENT_S }).map(([name, value]) =>
      // Not every server knows these, or can: it notices later then, and we wait for it.
      client.query(`set ${name} = ${value}`).catch(ifRefused),
    );
    const [, , , taken] = await Promise.all([
      client.query(NAME, [this.#name]),
      // Durable means synchronised, whatever the server's default is.
      client.query(SYNCHRONOUS),
      client.query(END_FORMER, [this.#name]),
      client.query<{ is_ours: boolean }>(TAKE_PLACE, [this.#place]),
      ...whenGone,
    ]);
    if (taken.rows[0]?.is_ours !== true) throw this.#taken();
  }

  #taken(): StoreError {
    const advice =
      'stop it, or give this one a hostname of its own; if it is gone, its connections end at the server within a minute';
    return new StoreError('owned', `another gateway works in ${this.where} as "${this.#place}": ${advice}`);
  }
}

function ifRefused(error: unknown): void {
  if (!(error instanceof DatabaseError)) throw error;
}
