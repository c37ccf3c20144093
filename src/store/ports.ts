/**
 * What the store keeps and how it is asked: mail we have answered for (spool and quarantine) and the counters that must
 * balance. SQLite and PostgreSQL serve the same ports (design D9), and one test suite holds for both.
 *
 * Everything that changes goes in a `Unit`: all of it or nothing, synchronised to the disk before its promise resolves.
 * Units that wait at the same time share one synchronisation (group commit). The store knows no SMTP: paths, parameters,
 * facts and notes are the caller's, kept as they are.
 */

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Unix time in milliseconds. */
export type WallMs = number;

// --- what goes in -------------------------------------------------------------------------------------------------

export interface NewMail {
  /** Unique for ever: `<session>.<n>`, with `.r<k>` behind it for our own reports. At most 200 octets of ASCII. */
  readonly id: string;
  readonly acceptedMs: WallMs;
  /** Without brackets; '' is the null path. */
  readonly reversePath: string;
  /** Parameters of MAIL by upper-case keyword, as they are to be relayed. */
  readonly params: Readonly<Record<string, string | true>>;
  /** What is known of the session, for later callouts, trace and reports. At most 64 KiB as JSON. */
  readonly facts: Json;
  readonly contents: readonly NewContent[];
  /** At least one. */
  readonly deliveries: readonly NewDelivery[];
}

/** The octets of a message. `chunks` may be reused or overwritten when `commit` has resolved, not before. */
export interface NewContent {
  /** Unique for ever: `<mail>/<k>`, where `<mail>` is the id of its mail and `<k>` has no slash. */
  readonly id: string;
  /** The octets, or `written` where a `ContentWriter` has put them there before. */
  readonly octets: readonly Uint8Array[] | 'written';
}

export interface NewDelivery {
  /** Of the mail, from 0. */
  readonly n: number;
  /** Id of one of the mail's contents. */
  readonly content: string;
  /** Without brackets. */
  readonly forwardPath: string;
  /** Parameters of RCPT (NOTIFY, ORCPT). */
  readonly params: Readonly<Record<string, string | true>>;
  /** Recipients with equal destinations can share a transaction. Opaque. */
  readonly destination: string;
  /** `adapt`: services are still to run; `relay`: the content is final. */
  readonly lane: 'adapt' | 'relay';
  /** `queued`, or kept aside by `hold`. */
  readonly hold: Hold | undefined;
  /** Not tried before. */
  readonly nextMs: WallMs;
  /** Given up (queued) or ended by policy (held) after. */
  readonly expiresMs: WallMs;
  /** The caller's own, at most 64 KiB as JSON. */
  readonly notes: Json;
}

/** Why a delivery is held: quarantine. */
export interface Hold {
  readonly service: string;
  readonly reason: string;
  readonly heldMs: WallMs;
}

/** How a delivery ended. Each has a counter. */
export type Ending =
  | 'delivered' // a next hop took it
  | 'reported' // its sender has been, or is being, told (the report is a mail of the same unit)
  | 'excepted' // it ended without either, by a rule that is logged: NOTIFY=NEVER, a null reverse-path
  | 'removed'; // an operator took it out

export type Change =
  | { readonly kind: 'end'; readonly mail: string; readonly n: number; readonly as: Ending }
  | {
      readonly kind: 'retry';
      readonly mail: string;
      readonly n: number;
      readonly attempts: number;
      readonly nextMs: WallMs;
      /** What the hop said last; at most 4 KiB is kept. */
      readonly lastReply: string | undefined;
      /** Where the sender has been told of the delay. */
      readonly isWarned: boolean;
      readonly notes?: Json;
    }
  | {
      readonly kind: 'hold';
      readonly mail: string;
      readonly n: number;
      readonly hold: Hold;
      readonly expiresMs: WallMs;
    }
  /** Back in the queue: an operator's retry or release, or a lane change. `content`, `lane`, `expiresMs`, `notes` where they change. */
  | {
      readonly kind: 'queue';
      readonly mail: string;
      readonly n: number;
      readonly nextMs: WallMs;
      readonly lane?: 'adapt' | 'relay';
      readonly content?: string;
      readonly expiresMs?: WallMs;
      readonly notes?: Json;
    };

/** All or nothing. */
export interface Unit {
  readonly mails?: readonly NewMail[];
  /** More contents for a mail that is there (the result of a later adaptation). */
  readonly contents?: readonly { readonly mail: string; readonly content: NewContent }[];
  readonly changes?: readonly Change[];
}

/** Content that is too long to be held: written as it comes, bound to a mail by a later `commit`, dropped otherwise. */
export interface ContentWriter {
  /** Resolves when the octets may be reused and more may come. */
  append(octets: Uint8Array): Promise<void>;
  /** All of it is there. */
  end(): Promise<void>;
  /** Given up; also called for a writer that failed. */
  discard(): Promise<void>;
}

// --- what comes out -----------------------------------------------------------------------------------------------

export interface StoredMail {
  readonly id: string;
  readonly acceptedMs: WallMs;
  readonly reversePath: string;
  readonly params: Readonly<Record<string, string | true>>;
  readonly facts: Json;
  /** A value of the row is no JSON: `params` are empty then, `facts` null. The others of its table can be read all the same. */
  readonly isDamaged?: true;
}

export interface StoredContent {
  readonly id: string;
  readonly size: number;
}

export interface StoredDelivery {
  /** Its mail's place in the order of acceptance; with `n`, its own. */
  readonly seq: number;
  readonly mail: string;
  readonly n: number;
  readonly content: string;
  readonly forwardPath: string;
  readonly params: Readonly<Record<string, string | true>>;
  readonly destination: string;
  readonly lane: 'adapt' | 'relay';
  readonly hold: Hold | undefined;
  readonly attempts: number;
  readonly nextMs: WallMs;
  readonly expiresMs: WallMs;
  readonly lastReply: string | undefined;
  readonly isWarned: boolean;
  readonly notes: Json;
  /** As of a mail: `params` are empty then, `notes` null. */
  readonly isDamaged?: true;
}

/** As `list` tells it. */
export interface ListedDelivery extends StoredDelivery {
  /** Somebody works on it, and may end it at any moment. */
  readonly isClaimed: boolean;
}

export interface DeliveryFilter {
  readonly state?: 'queued' | 'held';
  readonly mail?: string;
  /** What the mail's id begins with. */
  readonly mailPrefix?: string;
  readonly destination?: string;
  /** Part of sender or recipient; letters of ASCII in either case. */
  readonly text?: string;
}

/** Sums over recipients since the store was made; `accepted` = all the others. */
export interface Counters {
  readonly accepted: number;
  readonly delivered: number;
  readonly reported: number;
  readonly excepted: number;
  readonly removed: number;
  readonly queued: number;
  readonly held: number;
}

// --- the store ----------------------------------------------------------------------------------------------------

export interface Store {
  /** How long a claim holds without being renewed. */
  readonly leaseMs: number;
  /**
   * Durable when it resolves. A delivery of `unit.mails` that is not held is claimed by us from the start; a mail whose last delivery ends
   * goes with its contents. A change to a delivery that is not there, or that another gateway has claimed since, changes nothing.
   * Rejects with `StoreError`; nothing of the unit is there then, with one exception: a unit with changes whose answer was lost
   * (`unreachable`) may have been done, as a whole. To try it again is no harm: its mails are a `duplicate` then.
   */
  commit(unit: Unit): Promise<void>;
  writeContent(id: string): ContentWriter;
  /**
   * Queued deliveries whose time has come and that nobody has claimed, earliest first, now claimed by us until they are
   * changed or the lease ends. Whole mails stay together as far as `limit` allows, also where several gateways claim at the same
   * moment; less than is due may come then, or nothing, and the rest stays unclaimed.
   */
  claim(nowMs: WallMs, limit: number): Promise<readonly StoredDelivery[]>;
  /** When the next unclaimed delivery is due; undefined: none is queued. */
  nextDueMs(): Promise<WallMs | undefined>;
  /** Held deliveries, and queued ones nobody works on, whose `expiresMs` has passed; claimed as above. */
  claimExpired(nowMs: WallMs, limit: number): Promise<readonly StoredDelivery[]>;
  /**
   * Those of `deliveries` that are there and that nobody has claimed, as they are now and whatever their time; claimed as
   * above. For an operator, who must not change what is being delivered.
   */
  take(
    deliveries: readonly { readonly seq: number; readonly n: number }[],
    nowMs: WallMs,
  ): Promise<readonly StoredDelivery[]>;
  /** Work on these goes on: those of them that are still claimed by us are ours for another `leaseMs`. */
  renew(deliveries: readonly { readonly mail: string; readonly n: number }[]): Promise<void>;
  /** Gives a claim back unchanged. */
  release(deliveries: readonly { readonly mail: string; readonly n: number }[]): Promise<void>;
  mail(id: string): Promise<StoredMail | undefined>;
  content(id: string): Promise<StoredContent | undefined>;
  /** Octets `from` to `from + length` of a content. Rejects with `corrupt` where what is read is not what was written. */
  read(contentId: string, from: number, length: number): Promise<Uint8Array>;
  /** In order of acceptance, `limit` of them behind `after`, which need not be there any more. */
  list(
    filter: DeliveryFilter,
    limit: number,
    after?: { readonly seq: number; readonly n: number },
  ): Promise<readonly ListedDelivery[]>;
  counters(): Promise<Counters>;
  /** Waits for what was begun; gives all claims back. */
  close(): Promise<void>;
}

/** Stable words for logs, metrics and tests. */
export type StoreErrorCode =
  | 'full' // no room on the disk, or the quota
  | 'corrupt' // what is read is not what was written
  | 'owned' // another gateway has this directory
  | 'denied' // not readable or writable by us, or open to others
  | 'newer' // written by a later version of this program
  | 'unreachable' // the database server, or the thread that has the file, is not there for us
  | 'duplicate' // an id that is there already
  | 'closed'
  | 'failed'; // anything else; the message says what

/** What went wrong, and what to do about it, in words for an operator. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
