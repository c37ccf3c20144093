/**
 * One configuration at work: what its mails share. A reload makes a new one beside it; sessions stay with the one they began
 * with, and when its last session is over it is given up, with what only it used.
 *
 *     current --reload--> retired --last session over--> over
 */
import { Roster } from '../base/index.ts';
import type { MailWorld } from './dialog/world.ts';
import type { GatewayOptions } from './options.ts';
import type { GatewayParts } from './parts.ts';

/** Whoever keeps a configuration in use: a session, or a mail that outlives its own. */
export interface Holder {
  /** Asked to come to its end, politely: once, when an earlier configuration has been held for long enough. */
  shutdown(): void;
}

export class Generation {
  readonly number: number;
  readonly options: GatewayOptions;
  readonly world: MailWorld;
  /** What it uses of what outlives it. */
  readonly parts: GatewayParts;
  /** Resolves when it is retired and nobody holds it any more. */
  readonly over: Promise<void>;
  readonly #holders = new Roster<Holder>();
  readonly #end: () => void;
  #isRetired = false;

  constructor(number: number, options: GatewayOptions, world: MailWorld, parts: GatewayParts) {
    this.number = number;
    this.options = options;
    this.world = world;
    this.parts = parts;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#end = resolve;
  }

  get holders(): number {
    return this.#holders.size;
  }

  /** Returns the function by which `holder` leaves. */
  joined(holder: Holder): () => void {
    const seat = this.#holders.enter(holder);
    return () => {
      if (this.#holders.leave(seat) && this.#isRetired && this.#holders.size === 0) this.#end();
    };
  }

  /** Work on a stored mail keeps it in use until it calls what it is given. */
  hold(): () => void {
    return this.joined({ shutdown: () => undefined });
  }

  /** A later one has taken its place: nobody joins any more. */
  retire(): void {
    this.#isRetired = true;
    if (this.#holders.size === 0) this.#end();
  }

  /** Sessions that are idle end now, others when their mail is done. */
  shutdownHolders(): void {
    for (const holder of this.#holders) holder.shutdown();
  }
}
