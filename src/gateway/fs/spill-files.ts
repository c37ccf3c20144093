/**
 * Spill files on a real disk. A file is unlinked as soon as it is open: it has no name others could read it by, and a
 * crash leaves nothing behind. What is spilled was not yet accepted, so nothing here is ever synchronised.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { SpillFile, SpillSpace } from '../content/spill-port.ts';

export interface SpillOptions {
  /** Made with mode 0700 if it is not there. */
  readonly directory: string;
  /** Octets over all mails together; beyond it mail is answered 452 4.3.1. */
  readonly maxOctets: number;
}

export class SpillDirectory implements SpillSpace {
  readonly #options: SpillOptions;
  /** May change; what is there already stays. */
  maxOctets: number;
  #used = 0;

  constructor(options: SpillOptions) {
    this.#options = options;
    this.maxOctets = options.maxOctets;
    fs.mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  }

  get used(): number {
    return this.#used;
  }

  get isFull(): boolean {
    return this.#used + RESERVE_OCTETS > this.maxOctets;
  }

  open(): SpillFile {
    return new UnlinkedFile(this, path.join(this.#options.directory, `spill-${randomBytes(8).toString('hex')}`));
  }

  /** Counts octets against the quota; false where it is spent. */
  reserve(octets: number): boolean {
    if (this.#used + octets > this.maxOctets) return false;
    this.#used += octets;
    return true;
  }

  release(octets: number): void {
    this.#used -= octets;
  }
}

/** Less than this is no room for another mail: two reads of a socket. */
const RESERVE_OCTETS = 128 * 1024;

type Done = (error: Error | undefined) => void;

class UnlinkedFile implements SpillFile {
  readonly #space: SpillDirectory;
  readonly #path: string;
  readonly #queue: { octets: Buffer; at: number; done: Done }[] = [];
  #fd = -1;
  #opening = false;
  #writing = false;
  #size = 0;
  #reads = 0;
  #closed = false;
  #error: Error | undefined;

  constructor(space: SpillDirectory, file: string) {
    this.#space = space;
    this.#path = file;
  }

  append(octets: Buffer, done: Done): number {
    const at = this.#size;
    if (!this.#space.reserve(octets.length)) {
      this.#error ??= new Error('the spill quota is used up');
      queueMicrotask(() => done(this.#error));
      return at;
    }
    this.#size += octets.length;
    this.#queue.push({ octets, at, done });
    this.#writeNext();
    return at;
  }

  read(offset: number, size: number, done: (error: Error | undefined, octets: Buffer) => void): void {
    const octets = Buffer.allocUnsafe(size);
    if (this.#closed || this.#fd < 0) {
      queueMicrotask(() => done(new Error('the spill file is closed'), octets));
      return;
    }
    this.#reads++;
    fs.read(this.#fd, octets, 0, size, offset, (error, got) => {
      this.#reads--;
      const short =
        error === null && got !== size ? new Error('the spill file is shorter than what was written to it') : null;
      done(error ?? short ?? undefined, octets);
      this.#closeWhenIdle();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#space.release(this.#size);
    for (const { done } of this.#queue.splice(0)) queueMicrotask(() => done(new Error('the spill file is closed')));
    this.#closeWhenIdle();
  }

  #writeNext(): void {
    if (this.#writing || this.#opening || this.#closed) return;
    if (this.#fd < 0) {
      this.#open();
      return;
    }
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#writing = true;
    this.#writeAll(job.octets, job.at, (error) => {
      this.#writing = false;
      job.done(error);
      if (error !== undefined) this.#failQueue(error);
      this.#writeNext();
      this.#closeWhenIdle();
    });
  }

  /** A write may be short; go on until all is written. */
  #writeAll(octets: Buffer, at: number, done: Done): void {
    fs.write(this.#fd, octets, 0, octets.length, at, (error, written) => {
      if (error !== null) done(error);
      else if (written === octets.length) done(undefined);
      else if (written === 0) done(new Error('the disk takes no more'));
      else this.#writeAll(octets.subarray(written), at + written, done);
    });
  }

  #open(): void {
    this.#opening = true;
    fs.open(this.#path, 'wx+', 0o600, (error, fd) => {
      this.#opening = false;
      if (error !== null) {
        this.#failQueue(error);
        return;
      }
      this.#fd = fd;
      fs.unlink(this.#path, () => {
        this.#writeNext();
        this.#closeWhenIdle();
      });
    });
  }

  #failQueue(error: Error): void {
    this.#error = error;
    for (const { done } of this.#queue.splice(0)) done(error);
  }

  #closeWhenIdle(): void {
    if (!this.#closed || this.#fd < 0 || this.#writing || this.#opening || this.#reads > 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    fs.close(fd, () => {});
  }
}
