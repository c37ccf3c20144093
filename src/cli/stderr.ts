/**
 * Stderr for logs: lines are gathered for a moment and written in one synchronous call, so a line a mail costs no system
 * call of its own. A reader that is slow costs memory up to a cap and then lines, which are counted; one that is gone
 * costs nothing more. Never waits, never throws: a log must not stop mail.
 */
import { writeSync } from 'node:fs';

/** Gathered up to this many octets... */
const GATHERED_OCTETS = 8192;
/** ...and no longer than this, so that a log that is watched keeps up. */
const GATHERED_MS = 50;
/** What a reader may be behind. */
const MAX_HELD_OCTETS = 4 * 1024 * 1024;

export class LineWriter {
  readonly #fd: number;
  #lines: string[] = [];
  #gathered = 0;
  /** Octets that a full pipe did not take. */
  #rest: Buffer | undefined;
  #lost = 0;
  #isGone = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Takes a line with its end. */
  write(line: string): void {
    if (this.#isGone) return;
    if (this.#gathered + (this.#rest?.length ?? 0) > MAX_HELD_OCTETS) {
      this.#lost++;
      return;
    }
    this.#lines.push(line);
    this.#gathered += line.length;
    if (this.#gathered >= GATHERED_OCTETS && this.#rest === undefined) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHERED_MS);
  }

  /** Writes what it can, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isGone) return;
    let octets = Buffer.from(this.#lines.join(''));
    if (this.#rest !== undefined) octets = Buffer.concat([this.#rest, octets]);
    this.#lines = [];
    this.#gathered = 0;
    this.#rest = this.#push(octets);
    if (this.#rest !== undefined) this.#timer = setTimeout(() => this.flush(), GATHERED_MS);
    else if (this.#lost > 0) this.#tellLost();
  }

  /** What was not taken; undefined where all was, or where nobody reads any more. */
  #push(octets: Buffer): Buffer | undefined {
    let left = octets;
    try {
      while (left.length > 0) left = left.subarray(writeSync(this.#fd, left));
      return undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN' || code === 'EINTR') return Buffer.from(left);
      this.#isGone = true;
      return undefined;
    }
  }

  #tellLost(): void {
    const lost = this.#lost;
    this.#lost = 0;
    this.write(
      `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), lines: lost, event: 'log-lines-lost' })}\n`,
    );
  }
}
