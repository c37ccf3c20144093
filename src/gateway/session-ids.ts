/**
 * Ids of sessions: 72 bits that nobody can guess, for they stand in traces that the world sees (design D15). Random octets
 * are asked for in stock: to ask the system for each id costs more than all else about it.
 */
import { randomFillSync } from 'node:crypto';

const ID_OCTETS = 9;
const STOCK = 128;

export class SessionIds {
  readonly #octets = Buffer.alloc(ID_OCTETS * STOCK);
  #at = this.#octets.length;

  /** Twelve characters of base64url. */
  next(): string {
    for (;;) {
      const id = this.#draw();
      // On a command line it would be an option.
      if (!id.startsWith('-')) return id;
    }
  }

  #draw(): string {
    if (this.#at === this.#octets.length) {
      randomFillSync(this.#octets);
      this.#at = 0;
    }
    this.#at += ID_OCTETS;
    return this.#octets.toString('base64url', this.#at - ID_OCTETS, this.#at);
  }
}
