/**
 * The message as it comes, for one reader. What the reader does not take in time is bounded: beyond a mark its owner is
 * told to have the processor pause, and once read, to go on.
 */
/** Octets waiting for the reader from which on no more are wanted, and below which they are again. */
const HIGH_OCTETS = 256 * 1024;
const LOW_OCTETS = 64 * 1024;
/** What a processor may send although asked to pause: all that was on its way, and no more. */
const MAX_OCTETS = 16 * 1024 * 1024;

export interface StreamOwner {
  /** The reader has to wait, or has been given something. */
  onReaderWaits(): void;
  onReaderFed(): void;
  wantPause(): void;
  wantMore(): void;
}

interface Waiter {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: unknown): void;
}

export class MailStream {
  readonly #owner: StreamOwner;
  #queue: Buffer[] = [];
  #queued = 0;
  #skip = 0;
  #isPausing = false;
  #isTaken = false;
  #state: { at: 'open' } | { at: 'ended' } | { at: 'left' } | { at: 'failed'; error: unknown } = { at: 'open' };
  #waiter: Waiter | undefined;

  constructor(owner: StreamOwner) {
    this.#owner = owner;
  }

  /** Whether the reader is to have some of the next `octets`. */
  keeps(octets: number): boolean {
    return this.#state.at === 'open' && octets > this.#skip;
  }

  /** Takes octets that stay as they are, unless none are for the reader. False where far more came than can wait. */
  push(octets: Buffer): boolean {
    if (this.#state.at !== 'open') return true;
    let rest = octets;
    if (this.#skip > 0) {
      rest = octets.subarray(this.#skip);
      this.#skip = Math.max(0, this.#skip - octets.length);
    }
    if (rest.length === 0) return true;
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      this.#owner.onReaderFed();
      waiter.resolve({ done: false, value: rest });
      return true;
    }
    this.#queue.push(rest);
    this.#queued += rest.length;
    if (this.#queued >= HIGH_OCTETS && !this.#isPausing) {
      this.#isPausing = true;
      this.#owner.wantPause();
    }
    return this.#queued <= MAX_OCTETS;
  }

  end(): void {
    if (this.#state.at !== 'open') return;
    this.#state = { at: 'ended' };
    this.#settle((waiter) => waiter.resolve(DONE));
  }

  /** Nobody will read on: what waits and what comes is dropped. */
  leave(): void {
    if (this.#state.at === 'open' || this.#state.at === 'ended') this.#state = { at: 'left' };
    this.#drop();
    this.#settle((waiter) => waiter.resolve(DONE));
  }

  /** The mail is over; the reader gets `error` where it reads on. */
  fail(error: unknown): void {
    if (this.#state.at === 'left') return;
    this.#state = { at: 'failed', error };
    this.#drop();
    this.#settle((waiter) => waiter.reject(error));
  }

  /** The stream for its one reader, without its first `skip` octets. */
  read(skip: number): AsyncIterableIterator<Uint8Array, undefined> {
    if (this.#isTaken) throw new Error('the message can be read as a stream once only');
    this.#isTaken = true;
    this.#skip = skip;
    this.#dropSkipped();
    const iterator: AsyncIterableIterator<Uint8Array, undefined> = {
      next: () => this.#next(),
      return: () => {
        this.leave();
        return Promise.resolve(DONE);
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const octets = this.#queue.shift();
    if (octets !== undefined) {
      this.#queued -= octets.length;
      if (this.#queued < LOW_OCTETS) this.#goOn();
      this.#owner.onReaderFed();
      return Promise.resolve({ done: false, value: octets });
    }
    if (this.#state.at === 'failed') return Promise.reject(this.#state.error as Error);
    if (this.#state.at !== 'open') return Promise.resolve(DONE);
    if (this.#waiter !== undefined) return Promise.reject(new Error('the reader asks again before it was answered'));
    this.#owner.onReaderWaits();
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Uint8Array, undefined>>();
    this.#waiter = { resolve, reject };
    // A reader that does not look any more must not bring the process down when the mail ends.
    promise.catch(() => {});
    return promise;
  }

  #settle(how: (waiter: Waiter) => void): void {
    const waiter = this.#waiter;
    if (waiter === undefined) return;
    this.#waiter = undefined;
    this.#owner.onReaderFed();
    how(waiter);
  }

  #drop(): void {
    this.#queue = [];
    this.#queued = 0;
    this.#goOn();
  }

  #goOn(): void {
    if (!this.#isPausing) return;
    this.#isPausing = false;
    this.#owner.wantMore();
  }

  #dropSkipped(): void {
    while (this.#skip > 0) {
      const first = this.#queue[0];
      if (first === undefined) return;
      const dropped = Math.min(first.length, this.#skip);
      this.#skip -= dropped;
      this.#queued -= dropped;
      if (dropped === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(dropped);
    }
    if (this.#queued < LOW_OCTETS) this.#goOn();
  }
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };
