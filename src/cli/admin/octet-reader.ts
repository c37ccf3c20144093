/** Lines and counted octets from a socket, within a bound of time and size for each. Both ends of the admin socket read so. */
import type { Socket } from 'node:net';

/** The peer broke a bound; the connection is of no use any more. */
export class ReadProblem extends Error {
  override readonly name = 'ReadProblem';
  readonly code: 'too-long' | 'too-slow' | 'cut';

  constructor(code: 'too-long' | 'too-slow' | 'cut') {
    super(code);
    this.code = code;
  }
}

const NEWLINE = 10;

export class OctetReader {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #socket: Socket;
  readonly #patienceMs: number;
  #rest: Buffer = Buffer.alloc(0);

  /** `patienceMs`: for a whole line, and for each portion of octets. */
  constructor(socket: Socket, patienceMs: number) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#patienceMs = patienceMs;
  }

  /** Without its end; undefined where the peer ended before it began one. */
  async line(maxOctets: number): Promise<string | undefined> {
    const untilMs = performance.now() + this.#patienceMs;
    const parts: Buffer[] = [];
    let octets = 0;
    for (;;) {
      const chunk = await this.#next(untilMs);
      if (chunk === undefined) {
        if (octets === 0) return undefined;
        throw new ReadProblem('cut');
      }
      const end = chunk.indexOf(NEWLINE);
      const part = end < 0 ? chunk : chunk.subarray(0, end);
      octets += part.length;
      if (octets > maxOctets) throw new ReadProblem('too-long');
      parts.push(part);
      if (end < 0) continue;
      this.#rest = chunk.subarray(end + 1);
      return Buffer.concat(parts, octets).toString('utf8');
    }
  }

  async *octets(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0; ) {
      const chunk = await this.#next(performance.now() + this.#patienceMs);
      if (chunk === undefined) throw new ReadProblem('cut');
      const part = chunk.subarray(0, left);
      this.#rest = chunk.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  /** Throws away what still comes, until the peer hangs up, `withinMs` are over or it was more than `maxOctets`. */
  async discard(withinMs: number, maxOctets: number): Promise<void> {
    const untilMs = performance.now() + withinMs;
    try {
      for (let left = maxOctets; left > 0 && performance.now() < untilMs; ) {
        const chunk = await this.#next(untilMs);
        if (chunk === undefined) return;
        left -= chunk.length;
      }
    } catch {
      // Too slow, or gone: either way nothing more is wanted of it.
    }
  }

  async #next(untilMs: number): Promise<Buffer | undefined> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = Buffer.alloc(0);
      return rest;
    }
    // Ends the wait: the iterator rejects with what the socket was destroyed by.
    const tooSlow = setTimeout(
      () => this.#socket.destroy(new ReadProblem('too-slow')),
      Math.max(1, untilMs - performance.now()),
    );
    try {
      const next = await this.#chunks.next();
      return next.done === true ? undefined : next.value;
    } finally {
      clearTimeout(tooSlow);
    }
  }
}

/** Resolves when the octets are on their way; a peer that does not read them in time is cut off. */
export async function writeAll(socket: Socket, octets: string | Uint8Array, patienceMs: number): Promise<void> {
  const tooSlow = setTimeout(() => socket.destroy(new ReadProblem('too-slow')), patienceMs);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.write(octets, (error) => (error === undefined || error === null ? resolve() : reject(error)));
    });
  } finally {
    clearTimeout(tooSlow);
  }
}
