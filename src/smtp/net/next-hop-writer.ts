/**
 * Writes to a next hop's socket with as few system calls as can be: whatever is given within one turn leaves in one
 * write, a small mail's content as one copied buffer (a copy costs a tenth of a call), more by writev. At most one write
 * is under way, so that a hop that reads slowly is seen by its age, and what waits is counted.
 */
import { asBuffer } from '../../base/index.ts';

/** Octets of one write. Also the unit by which the rate of a hop is judged. */
const BATCH_OCTETS = 256 * 1024;
/**
 * Content up to this is copied into one buffer, which costs less than a writev of it. More is not: copies of large mail are
 * memory that V8 counts and collects for, and collecting cost far more than the copy.
 */
const COPY_OCTETS = 32 * 1024;
/** Where parts are copied together: as the system mostly takes a write at once, one for all hops. */
let joined = Buffer.allocUnsafeSlow(COPY_OCTETS);
/** Parts of one writev beyond which a copy is cheaper. */
const BATCH_PARTS = 64;

/** What is used of a `net.Socket`. */
export interface WritableSocket {
  readonly destroyed: boolean;
  /** Octets that the system has not taken yet. */
  readonly writableLength: number;
  write(octets: Uint8Array, done?: () => void): boolean;
  write(text: string, encoding: 'latin1'): boolean;
  cork(): void;
  uncork(): void;
}

export interface WriterEvents {
  /** A write of content began. */
  onWriting(octets: number): void;
  /** Everything given so far was taken by the system. */
  onWritten(): void;
  /** There is room again after there was none. */
  onRoom(): void;
  /** An exception out of a write, or out of one of these. */
  onFault(error: unknown): void;
}

export class NextHopWriter {
  readonly #events: WriterEvents;
  readonly #roomOctets: number;
  readonly #socket: WritableSocket;
  #commands = '';
  #parts: Uint8Array[] = [];
  #waitingOctets = 0;
  #flyingOctets = 0;
  #isFlushDue = false;
  #isFull = false;
  /** One function a connection, none a write. */
  readonly #done = (): void => this.#onDone();

  constructor(socket: WritableSocket, roomOctets: number, events: WriterEvents) {
    this.#socket = socket;
    this.#roomOctets = roomOctets;
    this.#events = events;
  }

  /** Content is under way, or waits. */
  get isBusy(): boolean {
    return this.#flyingOctets > 0 || this.#waitingOctets > 0;
  }

  /** Content waits that the socket has not been given. */
  get isHolding(): boolean {
    return this.#waitingOctets > 0;
  }

  /** False: more content is not welcome, and `onRoom` will say when it is. */
  hasRoom(): boolean {
    const has = this.#waitingOctets + this.#flyingOctets < this.#roomOctets;
    if (!has) this.#isFull = true;
    return has;
  }

  commands(latin1: string): void {
    this.#commands += latin1;
    this.#flushSoon();
  }

  content(parts: readonly Uint8Array[], octets: number): void {
    if (this.#commands !== '') this.#queueCommands();
    for (const part of parts) this.#parts.push(part);
    this.#waitingOctets += octets;
    this.#flushSoon();
  }

  /** At the end of this turn of JavaScript; later would add latency, earlier would split what belongs together. */
  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    process.nextTick(flush, this);
  }

  flush(): void {
    this.#isFlushDue = false;
    if (this.#socket.destroyed) return;
    try {
      this.#flush();
    } catch (error) {
      this.#events.onFault(error);
    }
  }

  #flush(): void {
    if (this.#commands !== '') {
      if (this.isBusy) this.#queueCommands();
      else {
        const commands = this.#commands;
        this.#commands = '';
        this.#socket.write(commands, 'latin1');
        return;
      }
    }
    if (this.#flyingOctets === 0 && this.#waitingOctets > 0) this.#write();
  }

  #queueCommands(): void {
    const octets = Buffer.from(this.#commands, 'latin1');
    this.#commands = '';
    this.#parts.push(octets);
    this.#waitingOctets += octets.length;
  }

  #write(): void {
    const parts = this.#takeBatch();
    const octets = this.#flyingOctets;
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) {
      this.#socket.write(only, this.#done);
    } else if (octets <= COPY_OCTETS) {
      this.#writeJoined(parts);
    } else if (parts.length > BATCH_PARTS) {
      this.#socket.write(Buffer.concat(parts, octets), this.#done);
    } else {
      this.#socket.cork();
      const last = parts.length - 1;
      for (let i = 0; i < last; i++) this.#socket.write(parts[i] as Uint8Array);
      this.#socket.write(parts[last] as Uint8Array, this.#done);
      this.#socket.uncork();
    }
    this.#events.onWriting(octets);
  }

  #writeJoined(parts: readonly Uint8Array[]): void {
    let end = 0;
    for (const part of parts) {
      joined.set(part, end);
      end += part.length;
    }
    this.#socket.write(joined.subarray(0, end), this.#done);
    // What the system did not take is the socket's until it did.
    if (this.#socket.writableLength > 0) joined = Buffer.allocUnsafeSlow(COPY_OCTETS);
  }

  /** Takes up to `BATCH_OCTETS` from what waits. */
  #takeBatch(): Uint8Array[] {
    if (this.#waitingOctets <= BATCH_OCTETS) {
      const all = this.#parts;
      this.#parts = [];
      this.#flyingOctets = this.#waitingOctets;
      this.#waitingOctets = 0;
      return all;
    }
    const batch: Uint8Array[] = [];
    let room = BATCH_OCTETS;
    let taken = 0;
    for (const part of this.#parts) {
      if (part.length > room) {
        if (room > 0) batch.push(asBuffer(part).subarray(0, room));
        this.#parts[taken] = asBuffer(part).subarray(room);
        break;
      }
      batch.push(part);
      room -= part.length;
      taken++;
    }
    this.#parts.splice(0, taken);
    this.#flyingOctets = BATCH_OCTETS;
    this.#waitingOctets -= BATCH_OCTETS;
    return batch;
  }

  #onDone(): void {
    this.#flyingOctets = 0;
    if (this.#socket.destroyed) return;
    try {
      this.#goOn();
    } catch (error) {
      this.#events.onFault(error);
    }
  }

  #goOn(): void {
    if (this.#waitingOctets > 0) this.#write();
    else this.#events.onWritten();
    if (this.#isFull && this.#waitingOctets <= this.#roomOctets / 2) {
      this.#isFull = false;
      this.#events.onRoom();
    }
  }
}

function flush(writer: NextHopWriter): void {
  writer.flush();
}
