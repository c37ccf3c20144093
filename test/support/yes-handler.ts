/** The simplest handler of an SMTP server. */
import {
  type ResetCause,
  replies,
  type ServerHandler,
  type SmtpConnection,
  type Ticket,
} from '../../src/smtp/index.ts';

/** Says yes to everything at once, but keeps the final answer where the test wants to give it. */
export class YesHandler implements ServerHandler {
  readonly connection: SmtpConnection;
  readonly resets: ResetCause[] = [];
  readonly content: Buffer[] = [];
  isClosed = false;
  onEnd: (ticket: Ticket) => void = (ticket) => this.connection.answer(ticket, replies.accepted);
  onPiece: (octets: Buffer) => void = () => undefined;

  constructor(connection: SmtpConnection) {
    this.connection = connection;
  }

  onHello(_verb: 'EHLO' | 'HELO', _name: string, ticket: Ticket): void {
    this.connection.answerHello(ticket);
  }

  onMail(_mail: unknown, ticket: Ticket): void {
    this.connection.answer(ticket, replies.mailOk);
  }

  onRcpt(_rcpt: unknown, ticket: Ticket): void {
    this.connection.answer(ticket, replies.rcptOk);
  }

  onData(ticket: Ticket): void {
    this.connection.go(ticket);
  }

  onContent(octets: Buffer): void {
    this.content.push(octets);
    this.onPiece(octets);
  }

  onContentEnd(ticket: Ticket): void {
    this.onEnd(ticket);
  }

  onVerify(): void {
    throw new Error('a bug in a handler');
  }

  onReset(cause: ResetCause): void {
    this.resets.push(cause);
  }

  onClosed(): void {
    this.isClosed = true;
  }
}
