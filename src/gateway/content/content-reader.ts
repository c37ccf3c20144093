/**
 * Reads a content from front to end in portions, for a service or for the next hop. What is in memory comes at once; what
 * is spilled comes by a wake-up, one portion ahead of the reader.
 */
import type { Content } from './content.ts';

export type Portion =
  | {
      readonly kind: 'octets';
      readonly octets: readonly Buffer[];
      readonly size: number;
      /** Whether it is known that no dot stands behind an LF in them. */
      readonly isDotFree: boolean;
    }
  /** Being fetched, or not there yet: `wake` will be called. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'failed'; readonly error: Error };

const WAIT: Portion = { kind: 'wait' };

export class ContentReader {
  readonly #content: Content;
  readonly #wake: () => void;
  #at = 0;
  #loading = false;
  #loaded: readonly Buffer[] | undefined;
  #loadedSize = 0;
  #isLoadedDotFree = false;
  #error: Error | undefined;

  /** `wake` is called when a `wait` may be over, at the latest when loaded octets are there. */
  constructor(content: Content, wake: () => void) {
    this.#content = content;
    this.#wake = wake;
  }

  /** How much of the content as it now is has not been read. */
  get left(): number {
    return this.#content.size - this.#at;
  }

  /** The next `max` octets at the most. To be called only while `left` is over 0. */
  next(max: number): Portion {
    return this.#next(max, false);
  }

  /** The same, but dot-free octets come apart from others. */
  nextAlike(max: number): Portion {
    const { size, isDotFree } = this.#content.alikeFrom(this.#at, max);
    return this.#next(size, isDotFree);
  }

  #next(max: number, isDotFree: boolean): Portion {
    if (this.#error !== undefined) return { kind: 'failed', error: this.#error };
    if (this.#loading) return WAIT;
    const loaded = this.#loaded;
    if (loaded !== undefined) {
      this.#loaded = undefined;
      this.#at += this.#loadedSize;
      return { kind: 'octets', octets: loaded, size: this.#loadedSize, isDotFree: this.#isLoadedDotFree };
    }
    const size = Math.min(max, this.left);
    const views = this.#content.view(this.#at, size);
    if (views !== undefined) {
      this.#at += size;
      return { kind: 'octets', octets: views, size, isDotFree };
    }
    this.#isLoadedDotFree = isDotFree;
    this.#load(size);
    return WAIT;
  }

  #load(size: number): void {
    this.#loading = true;
    this.#loadedSize = size;
    this.#content.load(this.#at, size, (error, octets) => {
      this.#loading = false;
      if (error !== undefined) this.#error = error;
      else this.#loaded = octets;
      this.#wake();
    });
  }
}
