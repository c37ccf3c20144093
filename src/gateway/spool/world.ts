/** What the spool works with, and what works for it. */

import type { Deadlines, Log, Metrics } from '../../base/index.ts';
import type { Reply } from '../../smtp/index.ts';
import type { Store, StoredMail } from '../../store/index.ts';
import type { Content, MemoryBudget } from '../content/index.ts';
import type { Dispatcher, Judged } from '../dispatch/dispatcher.ts';
import type { DeliveryBook } from '../record/deliveries.ts';
import type { OpenRelay } from '../relay/open-relay.ts';
import type { ViaEntry } from '../trace/index.ts';
import type { Notices } from './notices.ts';
import type { ReportMaker } from './port.ts';
import type { QueuedDelivery, Rewritten } from './rows.ts';
import type { Blocker } from './task.ts';

export interface SpoolWorld {
  readonly store: Store;
  readonly dispatcher: Dispatcher;
  readonly relay: OpenRelay;
  readonly reports: ReportMaker;
  readonly adapt: AdaptLane;
  /** An operator wants everything tried now: services that failed just now are not given up for a while. */
  readonly reviveServices: () => void;
  /** Absent where recipients are not told of what is held. */
  readonly notices: Notices | undefined;
  /** The last mails, which are told how their deliveries end; undefined: nobody is. */
  readonly book: DeliveryBook | undefined;
  /** That contents of mails share. */
  readonly memory: Pick<MemoryBudget, 'isHalfUsed'>;
  readonly deadlines: Deadlines;
  readonly wallClock: () => number;
  /** 0 up to 1. */
  readonly random: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Services that run without the client: on what was taken in spite of their failure, or released by an operator. */
export interface AdaptLane {
  /** Deliveries of a mail with equal keys meet the same services, and share a run. */
  keyOf(mail: StoredMail, delivery: QueuedDelivery): string;
  /** `done` is called once, later. The octets of the job may be read until then. */
  run(job: AdaptJob, done: (result: AdaptResult) => void): void;
}

/** Deliveries of one mail with one content, which meet the same services. */
export interface AdaptJob {
  readonly mail: StoredMail;
  readonly deliveries: readonly QueuedDelivery[];
  readonly content: Content;
}

export interface Refusal {
  readonly reply: Reply;
  readonly by: Blocker | undefined;
}

export type AdaptResult =
  | {
      readonly kind: 'release';
      /** With our trace block; by reference to the job's octets and to some of its own. */
      readonly content: Content;
      /** Recipients that were refused one by one, by delivery number. */
      readonly refused: ReadonlyMap<number, Refusal>;
      /** What services made of the envelope, by delivery number. */
      readonly rewritten?: ReadonlyMap<number, Rewritten>;
      /** Its own octets are needed no more. */
      readonly dispose: () => void;
    }
  | {
      readonly kind: 'refused';
      readonly reply: Reply;
      readonly by: Blocker;
      /** For reasons of their own, by delivery number. */
      readonly refused: ReadonlyMap<number, Refusal>;
    }
  /** `by`: the service that did not work, or refused for now. */
  | { readonly kind: 'later'; readonly reply: Reply; readonly by?: Blocker }
  /** Now that the message is read they do not meet the same services: none ran, and each group is a job of its own. */
  | { readonly kind: 'split'; readonly groups: readonly (readonly QueuedDelivery[])[] }
  /** A service wants to see it again, not before `atMs`. */
  | {
      readonly kind: 'delay';
      readonly atMs: number;
      /** By services that will not be asked again, by delivery number: these do not wait. */
      readonly refused: ReadonlyMap<number, Refusal>;
      readonly progress: Progress;
    }
  /** `reason`: in words for an operator. */
  | {
      readonly kind: 'hold';
      readonly service: string;
      readonly reason: string;
      /** By services, one by one, by delivery number: these are not held. */
      readonly refused: ReadonlyMap<number, Refusal>;
    };

/** Where a later run goes on, without running again what has run. */
export interface Progress {
  /** That has not ended with it. */
  readonly service: string;
  /** What the services before it made, without our trace block; undefined: nothing. */
  readonly content: Content | undefined;
  /** By all services so far, earlier runs included. */
  readonly via: readonly ViaEntry[];
  /** By a delivery's number: what rules said of the message before it was changed, where it was. */
  readonly judged: ReadonlyMap<number, Judged>;
  readonly rewritten: ReadonlyMap<number, Rewritten>;
  readonly dispose: () => void;
}
