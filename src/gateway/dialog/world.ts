/** What all mails of a gateway share. Made once, by `gateway.ts` or by a test. */
import type { Deadlines, Log, Metrics, MonotonicClock } from '../../base/index.ts';
import type { MailLimits } from '../../mail/index.ts';
import type { Reply } from '../../smtp/index.ts';
import type { MemoryBudget, SpillSpace } from '../content/index.ts';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import type { MailCounts } from '../metrics/index.ts';
import type { GatewayLimits, MailRecord, SystemOptions } from '../options.ts';
import type { OpenRelay } from '../relay/open-relay.ts';
import type { SpoolPort } from '../spool/port.ts';
import type { InquiryPlaces } from './inquiry-places.ts';

export interface MailWorld {
  readonly hostname: string;
  readonly system: SystemOptions;
  readonly limits: GatewayLimits;
  /** Caps of the header section we look at; made once. */
  readonly headerLimits: MailLimits;
  /** From the final dot to our reply. */
  readonly deadlineMs: number;
  readonly dispatcher: Dispatcher;
  readonly relay: OpenRelay;
  /** Where mail goes that is not relayed inline; absent where there is no store. */
  readonly spool: SpoolPort | undefined;
  /** Of all configurations together. */
  readonly inquiries: InquiryPlaces;
  readonly budget: MemoryBudget;
  readonly spill: SpillSpace;
  readonly deadlines: Deadlines;
  readonly clock: MonotonicClock;
  /** Milliseconds since 1970, for Date fields and records. */
  readonly wallClock: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly counts: MailCounts;
  /** Takes what the console shows; absent where there is none. */
  readonly keep: ((record: MailRecord) => void) | undefined;
  /** Of each mail kept, how many octets of it before and after. */
  readonly keepOctets: number;
}

/** The SMTP side of a mail: where its replies go, and the tap of its content. */
export interface MailPeer {
  answer(ticket: number, reply: Reply): void;
  /** The end of the data, for each accepted recipient in the order of their tickets. */
  answerEach(ticket: number, each: readonly Reply[]): void;
  go(ticket: number): void;
  pauseContent(): void;
  resumeContent(): void;
}
