/**
 * What a report is made of (RFC 3464). Texts are JavaScript strings, not octets: whoever has octets decodes them first.
 * Nothing in it is trusted: every text may come from a stranger and is cleaned where it is written.
 */
import type { ReportLanguage } from './languages.ts';

/** `success` is one report on what was delivered, relayed and expanded. */
export type ReportKind = 'failed' | 'delayed' | 'success';

/** RFC 3464, 2.3.3. */
export type Action = 'failed' | 'delayed' | 'delivered' | 'relayed' | 'expanded';

/** What happened, in the words of the text for people. */
export type Why =
  | 'refused' // by the server the mail was offered to
  | 'expired' // nobody took it in time
  | 'service' // by a service of this System: OPES processing caused it
  | 'service-failed' // a service of this System did not work, and may not be left out
  | 'service-delayed' // a service of this System had it wait until its time was over
  | 'cannot-carry' // the next hop lacks an extension that the mail needs
  | 'no-route' // nobody takes mail for this address
  | 'loop' // it passed too many servers
  | 'delayed'
  | 'delivered'
  | 'relayed'
  | 'expanded';

export interface ReportInput {
  readonly kind: ReportKind;
  /** Our name: Reporting-MTA, and the host of MAILER-DAEMON. */
  readonly hostname: string;
  /** Of the report; with the host name its Message-ID. */
  readonly id: string;
  /** For the boundary: nobody who wrote a part of the report could guess it. */
  readonly nonce: string;
  readonly nowMs: number;
  /** The reverse-path of the mail. Never the null path: whoever calls has decided that there is somebody to tell. */
  readonly to: string;
  /** At least one, in order. */
  readonly languages: readonly ReportLanguage[];
  /** Whom to ask. */
  readonly contact: string;
  readonly mail: ReportedMail;
  /** At least one. */
  readonly recipients: readonly ReportedRecipient[];
  /** What is returned: the mail where it is given and fit, else its header. */
  readonly returned: { readonly header: Uint8Array; readonly full?: readonly Uint8Array[] | undefined };
}

/** The mail that the report is about. */
export interface ReportedMail {
  /** The id of trace, log and reply. */
  readonly id: string;
  /** The System's URI with the mail's id: the entry of `OPES-System`. */
  readonly systemEntry: string;
  /** The value of our `OPES-Via`, where the mail had one. */
  readonly via: string | undefined;
  /** ENVID, decoded. */
  readonly envelopeId: string | undefined;
  readonly arrivalMs: number;
  readonly receivedFrom: { readonly name: string; readonly address: string } | undefined;
  /** Its Message-ID field; used only where it is well-formed. */
  readonly messageId: string | undefined;
  /** It came with SMTPUTF8, so its sender can read it (RFC 6533). */
  readonly isUtf8: boolean;
  /** It came with BODY=8BITMIME or SMTPUTF8: only then are eight bits sent back. */
  readonly isEightBit: boolean;
}

export interface ReportedRecipient {
  /** ORCPT, decoded. */
  readonly original: { readonly type: string; readonly address: string } | undefined;
  /** As the sender's side named it in RCPT, never an address behind it (RFC 3464, 2.3.2: it may be confidential). */
  readonly final: string;
  readonly action: Action;
  /** Such as 5.1.1. */
  readonly status: string;
  readonly why: Why;
  /** The server it was offered to. */
  readonly remote: string | undefined;
  /** What that server answered, or what the service said in its place. */
  readonly reply: ReportReply | undefined;
  readonly lastAttemptMs: number | undefined;
  /** When the attempts end; `delayed` only. */
  readonly retryUntilMs: number | undefined;
  /** The service of this System that caused it. */
  readonly cause: ReportCause | undefined;
}

export interface ReportReply {
  readonly code: number;
  readonly enhanced: string | undefined;
  readonly text: readonly string[];
}

export interface ReportCause {
  readonly service: string;
  readonly kind: 'refused' | 'failed' | 'delayed';
  /** Why it failed: a reason of the failure policy. */
  readonly reason: string | undefined;
  /** Whether a request to leave it out can be honoured. */
  readonly isBypassable: boolean;
}

/** The report as it goes out, and what it asks of the next hop. */
export interface Report {
  readonly chunks: readonly Buffer[];
  readonly size: number;
  /** It has octets beyond ASCII: BODY=8BITMIME. */
  readonly isEightBit: boolean;
  /** Its own header has: SMTPUTF8. */
  readonly isUtf8: boolean;
}
