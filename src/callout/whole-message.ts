import type { HeldBudget } from './held.ts';

/** The whole message in memory, for a service that cannot do with less. */
export class WholeMessage {
  readonly #maxOctets: number;
  readonly #budget: HeldBudget;
  #chunks: Buffer[] = [];
  #octets = 0;

  constructor(maxOctets: number, budget: HeldBudget) {
    this.#maxOctets = maxOctets;
    this.#budget = budget;
  }

  /** Whether `octets` more are within what the service allows. */
  fits(octets: number): boolean {
    return this.#octets + octets <= this.#maxOctets;
  }

  /** Adds octets that stay as they are. */
  add(octets: Buffer): 'added' | 'too-large' | 'no-room' {
    if (!this.fits(octets.length)) return 'too-large';
    if (!this.#budget.take(octets.length)) return 'no-room';
    this.#chunks.push(octets);
    this.#octets += octets.length;
    return 'added';
  }

  octets(): Buffer {
    const [only] = this.#chunks;
    const whole = only !== undefined && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks);
    this.#chunks = [whole];
    return whole;
  }

  drop(): void {
    this.#budget.giveBack(this.#octets);
    this.#chunks = [];
    this.#octets = 0;
  }
}
