/**
 * A content that is too long to be held: chunks go to the store as they fill, and belong to nobody until a mail is committed
 * with them. One chunk is on its way while the next one fills; a writer that is faster than the disk waits.
 */
import type { Op } from './engine.ts';
import type { Packed } from './pack.ts';
import { type ContentWriter, StoreError } from './ports.ts';

/**
 * A row's octets. Long enough that what a row costs does not count, short enough that a range is read without much around
 * it, and that a mail beside it does not wait for it.
 */
export const CHUNK_OCTETS = 256 * 1024;

export class ChunkWriter implements ContentWriter {
  readonly #id: string;
  readonly #commit: (unit: Packed) => Promise<void>;
  #chunk = Buffer.allocUnsafeSlow(CHUNK_OCTETS);
  #filled = 0;
  #size = 0;
  /** What is on its way, and whether it got there. */
  #sent: Promise<void> = Promise.resolve();
  #isOpened = false;
  #isEnded = false;
  #failure: Error | undefined;

  constructor(id: string, commit: (unit: Packed) => Promise<void>) {
    this.#id = id;
    this.#commit = commit;
  }

  async append(octets: Uint8Array): Promise<void> {
    this.#mayGoOn();
    for (let at = 0; at < octets.length; ) {
      const taken = octets.subarray(at, at + CHUNK_OCTETS - this.#filled);
      this.#chunk.set(taken, this.#filled);
      this.#filled += taken.length;
      at += taken.length;
      if (this.#filled === CHUNK_OCTETS) await this.#flush();
    }
  }

  async end(): Promise<void> {
    this.#mayGoOn();
    this.#isEnded = true;
    if (!this.#isOpened) {
      const whole = this.#chunk.subarray(0, this.#filled);
      await this.#send([['content', this.#id, 0, this.#filled, 1]], whole);
      return;
    }
    if (this.#filled > 0) await this.#flush();
    await this.#sent;
    await this.#send([['seal', this.#id, this.#size]]);
  }

  async discard(): Promise<void> {
    this.#isEnded = true;
    // What was on its way has arrived or failed; `append` or `end` has said so.
    await this.#sent.catch(() => undefined);
    await this.#commit({ ops: [['discard', this.#id]], octets: [], length: 0, isPatient: false });
  }

  #mayGoOn(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isEnded) throw new StoreError('closed', `content ${this.#id} was ended or discarded before`);
  }

  /** Hands the chunk over and takes a new one; waits for the one before. */
  async #flush(): Promise<void> {
    const octets = this.#chunk.subarray(0, this.#filled);
    const at = this.#size;
    this.#size += octets.length;
    this.#chunk = Buffer.allocUnsafeSlow(CHUNK_OCTETS);
    this.#filled = 0;
    await this.#sent;
    const ops: Op[] = [['chunk', this.#id, at, 0, octets.length]];
    if (!this.#isOpened) ops.unshift(['open', this.#id]);
    this.#isOpened = true;
    this.#sent = this.#send(ops, octets);
    // Thrown at the next step.
    this.#sent.catch(() => undefined);
  }

  async #send(ops: readonly Op[], octets?: Uint8Array): Promise<void> {
    try {
      const some = octets === undefined ? [] : [octets];
      await this.#commit({ ops, octets: some, length: octets?.length ?? 0, isPatient: false });
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }
}
