/**
 * What is said on the admin socket: one request a line, one answer a line, both JSON with the version in `v`. Only the
 * answer to `message` has more: so many octets, and a line that says they were all of them. Several requests may follow
 * each other on a connection; each waits for the answer before.
 *
 *     {"v":1,"do":"show","id":"q3Zk81aBcD7x.1"}
 *     {"v":1,"ok":{...}}       or       {"v":1,"error":{"code":"unknown","message":"..."}}
 */
import type {
  ActReport,
  MailRecord,
  QueuedMail,
  QueueEntry,
  QueueFilter,
  QueueOrder,
  QueuePage,
  QueuePlace,
} from '../../gateway/index.ts';
import type { Counters } from '../../store/index.ts';

export const VERSION = 1;

/** A request holds an id and some words. */
export const MAX_REQUEST_OCTETS = 64 * 1024;
/** The longest answer is a mail with the notes of 500 recipients, of at most 64 KiB each and mostly of a few octets. */
export const MAX_ANSWER_OCTETS = 64 * 1024 * 1024;

export type Request =
  | {
      readonly do: 'list';
      readonly filter: QueueFilter;
      readonly limit: number;
      readonly after?: QueuePlace | undefined;
    }
  | { readonly do: 'counters' }
  | { readonly do: 'show'; readonly id: string }
  | { readonly do: 'message'; readonly id: string }
  | { readonly do: 'act'; readonly order: QueueOrder }
  | { readonly do: 'trace'; readonly id: string };

/** What each request is answered with. */
export interface Answers {
  readonly list: QueuePage;
  readonly counters: Counters;
  readonly show: QueuedMail;
  readonly message: { readonly octets: number };
  readonly act: ActReport;
  readonly trace: TraceReport;
}

export interface TraceReport {
  /** The whole id of the mail, where the beginning of it was asked for. */
  readonly id: string;
  /** Of the last mails; without its octets. */
  readonly record: Omit<MailRecord, 'before' | 'after'> | undefined;
  /** What of it is in the queue, its reports included. */
  readonly entries: readonly QueueEntry[];
  /** How many mails the gateway remembers. */
  readonly remembered: number;
}

export type ErrorCode =
  | 'bad-request' // no JSON, or not what this says
  | 'version'
  | 'too-long'
  | 'busy' // too many clients
  | 'unknown' // no such mail or recipient
  | 'ambiguous'
  | 'failed'; // the log says more

export interface ErrorAnswer {
  readonly code: ErrorCode;
  readonly message: string;
}

export type AnswerLine<T> =
  | { readonly v: number; readonly ok: T }
  | { readonly v: number; readonly error: ErrorAnswer };
