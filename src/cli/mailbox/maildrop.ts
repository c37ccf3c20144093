/**
 * Delivered mails as files: written below a name that nobody reads, synchronised, then renamed to `TIME-N.eml`. Whoever
 * looks into the directory sees whole mails only, and a 250 is said for mails that a power cut does not take.
 */
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';

export class Maildrop {
  readonly directory: string;
  #mails = 0;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(join(directory, 'tmp'), { recursive: true, mode: 0o700 });
  }

  begin(): Delivery {
    const time = new Date().toISOString().replaceAll(':', '-').replace('.', '-');
    const name = `${time}-${process.pid}-${++this.#mails}.eml`;
    return new Delivery(join(this.directory, 'tmp', name), join(this.directory, name), name);
  }
}

export class Delivery {
  readonly name: string;
  readonly #temporary: string;
  readonly #final: string;
  readonly #stream: WriteStream;

  constructor(temporary: string, final: string, name: string) {
    this.name = name;
    this.#temporary = temporary;
    this.#final = final;
    this.#stream = createWriteStream(temporary, { flags: 'wx', mode: 0o600, flush: true });
    // Told by `keep`; without a listener the process would end.
    this.#stream.on('error', () => undefined);
  }

  /** False: wait for `onDrain` before more. */
  write(octets: Uint8Array, onDrain: () => void): boolean {
    if (this.#stream.write(octets)) return true;
    this.#stream.once('drain', onDrain);
    return false;
  }

  /** Resolves when the mail is there under its name and on the disk. */
  async keep(): Promise<void> {
    if (this.#stream.destroyed) throw this.#stream.errored ?? new Error('the mail was given up');
    this.#stream.end();
    await finished(this.#stream);
    await rename(this.#temporary, this.#final);
  }

  discard(): void {
    // Not before the file is closed: it may not have been made yet.
    const remove = () => void unlink(this.#temporary).catch(() => undefined);
    if (this.#stream.closed) remove();
    else this.#stream.once('close', remove).destroy();
  }
}
