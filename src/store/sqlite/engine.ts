/** The event loop's side of SQLite: hands jobs to the writer thread and takes its answers, which come in order. */
import { Worker } from 'node:worker_threads';
import type { Batch, Done, Engine, Row, Statement } from '../engine.ts';
import { StoreError } from '../ports.ts';
import { sqliteDialect } from '../schema.ts';
import { type Answer, type Job, type Opening, toError } from './messages.ts';

/** As TypeScript in a clone, as JavaScript in an installed package. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

export class SqliteEngine implements Engine {
  readonly dialect = sqliteDialect;
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #failure: Error | undefined;

  private constructor(opening: Opening) {
    this.#worker = new Worker(WORKER, { workerData: opening });
    this.#worker.on('message', (answer: Answer) => this.#waiting.shift()?.resolve(answer));
    this.#worker.on('error', (error) => this.#fail(`the store's thread failed: ${String(error)}`));
    this.#worker.on('exit', () => this.#fail('the store is closed'));
  }

  static async open(opening: Opening): Promise<SqliteEngine> {
    const engine = new SqliteEngine(opening);
    try {
      await engine.#ask({ kind: 'open' });
      return engine;
    } catch (error) {
      await engine.#worker.terminate();
      throw error;
    }
  }

  async commit({ units, octets }: Batch): Promise<Done> {
    const answer = await this.#ask({ kind: 'commit', units, octets: octets.buffer }, [octets.buffer]);
    if (answer.kind !== 'applied') throw new StoreError('failed', 'the store answered out of order');
    return { errors: new Map(answer.errors.map(([i, error]) => [i, toError(error)])), stored: answer.stored };
  }

  async run(statements: readonly Statement[]): Promise<readonly (readonly Row[])[]> {
    const answer = await this.#ask({ kind: 'run', statements });
    return answer.kind === 'rows' ? answer.rows : [];
  }

  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    await this.#ask({ kind: 'close' });
    await ended;
  }

  async #ask(job: Job, owned: readonly ArrayBuffer[] = []): Promise<Answer> {
    if (this.#failure !== undefined) throw this.#failure;
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(job, owned);
    });
    if (answer.kind === 'failed') throw toError(answer.error);
    return answer;
  }

  #fail(message: string): void {
    this.#failure ??= new StoreError(message === 'the store is closed' ? 'closed' : 'failed', message);
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}
