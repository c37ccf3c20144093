/**
 * Octets that are written once, in order, and read at any place until the mail is done: what the client sent (the
 * original), and what services insert. Chunks stay in memory, by reference, as long as the budget grants it; a chunk it
 * does not grant goes to a spill file and leaves memory once the file has it. So a mail is readable from its first
 * octet at any moment, and fifty large mails cost little more memory than one.
 *
 * Nothing here waits: a read is answered from memory at once where it can be, else by callback.
 */
import { EMPTY } from '../../base/index.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { SpillFile, SpillSpace } from './spill-port.ts';

interface Chunk {
  readonly offset: number;
  size: number;
  /** In memory, or `undefined` once the spill file has it. */
  octets: Buffer | undefined;
  /** Where the spill file has it, or -1. */
  fileOffset: number;
}

/** Something the octets of a piece come from. */
export interface Source {
  readonly size: number;
  /** Whether it is known that no dot stands behind an LF in it. */
  readonly isDotFree: boolean;
  /** The octets `[offset, offset + size)` as views, or `undefined` where some of them are not in memory. */
  view(offset: number, size: number): Buffer[] | undefined;
  /** The same octets, wherever they are. `done` is called exactly once, never from within `load`. */
  load(offset: number, size: number, done: (error: Error | undefined, octets: Buffer[]) => void): void;
}

/** The writer of a store is told to hold, and to go on. */
export interface StoreEvents {
  /** What waited to be written has been: the source may send again. */
  onCaughtUp(): void;
  /** The spill file cannot take more (disk full, quota): what was stored so far is unusable as a whole. */
  onFailed(error: Error): void;
  /** An exception out of what waited for the disk: out of the two above, or out of the `done` of a `load`. */
  onFault(error: unknown): void;
}

/** This many octets may wait for the disk before the source is asked to hold: a few reads of a socket. */
const MAX_WAITING = 256 * 1024;
/** What a chunk costs while it waits, however small it is. */
const CHUNK_COST = 256;
/** Small octets gathered in one chunk. */
const TAIL_OCTETS = 4096;

export class OctetStore implements Source {
  /** Set by whoever looked at all that was appended. */
  isDotFree = false;
  readonly #budget: MemoryBudget;
  readonly #space: SpillSpace;
  readonly #events: StoreEvents;
  readonly #chunks: Chunk[] = [];
  #size = 0;
  #granted = 0;
  #waiting = 0;
  #held = false;
  #file: SpillFile | undefined;
  #failed: Error | undefined;
  #disposed = false;
  /** Where small octets are gathered, and the chunk that is. */
  #tail: Buffer = EMPTY;
  #tailChunk: Chunk | undefined;

  constructor(budget: MemoryBudget, space: SpillSpace, events: StoreEvents) {
    this.#budget = budget;
    this.#space = space;
    this.#events = events;
  }

  get size(): number {
    return this.#size;
  }

  /** The source should hold until `onCaughtUp`. */
  get isBehind(): boolean {
    return this.#held;
  }

  /** Takes the octets by reference; they must not change afterwards. */
  append(octets: Buffer): void {
    if (octets.length === 0 || this.#failed !== undefined || this.#disposed) return;
    const chunk: Chunk = { offset: this.#size, size: octets.length, octets, fileOffset: -1 };
    this.#chunks.push(chunk);
    this.#size += octets.length;
    if (this.#file === undefined && this.#budget.take(octets.length, this.#granted)) {
      this.#granted += octets.length;
      return;
    }
    this.#spill(chunk, octets);
  }

  /**
   * Copies the octets, small ones together into one chunk: whoever writes octet by octet costs no more than another.
   */
  appendCopy(octets: Buffer): void {
    if (this.#file !== undefined) {
      this.append(Buffer.from(octets));
      return;
    }
    const last = this.#chunks.at(-1);
    const room = this.#tail.length - (last?.size ?? 0);
    if (last?.octets === undefined || last !== this.#tailChunk || room < octets.length) {
      this.#tail = Buffer.allocUnsafe(Math.max(TAIL_OCTETS, octets.length));
      octets.copy(this.#tail);
      this.append(this.#tail.subarray(0, octets.length));
      // A chunk on its way to the disk is not added to.
      const added = this.#chunks.at(-1);
      this.#tailChunk = added?.fileOffset === -1 ? added : undefined;
      return;
    }
    if (this.#failed !== undefined || !this.#budget.take(octets.length, this.#granted)) {
      this.#tailChunk = undefined;
      this.append(Buffer.from(octets));
      return;
    }
    this.#granted += octets.length;
    octets.copy(this.#tail, last.size);
    last.size += octets.length;
    last.octets = this.#tail.subarray(0, last.size);
    this.#size += octets.length;
  }

  view(offset: number, size: number): Buffer[] | undefined {
    let at = offset;
    const end = offset + size;
    const first = this.#find(offset);
    const only = this.#chunks[first];
    if (size > 0 && only?.octets !== undefined && only.offset + only.size >= end)
      return [part(only, only.octets, at, end)];
    const out: Buffer[] = [];
    for (let i = first; at < end; i++) {
      const chunk = this.#chunks[i];
      if (chunk?.octets === undefined) return undefined;
      out.push(part(chunk, chunk.octets, at, end));
      at = chunk.offset + chunk.size;
    }
    return out;
  }

  load(offset: number, size: number, done: (error: Error | undefined, octets: Buffer[]) => void): void {
    const error =
      this.#failed ??
      (this.#disposed ? new Error('the store is disposed of') : undefined) ??
      (offset + size > this.#size ? new Error('octets past the end of a store') : undefined);
    if (error !== undefined) {
      queueMicrotask(() => done(error, []));
      return;
    }
    const read = new Load(done, this.#events);
    let at = offset;
    const end = offset + size;
    for (let i = this.#find(offset); at < end; i++) {
      const chunk = this.#chunks[i] as Chunk;
      if (chunk.octets !== undefined) read.add(part(chunk, chunk.octets, at, end));
      else {
        const from = at - chunk.offset;
        const length = Math.min(end, chunk.offset + chunk.size) - at;
        read.fromFile(this.#file as SpillFile, chunk.fileOffset + from, length);
      }
      at = chunk.offset + chunk.size;
    }
    read.start();
  }

  /** Gives memory and file back. No event comes afterwards. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#budget.give(this.#granted);
    this.#granted = 0;
    this.#chunks.length = 0;
    this.#file?.close();
    this.#file = undefined;
  }

  #spill(chunk: Chunk, octets: Buffer): void {
    this.#file ??= this.#space.open();
    this.#waiting += chunk.size + CHUNK_COST;
    if (this.#waiting > MAX_WAITING) this.#held = true;
    chunk.fileOffset = this.#file.append(octets, (error) => {
      if (this.#disposed) return;
      this.#waiting -= chunk.size + CHUNK_COST;
      try {
        if (error === undefined) this.#written(chunk);
        else this.#fail(error);
      } catch (fault) {
        this.#events.onFault(fault);
      }
    });
  }

  #written(chunk: Chunk): void {
    chunk.octets = undefined;
    if (!this.#held || this.#waiting > MAX_WAITING / 2) return;
    this.#held = false;
    this.#events.onCaughtUp();
  }

  #fail(error: Error): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    this.#held = false;
    this.#events.onFailed(error);
  }

  /** The index of the chunk that holds the octet at `offset`. */
  #find(offset: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#chunks[middle] as Chunk).offset <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function part(chunk: Chunk, octets: Buffer, at: number, end: number): Buffer {
  const from = at - chunk.offset;
  const to = Math.min(chunk.size, end - chunk.offset);
  return from === 0 && to === chunk.size ? octets : octets.subarray(from, to);
}

/** Several reads of one range, answered together and in order. */
class Load {
  readonly #done: (error: Error | undefined, octets: Buffer[]) => void;
  readonly #events: StoreEvents;
  readonly #octets: Buffer[] = [];
  #open = 1;
  #error: Error | undefined;

  constructor(done: (error: Error | undefined, octets: Buffer[]) => void, events: StoreEvents) {
    this.#done = done;
    this.#events = events;
  }

  add(octets: Buffer): void {
    this.#octets.push(octets);
  }

  fromFile(file: SpillFile, fileOffset: number, size: number): void {
    const place = this.#octets.push(Buffer.alloc(0)) - 1;
    this.#open++;
    file.read(fileOffset, size, (error, octets) => {
      if (error !== undefined) this.#error ??= error;
      else this.#octets[place] = octets;
      this.#closeOne();
    });
  }

  start(): void {
    if (this.#open > 1) this.#closeOne();
    else queueMicrotask(() => this.#closeOne());
  }

  #closeOne(): void {
    this.#open--;
    if (this.#open > 0) return;
    try {
      this.#done(this.#error, this.#error === undefined ? this.#octets : []);
    } catch (fault) {
      this.#events.onFault(fault);
    }
  }
}
