/** What a mail needs of the spool: a place that takes it for good, before the client has its 250. */
import type { Parameters, Reply } from '../../smtp/index.ts';
import type { NewMail, StoredMail } from '../../store/index.ts';
import type { Content } from '../content/index.ts';
import type { Judged } from '../dispatch/dispatcher.ts';
import type { FailureReason } from '../options.ts';
import type { ViaEntry } from '../trace/index.ts';
import type { Ended } from './settle.ts';

export interface SpoolPort {
  /** `spool`: every mail is stored before its 250. `inline`: only those that one transaction with a next hop cannot serve. */
  readonly mode: 'inline' | 'spool';
  /** Recipients of held mail are told. Where they are not, mail of which all is held is refused, and kept all the same (D18). */
  readonly hasNotice: boolean;
  /** No room: new mail is answered 452 4.3.1 at MAIL. */
  readonly isFull: boolean;
  /**
   * Takes all variants of a mail or none. `done` is called once, later: without an error when they are synchronised to the
   * disk. The contents belong to the spool from then on, or back to the caller where there was an error; `dispose` of the
   * acceptance is called when they are needed no more.
   */
  accept(acceptance: Acceptance, done: (error: Error | undefined) => void): void;
}

export interface Acceptance {
  /** The mail's id in trace, reply and log. */
  readonly id: string;
  readonly acceptedMs: number;
  readonly session: SpooledSession;
  readonly variants: readonly SpoolVariant[];
  /** Gives the octets in memory back. */
  dispose(): void;
}

/** What later callouts, traces and reports need to know of the session. Plain data: it is stored as JSON. */
export interface SpooledSession {
  readonly id: string;
  readonly listener: string;
  readonly clientAddress: string;
  /** By a proxy's word: rules may name it. */
  readonly clientName?: string | undefined;
  readonly verb: 'EHLO' | 'HELO';
  readonly helo: string;
  /** The name in force where services changed it, and what traces say of that. */
  readonly greeting?: { readonly helo: string; readonly via: readonly ViaEntry[] } | undefined;
  readonly tls: boolean;
  /** The login; '' where there was none. */
  readonly user: string;
}

export interface SpoolVariant {
  /** In brackets: `<a@b>` or `<>`. */
  readonly reversePath: string;
  /** The same as the client named it, where a service made another of it. */
  readonly namedSender?: string;
  readonly params: Parameters;
  /** `relay`: final, with our trace block. `adapt`: without it, services are still to come. */
  readonly content: Content;
  readonly lane: 'relay' | 'adapt';
  /** In lane `adapt`: where the chain goes on, and what was done before. */
  readonly resume: Resume | undefined;
  readonly recipients: readonly SpoolRecipient[];
}

export interface Resume {
  /** The service that is to run next; undefined: from the first one on. */
  readonly service: string | undefined;
  readonly via: readonly ViaEntry[];
  /** Services that are asked away, and stay: the request came when they had answered a command (decision 0050). */
  readonly late?: readonly string[];
}

export interface SpoolRecipient {
  /** RCPT's argument: the path in brackets, with parameters behind it. */
  readonly argument: string;
  readonly domain: string;
  /** The address as the client named it, where a service made another of it. */
  readonly named: string | undefined;
  /** Of content that services have changed and others are still to see: what rules said of the message as it came. */
  readonly judged?: Judged | undefined;
  readonly fate: Fate;
}

/** Why a mail is held: a failure of the service, its refusal beside others' acceptance, or its verdict that it be. */
export type HoldReason = FailureReason | 'refused' | 'verdict';

/** What is to become of a recipient. */
export type Fate =
  | { readonly kind: 'deliver' }
  /** Shown to the service of `resume` again, not before so long has passed. */
  | { readonly kind: 'delay'; readonly forMs: number }
  | {
      readonly kind: 'hold';
      readonly service: string;
      readonly reason: HoldReason;
      /** Of a verdict: the service's own. */
      readonly words?: string;
    }
  /** Refused, when others were not, by a service's verdict or for its failure: reported to the sender (design D19). */
  | {
      readonly kind: 'refused';
      readonly service: string;
      readonly because: 'verdict' | 'failure';
      readonly reply: Reply;
    };

/** Tells senders what became of their mail (RFC 3464): decisions of `gateway/dsn`, built and ready for the store. */
export interface ReportMaker {
  /** On deliveries of one mail that ended, or were found late, in one try. */
  make(event: ReportEvent): Promise<Reports>;
}

export interface ReportEvent {
  readonly mail: StoredMail;
  readonly delivered: readonly Ended[];
  readonly failed: readonly Ended[];
  readonly delayed: readonly Ended[];
  /** The message, as it goes back in part. */
  readonly content: Content;
  /** Where it was going; undefined where no hop was asked. */
  readonly nextHop: string | undefined;
}

export interface Reports {
  /** To be stored in the same unit as the ends they tell of. */
  readonly mails: readonly NewMail[];
  /** Failed deliveries nobody is told of, by number, and why. */
  readonly excepted: ReadonlyMap<number, string>;
  /** Verdicts on content that may not be told to a sender who may be forged: kept aside (D19). */
  readonly held: ReadonlySet<number>;
}
