/**
 * What an operator may ask of the mail we answer for, and have done with it: plain data, for the command line and the
 * console. One recipient of a mail is a delivery, named `<mail>#<n>`; `<mail>` alone means all of its deliveries, and what
 * a mail's id begins with will do where only one mail's does.
 */
import type { Counters, Json } from '../../store/index.ts';

export interface QueueAdmin {
  /** In order of acceptance, at most `MAX_PAGE` of them behind `after`. */
  list(filter: QueueFilter, limit: number, after?: QueuePlace): Promise<QueuePage>;
  show(id: string): Promise<Finding<QueuedMail>>;
  /** The message as it is kept. A delivery that ends while it is read takes the octets along: reading rejects then. */
  message(id: string): Promise<Finding<StoredMessage>>;
  act(order: QueueOrder): Promise<Finding<ActReport>>;
  counters(): Promise<Counters>;
}

/** Deliveries in one answer. */
export const MAX_PAGE = 500;

export interface QueueFilter {
  readonly state?: 'queued' | 'held';
  /** What the mail's id begins with. */
  readonly id?: string;
  /** Part of sender or recipient. */
  readonly text?: string;
}

export interface QueuePlace {
  readonly seq: number;
  readonly n: number;
}

export interface QueuePage {
  readonly entries: readonly QueueEntry[];
  /** Where the next page begins; undefined: there is none. */
  readonly after: QueuePlace | undefined;
}

/** `active`: a delivery is being tried, or waits its turn at its destination; it cannot be changed then. */
export type DeliveryState = 'queued' | 'active' | 'held';

export interface QueueEntry {
  /** `<mail>#<n>`. */
  readonly id: string;
  /** Its mail in trace, reply and log. */
  readonly trace: string;
  readonly state: DeliveryState;
  readonly acceptedMs: number;
  /** Without brackets; '' is the null path. */
  readonly from: string;
  readonly to: string;
  readonly destination: string;
  /** `adapt`: services are still to run; `relay`: they have. */
  readonly lane: 'adapt' | 'relay';
  readonly attempts: number;
  readonly nextMs: number;
  /** Given up (queued) or ended (held) after. */
  readonly expiresMs: number;
  readonly lastReply: string | undefined;
  /** `service` is `operator` where an operator held it. */
  readonly held: { readonly service: string; readonly reason: string; readonly sinceMs: number } | undefined;
}

export interface QueuedMail {
  readonly mail: string;
  readonly trace: string;
  readonly acceptedMs: number;
  readonly from: string;
  readonly params: Readonly<Record<string, string | true>>;
  /** What is known of the session it came in. */
  readonly facts: Json;
  /** At most `MAX_PAGE`. */
  readonly deliveries: readonly QueuedRecipient[];
  readonly hasMore: boolean;
  /** Of the first delivery: the header section, at most 64 KiB of it. */
  readonly header: string;
  readonly octets: number;
  /** Of the message, hex. */
  readonly sha256: string;
}

export interface QueuedRecipient extends QueueEntry {
  readonly params: Readonly<Record<string, string | true>>;
  /** Which of the mail's contents it gets. */
  readonly content: string;
  readonly notes: Json;
}

export interface StoredMessage {
  readonly octets: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export type QueueAct = 'retry' | 'hold' | 'release' | 'remove';

export type QueueOrder =
  | {
      readonly act: QueueAct;
      readonly id: string;
      /** Leaves what is only queued alone. */
      readonly only?: 'held' | undefined;
    }
  /** Everything that is queued, or all of it for one domain. */
  | { readonly act: 'retry'; readonly destination: string | undefined };

export interface ActReport {
  readonly done: number;
  readonly refused: number;
  /** One a delivery, the first `MAX_PAGE`. */
  readonly entries: readonly ActedOn[];
}

export interface ActedOn {
  readonly id: string;
  readonly to: string;
  /** Undefined: done. */
  readonly refused: Refusal | undefined;
}

/** `active`: being delivered now; it can be tried again soon. */
export type Refusal = 'active' | 'held' | 'not-held';

/** A question about one mail, answered, or why it has no answer. */
export type Finding<T> = { readonly found: T } | { readonly missing: 'unknown' } | AmbiguousId;

/** More than one mail's id begins so: the first of them. */
export interface AmbiguousId {
  readonly missing: 'ambiguous';
  readonly some: readonly string[];
}
