/**
 * The two machines of a session. The first says what the next octet of the peer means:
 *
 *                 greet             STARTTLS              secured
 *     greeting ──────────▶ commands ───────────▶ tls ────────────────▶ commands
 *                           ▲    │
 *                    answer │    │ a command behind which nothing may be read yet
 *                           │    ▼
 *                          waiting ──go (DATA)──▶ content ──final dot──▶ waiting
 *                             └──────go (BDAT)──▶ chunk ───its octets──▶ commands, behind LAST waiting
 *
 *     commands ──AUTH──▶ waiting ──challenge──▶ response ──a line──▶ waiting ──the outcome──▶ commands
 *     commands ──XCLIENT──▶ commands, as after the greeting
 *     tls ──secured, where TLS comes first──▶ greeting
 *
 *     any ──a reply that ends the session is owed──▶ closing ──it is written──▶ closed
 */
import type { Reply } from '../reply.ts';
import type { DataReader } from './data-reader.ts';
import type { Intake } from './intake.ts';
import type { Place } from './reply-queue.ts';

export type Input =
  /** Not one octet may come. */
  | { readonly at: 'greeting' }
  | { readonly at: 'commands' }
  /** For the answer to a command. What comes is kept unread; behind DATA it ends the session; behind BDAT it is `chunk`. */
  | { readonly at: 'waiting'; readonly behind: 'anything' | 'nothing' | Chunk }
  | { readonly at: 'content'; readonly reader: DataReader; readonly intake: Intake }
  | { readonly at: 'chunk'; readonly chunk: Chunk }
  /** The next line is the client's answer to a SASL challenge, and no command. */
  | { readonly at: 'response' }
  | { readonly at: 'tls' }
  /** What comes is dropped. */
  | { readonly at: 'closing' }
  | { readonly at: 'closed' };

/** A BDAT chunk (RFC 3030). */
export interface Chunk {
  left: number;
  readonly isLast: boolean;
  /** Of its reply, which is written when all its octets are read. */
  readonly place: Place;
  /** Where the octets go, or why they are dropped. */
  fate: Intake | Reply;
}

export const GREETING: Input = { at: 'greeting' };
export const COMMANDS: Input = { at: 'commands' };
export const WAITING: Input = { at: 'waiting', behind: 'anything' };
export const WAITING_ALONE: Input = { at: 'waiting', behind: 'nothing' };
export const RESPONSE: Input = { at: 'response' };
export const TLS: Input = { at: 'tls' };
export const CLOSING: Input = { at: 'closing' };
export const CLOSED: Input = { at: 'closed' };

/**
 * The second is the mail transaction (RFC 5321, 3.3), as the handler knows it:
 *
 *            MAIL            250             DATA, BDAT         go                end
 *     none ───────▶ opening ─────▶ open ────────────▶ asked ──────▶ receiving ─────────▶ ended ──answer──▶ none
 *       ▲              │ refusal    │ RSET, EHLO        │ refusal      │ a flaw in the content
 *       └──────────────┴────────────┴───────────────────┴──────────────┘
 *
 * and any ──connection lost, QUIT──▶ none. The handler is told by `onReset` unless its own refusal was the cause.
 */
export type Transaction =
  | { readonly at: 'none' }
  /** The handler owes its answer to MAIL; RCPTs go to it meanwhile. */
  | { readonly at: 'opening'; readonly envelope: Envelope }
  | { readonly at: 'open'; readonly envelope: Envelope }
  /** The handler was told that content is to come. */
  | { readonly at: 'asked' }
  /** `intake` takes DATA's content, or that of all BDATs. */
  | { readonly at: 'receiving'; readonly intake: Intake }
  /** The handler owes the final answer. */
  | { readonly at: 'ended' };

export interface Envelope {
  readonly smtpUtf8: boolean;
  /** The client asked for a reply for each recipient. */
  readonly prdr: boolean;
  /** RCPTs asked, and of these accepted. */
  asked: number;
  accepted: number;
}

export const NONE: Transaction = { at: 'none' };
export const ASKED: Transaction = { at: 'asked' };
export const ENDED: Transaction = { at: 'ended' };

/** What a command's legality is judged by: before EHLO or HELO nothing but these is legal, then the transaction decides. */
export type Stage = 'start' | Transaction['at'];
