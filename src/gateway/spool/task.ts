/** What one transaction with one next hop can serve: one content, for recipients at one destination. */

import type { Reply } from '../../smtp/index.ts';
import type { StoredMail } from '../../store/index.ts';
import type { Content } from '../content/index.ts';
import type { RouteOptions } from '../options.ts';
import type { QueuedDelivery } from './rows.ts';

export interface Task {
  readonly mail: StoredMail;
  readonly deliveries: readonly QueuedDelivery[];
  readonly route: RouteOptions;
  /** Tasks with equal keys share connections, a limit and a fate. */
  readonly destination: string;
  readonly content: Content;
  /** Held while the task needs the octets. */
  readonly lease: Lease;
}

/** The service that stopped it. */
export interface Blocker {
  readonly service: string;
  /** `verdict`: it said so. `failure`: it did not work for too long. `delay`: it had the mail wait for too long. */
  readonly because: 'verdict' | 'failure' | 'delay';
  /** A verdict on what stands in the mail, which its sender may not have written. */
  readonly isOnContent: boolean;
}

/** How one try ended for one recipient. */
export type Outcome =
  /** `speaksDsn`: the hop was told what the sender wants to hear of. */
  | { readonly kind: 'delivered'; readonly reply: Reply; readonly speaksDsn: boolean }
  | { readonly kind: 'failed'; readonly reply: Reply; readonly by?: Blocker }
  /** `atMs`: no try was made and none is counted; it is due then. */
  | { readonly kind: 'later'; readonly reply: Reply; readonly atMs?: number; readonly by?: Blocker };

/** Octets in memory that several tasks read: given back with the last of them. */
export class Lease {
  readonly #dispose: () => void;
  #holders = 1;

  constructor(dispose: () => void) {
    this.#dispose = dispose;
  }

  take(): this {
    this.#holders++;
    return this;
  }

  give(): void {
    this.#holders--;
    if (this.#holders === 0) this.#dispose();
  }
}

export function outcomeOf(reply: Reply, speaksDsn: boolean): Outcome {
  if (reply.code < 300) return { kind: 'delivered', reply, speaksDsn };
  return { kind: reply.code >= 500 ? 'failed' : 'later', reply };
}

/** In the order of their first members. */
export function groupBy<T>(all: readonly T[], keyOf: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return groups;
}
