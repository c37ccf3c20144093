/** The octets of a content in the store, as a source of a piece table. Nothing of them stays in memory. */
import type { Store } from '../../store/index.ts';
import { Content, type Source } from '../content/index.ts';

export class StoredOctets implements Source {
  readonly size: number;
  readonly isDotFree = false;
  readonly #store: Pick<Store, 'read'>;
  readonly #id: string;

  constructor(store: Pick<Store, 'read'>, id: string, size: number) {
    this.#store = store;
    this.#id = id;
    this.size = size;
  }

  view(): undefined {
    return undefined;
  }

  load(offset: number, size: number, done: (error: Error | undefined, octets: Buffer[]) => void): void {
    this.#store.read(this.#id, offset, size).then(
      (octets) => done(undefined, [Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)]),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), []),
    );
  }
}

/** A content of the store as a whole. */
export function storedContent(store: Pick<Store, 'read'>, id: string, size: number): Content {
  const content = new Content();
  content.append(new StoredOctets(store, id, size), 0, size);
  return content;
}
