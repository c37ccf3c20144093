/** New content in place of a message: asked for piece by piece, as fast as it can be sent. */
import type { Outlet } from './outlet.ts';
import type { TimeLimit } from './time-limit.ts';
import type { Content } from './verdict.ts';

export class Replacement {
  readonly #content: Content;
  readonly #outlet: Outlet;
  readonly #limit: TimeLimit;
  #isStopped = false;
  #isWhole: boolean;
  #go: (() => void) | undefined;

  /** `isWhole`: the old message has ended already. */
  constructor(content: Content, outlet: Outlet, limit: TimeLimit, isWhole: boolean) {
    this.#content = content;
    this.#outlet = outlet;
    this.#limit = limit;
    this.#isWhole = isWhole;
  }

  /**
   * Resolves with true when all was made and the old message has ended (till then the mail may still be broken off), with
   * false when it was stopped. Rejects with what the content threw.
   */
  async run(onMade: () => void): Promise<boolean> {
    const made =
      Symbol.asyncIterator in this.#content ? this.#content[Symbol.asyncIterator]() : this.#content[Symbol.iterator]();
    for (;;) {
      this.#limit.start();
      const { done, value } = await made.next();
      this.#limit.stop();
      if (done === true || this.#isStopped) break;
      if (!(value instanceof Uint8Array))
        throw new TypeError('replace() takes pieces that are Uint8Array: of one, replace([octets])');
      // A copy: octets wait for their turn, and whoever makes them may fill one buffer again and again.
      this.#outlet.data(Buffer.from(value));
      this.#outlet.flush();
      while (!this.#isStopped && this.#outlet.isFull) await this.#room();
    }
    if (this.#isStopped) await made.return?.();
    else onMade();
    while (!this.#isStopped && !this.#isWhole) await this.#room();
    return !this.#isStopped;
  }

  /** The old message has ended. */
  whole(): void {
    this.#isWhole = true;
    this.goOn();
  }

  stop(): void {
    this.#isStopped = true;
    this.goOn();
  }

  /** There may be room again. */
  goOn(): void {
    const go = this.#go;
    this.#go = undefined;
    go?.();
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#go = resolve;
    });
  }
}
