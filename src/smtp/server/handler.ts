/**
 * The seam between the SMTP session and whoever decides about mail. The session keeps the protocol: order, syntax,
 * caps, framing; the handler answers what is left. Everything is asked with a ticket, may be answered at once or
 * later, and is answered once; replies leave in the order of the commands, whatever the order of the answers.
 */
import type { Address } from '../address.ts';
import type { Parameters } from '../argument.ts';
import type { AuthQuestion } from '../sasl/mechanism.ts';

/** One for each command that owes a reply; they grow in the order of the commands. A ticket that is no longer owed (the session ended, MAIL was refused) may be answered in vain. */
export type Ticket = number;

export interface MailCommand {
  /** Normal form, such as `<a@b> SIZE=1`. */
  readonly argument: string;
  readonly reversePath: Address | null;
  readonly params: Parameters;
}

export interface RcptCommand {
  readonly argument: string;
  readonly forwardPath: Address;
  readonly params: Parameters;
}

/**
 * Why a mail transaction ended without an answer of the handler. LOST: the connection, whoever ended it. BAD_CONTENT
 * and TOO_BIG come as soon as they are known; the session drops the rest and refuses at the end of data.
 */
export type ResetCause = 'RSET' | 'HELLO' | 'QUIT' | 'LOST' | 'BAD_CONTENT' | 'TOO_BIG';

export interface ServerHandler {
  /** The usual answer is `session.answerHello(ticket)`; a refusal leaves everything as it was. LHLO of LMTP is EHLO here. */
  onHello(verb: 'EHLO' | 'HELO', name: string, ticket: Ticket): void;
  /** A refusal ends the transaction that began here; RCPTs asked meanwhile get 503 whatever is answered to them. */
  onMail(mail: MailCommand, ticket: Ticket): void;
  onRcpt(rcpt: RcptCommand, ticket: Ticket): void;
  /** DATA or the first BDAT, with at least one accepted recipient: `session.go(ticket)`, or a refusal, which ends the transaction. */
  onData(ticket: Ticket): void;
  /**
   * Content: dots unstuffed, final dot line gone. The octets are the handler's to keep; never tiny pieces in number. It holds no bare CR or LF; with DATA it is empty or ends with CRLF, with BDAT it may end in a line.
   */
  onContent(octets: Buffer): void;
  /**
   * All content came and is clean. The answer ends the transaction, whatever it is: one for the mail, or
   * `session.answerEach` where the recipients fared differently. (One BDAT LAST alone has the ticket it
   * had in `onData`.) `isDotFree`: it is known that no line begins with a dot.
   */
  onContentEnd(ticket: Ticket, isDotFree: boolean): void;
  onVerify(verb: 'VRFY' | 'EXPN', argument: string, ticket: Ticket): void;
  /**
   * A client logs in: an extra of those whose options offer AUTH. `session.answerAuth(ticket, answer)`, or a refusal (535, 454, 421), which
   * ends the exchange. `session.user` says who is logged in in the end: an exchange may break off after a good answer.
   */
  onAuth?(question: AuthQuestion, ticket: Ticket): void;
  /** The transaction in progress is over. Only called if one was open, that is from `onMail` to the answer that ends it. */
  onReset(cause: ResetCause): void;
  /** The session is over: last call. */
  onClosed(): void;
}

/** What the session needs of its shell. Nothing here may call back into the session before it returns. */
export interface ServerOut {
  /** Collected by the shell: one socket write for everything said in one turn. */
  write(latin1: string): void;
  /** Everything written goes out, then the TLS handshake starts; `secured()` tells its success. */
  startTls(): void;
  /** Everything written goes out, then the connection ends. `isAwaited`: the client said QUIT, and nothing behind it. */
  close(isAwaited: boolean): void;
  pauseInput(): void;
  resumeInput(): void;
}
