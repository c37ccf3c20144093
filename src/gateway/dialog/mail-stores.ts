/** The octets of one mail: what the client sent, what services insert, and the message as the client sent it as a content. */
import { CRLF } from '../../base/index.ts';
import { Content, FixedOctets, OctetStore } from '../content/index.ts';
import { beginsFolded } from '../trace/index.ts';
import type { MailWorld } from './world.ts';

export interface MailStoresEvents {
  /** The original's writer caught up with the disk. */
  onCaughtUp(): void;
  onFailed(error: Error): void;
  onFault(error: unknown): void;
}

const EMPTY_LINE = new FixedOctets(Buffer.from(CRLF));

export class MailStores {
  /** The message as the client sent it, as far as it came. */
  readonly base = new Content();
  readonly #world: MailWorld;
  readonly #events: MailStoresEvents;
  readonly #inserted: OctetStore[] = [];
  #original: OctetStore | undefined;
  #isKept = false;

  constructor(world: MailWorld, events: MailStoresEvents) {
    this.#world = world;
    this.#events = events;
  }

  get original(): OctetStore | undefined {
    return this.#original;
  }

  get isBehind(): boolean {
    return this.#original?.isBehind === true;
  }

  /** For the insertions of all services of one variant. */
  openInserted(onCaughtUp: () => void): OctetStore {
    const store = this.#open(onCaughtUp);
    this.#inserted.push(store);
    return store;
  }

  append(octets: Buffer): void {
    this.#original ??= this.#open(() => this.#events.onCaughtUp());
    const at = this.#original.size;
    // A mail that begins with a continuation line has no header our block could stand in: an empty line goes before it.
    if (at === 0 && beginsFolded(octets)) this.base.append(EMPTY_LINE, 0, EMPTY_LINE.size);
    this.#original.append(octets);
    this.base.append(this.#original, at, octets.length);
  }

  /** All of the original is there. */
  ended(isDotFree: boolean): void {
    if (this.#original !== undefined) this.#original.isDotFree = isDotFree;
  }

  /** Somebody else needs the octets now, and will call `dispose`. */
  keep(): void {
    this.#isKept = true;
  }

  /** The mail is over. */
  end(): void {
    if (!this.#isKept) this.dispose();
  }

  dispose(): void {
    this.#original?.dispose();
    for (const store of this.#inserted) store.dispose();
  }

  #open(onCaughtUp: () => void): OctetStore {
    const { budget, spill } = this.#world;
    return new OctetStore(budget, spill, {
      onCaughtUp,
      onFailed: (error) => this.#events.onFailed(error),
      onFault: (error) => this.#events.onFault(error),
    });
  }
}
