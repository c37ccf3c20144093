/**
 * The seam between whoever relays a mail and the next hop it goes to: an envelope and content in, the hop's replies out.
 * One `Outbound` is one mail transaction. What it looks like on the wire, on which connection, and whether it had to be
 * begun anew there, is hidden behind it.
 *
 * Events never come from within a call of an `Outbound`'s methods, but always later.
 */
import type { Reply } from '../reply.ts';
import type { ClientIdentity } from './identity.ts';

export interface OutboundEnvelope {
  /** The reverse-path as it stands in MAIL, `<a@b>` or `<>`, without parameters. */
  readonly mail: string;
  /**
   * What the mail needs or asks for, by upper-case keyword: `BODY`, `SMTPUTF8`, and `SIZE` only where the final size is
   * known. A need the hop does not offer fails the mail; a wish it does not offer (`RET`, `ENVID`) is left out.
   */
  readonly params: ReadonlyMap<string, string | true>;
  /** Whose mail it is, for a hop that is told (`identity`); undefined for mail of our own. */
  readonly client?: ClientIdentity | undefined;
  /** Our id of the mail, for XFORWARD. */
  readonly ident?: string | undefined;
}

export interface OutboundEvents {
  /** MAIL was refused: told once, before the recipients get that reply one by one. Whoever knows another hop may `abort` and go there. */
  onMailRefused?(reply: Reply): void;
  /** The hop's answer to the recipient that was the `index`th call of `rcpt()`. Where MAIL is refused, everyone gets MAIL's reply. */
  onRcptReply(index: number, reply: Reply): void;
  /** 354: content may come. Anything else is the hop's refusal, and the last event. */
  onDataReply(reply: Reply): void;
  /** `content()` may be called again after it said false. */
  onDrain(): void;
  /**
   * The hop's answer to the mail (2yz, 4yz or 5yz but 421). The last event. `each` only where the hop answers for each
   * recipient (LMTP): by the index of `rcpt()`, undefined where RCPT was refused. `reply` then is positive only if all
   * of them are: the first of them, else the first that is not positive. Where the connection was lost between two of
   * them, 451 stands for each that is missing: those delivered must not be sent again because of those that were not.
   */
  onFinalReply(reply: Reply, each?: readonly (Reply | undefined)[]): void;
  /** There is no answer of the hop to this mail. The last event. */
  onFailed(failure: OutboundFailure): void;
}

/** How far the dialog was. `connect` is TCP, `hello` everything up to the first MAIL: greeting, EHLO, STARTTLS and TLS. */
export type Stage = 'connect' | 'hello' | 'envelope' | 'data' | 'final';

/** Why there is no answer. Stable words for logs, metrics and tests. */
export type FailureReason =
  | 'unreachable' // no TCP connection
  | 'refused' // greeting, EHLO, HELO or STARTTLS answered with a refusal
  | 'lost' // the connection ended without a word
  | 'closing' // 421, whenever it came
  | 'tls' // the TLS handshake failed
  | 'no-tls' // TLS is required, and the hop does not offer it, or not now
  | 'untrusted' // TLS stands, but with a certificate that is not the hop's
  | 'auth' // the hop does not take our login, or cannot be trusted with it
  | 'identity' // the hop cannot be told whose mail it is, or does not take it from us
  | 'starttls-injection' // octets in clear behind the 220 to STARTTLS
  | 'timeout' // no reply, or no octets taken, in time
  | 'bad-reply' // not the grammar of a reply, or beyond a cap
  | 'unsolicited' // a reply nothing was asked for
  | 'out-of-place' // a reply of a class the command cannot have
  | 'cannot-carry' // the hop does not offer what the mail needs; `reply` is ours and meant for the client
  | 'changed' // the transaction was made again, and the hop no longer says what we passed on
  | 'busy' // too many mails wait for this hop, or this one for too long
  | 'shutdown'; // our side closes

export interface OutboundFailure {
  readonly stage: Stage;
  readonly reason: FailureReason;
  /** The rule a bad reply broke, or the system's error code. For the log. */
  readonly detail?: string;
  /** The reply that led here, as it came from the hop (except for `cannot-carry`). See `replyToFailure`. */
  readonly reply?: Reply;
  /** The final dot or the BDAT LAST was given to the socket: the hop may have the mail. */
  readonly sent: boolean;
}

export interface DataOptions {
  /**
   * The content must arrive octet for octet although the framing of DATA cannot carry it so: it lacks a final CRLF, or
   * has bare CR or LF. BDAT is used where the hop offers it; where not, DATA is, and adds the final CRLF.
   */
  readonly exact: boolean;
  /**
   * What goes in front of the content where the hop was not sent what the mail asks of OPES processors, as it does not offer
   * OPES. Asked on each connection the content is begun on, when every recipient has its answer: hops may offer other things on
   * the next one.
   */
  readonly withoutOpes?: (() => Uint8Array | undefined) | undefined;
}

export interface Outbound {
  /**
   * One more recipient: `<a@b>`, perhaps with parameters behind it; further ones in `params`, by upper-case keyword. What
   * the hop does not offer is left out. The first recipient leaves together with MAIL.
   */
  rcpt(argument: string, params?: ReadonlyMap<string, string | true>): void;
  /**
   * No more recipients. DATA leaves when every recipient has its answer and one of them was accepted; where the hop takes pipelined
   * commands, and this is called before, together with the recipients (RFC 2920 section 3.1). `onDataReply` comes behind their answers
   * either way.
   */
  data(options?: DataOptions): void;
  /**
   * Content as it is, without dots stuffed; after `onDataReply` said 354. The chunks are kept by reference until they are
   * written: do not reuse them. `isDotFree` where it is known that no dot stands behind an LF in them. False: wait for
   * `onDrain` before the next call.
   */
  content(chunks: readonly Uint8Array[], last: boolean, isDotFree?: boolean): boolean;
  /** The mail is given up: RSET or an end of the connection, as the state demands. No event comes any more. */
  abort(): void;
  /**
   * Whether the hop was sent what was asked for by way of DSN (NOTIFY, ORCPT, RET, ENVID), as it offers it; known with the
   * first answer to a recipient. Where it was not, reports are ours to make (RFC 3461 section 5.2.2).
   */
  readonly passesDsn: boolean | undefined;
}
