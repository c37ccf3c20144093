/**
 * Whether content comes fast enough: the average over whole windows counts, so that a stall is forgiven and a trickle
 * is not. Windows in which we held the peer back ourselves do not count.
 */
export class RateFloor {
  readonly #leastOctets: number;
  #octets = 0;
  #wasHeld = false;

  constructor(octetsPerSecond: number, windowMs: number) {
    this.#leastOctets = (octetsPerSecond * windowMs) / 1000;
  }

  /** A window begins. */
  start(): void {
    this.#octets = 0;
    this.#wasHeld = false;
  }

  came(octets: number): void {
    this.#octets += octets;
  }

  held(): void {
    this.#wasHeld = true;
  }

  /** At the end of a window. */
  get isMet(): boolean {
    return this.#wasHeld || this.#octets >= this.#leastOctets;
  }
}
