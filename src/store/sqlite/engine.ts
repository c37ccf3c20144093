/** The event loop's side of SQLite: hands jobs to the writer thread and takes its answers, which come in order. */
import { Worker } from 'node:worker_threads';
import type { Batch, Done, Engine, Row, Statement } from '../engine.ts';
import { StoreError } from '../ports.ts';
import { sqliteDialect } from '../schema.ts';
import { type Answer, type Job, type Opening, toError } from './messages.ts';

/** As TypeScript in a clone, as JavaScript in an installed package. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/** Most batches have less: fifty mails of common size. */
const ROOM_OCTETS = 1024 * 1024;

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

export class SqliteEngine implements Engine {
  readonly dialect = sqliteDialect;
  readonly #worker: Worker;
  /** Shared with the thread: fresh memory for each batch costs more than the copy into it. */
  readonly #room = new SharedArrayBuffer(ROOM_OCTETS);
  readonly #waiting: Waiting[] = [];
  readonly #onLost: (error: StoreError) => void;
  #failure: StoreError | undefined;
  #isOpen = false;

  private constructor(opening: Omit<Opening, 'room'>, onLost: (error: StoreError) => void) {
    this.#onLost = onLost;
    this.#worker = new Worker(WORKER, { workerData: { ...opening, room: this.#room } satisfies Opening });
    this.#worker.on('message', (answer: Answer) => this.#waiting.shift()?.resolve(answer));
    this.#worker.on('error', (error) => this.#ended(`: ${String(error)}`));
    this.#worker.on('exit', () => this.#ended(''));
  }

  /** `onLost`: called where the thread ends without having been told to. */
  static async open(opening: Omit<Opening, 'room'>, onLost: (error: StoreError) => void): Promise<SqliteEngine> {
    const engine = new SqliteEngine(opening, onLost);
    try {
      await engine.#ask({ kind: 'open' });
      engine.#isOpen = true;
      return engine;
    } catch (error) {
      await engine.#worker.terminate();
      throw error;
    }
  }

  room(octets: number): Buffer {
    // What is not in the room is not from Node's pool either: it is given away with what lies under it.
    return octets <= ROOM_OCTETS ? Buffer.from(this.#room, 0, octets) : Buffer.allocUnsafeSlow(octets);
  }

  async commit({ units, octets }: Batch): Promise<Done> {
    const { buffer, length } = octets;
    const own = buffer instanceof ArrayBuffer ? buffer : undefined;
    const answer = await this.#ask({ kind: 'commit', units, octets: own, length }, own && [own]);
    if (answer.kind !== 'applied') throw new StoreError('failed', 'the store answered out of order');
    return { errors: new Map(answer.errors.map(([i, error]) => [i, toError(error)])), stored: answer.stored };
  }

  async run(statements: readonly Statement[]): Promise<readonly (readonly Row[])[]> {
    const answer = await this.#ask({ kind: 'run', statements });
    return answer.kind === 'rows' ? answer.rows : [];
  }

  async close(): Promise<void> {
    if (this.#failure !== undefined) return;
    this.#isOpen = false;
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

  /** What was under way may have been done or not. Nothing else ever will be: the next process finds the file as it is. */
  #ended(why: string): void {
    if (this.#failure !== undefined) return;
    const failure = this.#isOpen
      ? new StoreError(
          'unreachable',
          `the thread that has the store ended${why}; the next start of the gateway has it again`,
        )
      : new StoreError('closed', `the store is closed${why}`);
    this.#failure = failure;
    for (const { reject } of this.#waiting.splice(0)) reject(failure);
    if (this.#isOpen) this.#onLost(failure);
  }
}
