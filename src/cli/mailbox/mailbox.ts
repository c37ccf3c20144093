/**
 * The built-in next hop (`nextHop: mailbox`): a small SMTP server on loopback that keeps what it gets as files. For
 * trying out; it is no mail server (no users, no access to it but through the file system). As final delivery it puts
 * `Return-Path` and `Delivered-To` on top (RFC 5321, 4.4); everything below is the mail as it was relayed.
 */
import { join } from 'node:path';
import type { Log } from '../../base/index.ts';
import type { EffectiveConfig } from '../../config/index.ts';
import {
  type MailCommand,
  type RcptCommand,
  replies,
  reply,
  type ServerHandler,
  type SmtpConnection,
  SmtpListener,
  type Ticket,
  writePath,
} from '../../smtp/index.ts';
import { type Delivery, Maildrop } from './maildrop.ts';

const HOST = '127.0.0.1';
/** The gateway is the only client; it ends its idle connections itself. */
const IDLE_MS = 300_000;

export class Mailbox {
  readonly host = HOST;
  readonly #listener: SmtpListener;

  private constructor(listener: SmtpListener) {
    this.#listener = listener;
  }

  get port(): number {
    return this.#listener.port;
  }

  static async open(config: MailboxConfig, log: Log): Promise<Mailbox> {
    const drop = new Maildrop(join(config.dataDir, 'mailbox'));
    const options = { ...mailboxSettings(config), host: HOST, port: 0, log, tls: undefined, idleMs: IDLE_MS };
    return new Mailbox(await SmtpListener.listen(options, (connection) => new MailboxSession(connection, drop, log)));
  }

  /** Mails in progress are the gateway's, and it is closed before. */
  async close(): Promise<void> {
    await this.#listener.close(0);
  }
}

type MailboxConfig = Pick<EffectiveConfig, 'dataDir' | 'hostname' | 'listeners' | 'limits'>;

/** What a mailbox takes over from a configuration: with the same, it may stay. */
export function mailboxSettings({ hostname, listeners, limits }: MailboxConfig) {
  return {
    hostname: `mailbox.${hostname}`,
    // Services may make a mail longer than it came in.
    maxSizeOctets: 2 * Math.max(...listeners.map((listener) => listener.maxSizeOctets)),
    maxRecipients: Math.max(...listeners.map((listener) => listener.maxRecipients)),
    maxConnections: limits.nextHopConnections + 10,
    maxConnectionsPerPeer: limits.nextHopConnections + 10,
  };
}

class MailboxSession implements ServerHandler {
  readonly #connection: SmtpConnection;
  readonly #drop: Maildrop;
  readonly #log: Log;
  #from = '';
  #to: string[] = [];
  #delivery: Delivery | undefined;

  constructor(connection: SmtpConnection, drop: Maildrop, log: Log) {
    this.#connection = connection;
    this.#drop = drop;
    this.#log = log;
  }

  onHello(_verb: 'EHLO' | 'HELO', _name: string, ticket: Ticket): void {
    this.#connection.answerHello(ticket);
  }

  onMail(mail: MailCommand, ticket: Ticket): void {
    this.#from = writePath(mail.reversePath);
    this.#to = [];
    this.#connection.answer(ticket, replies.mailOk);
  }

  onRcpt(rcpt: RcptCommand, ticket: Ticket): void {
    this.#to.push(rcpt.forwardPath.text);
    this.#connection.answer(ticket, replies.rcptOk);
  }

  onData(ticket: Ticket): void {
    const delivery = this.#drop.begin();
    this.#delivery = delivery;
    const deliveredTo = this.#to.map((address) => `Delivered-To: ${address}\r\n`).join('');
    delivery.write(Buffer.from(`Return-Path: ${this.#from}\r\n${deliveredTo}`, 'latin1'), () => undefined);
    this.#connection.go(ticket);
  }

  onContent(octets: Buffer): void {
    if (this.#delivery?.write(octets, this.#resume) === false) this.#connection.pauseContent();
  }

  readonly #resume = (): void => this.#connection.resumeContent();

  onContentEnd(ticket: Ticket): void {
    const delivery = this.#delivery;
    this.#delivery = undefined;
    if (delivery === undefined) return;
    delivery.keep().then(
      () => this.#connection.answer(ticket, reply(250, '2.0.0', `kept as ${delivery.name}`)),
      (error: unknown) => {
        delivery.discard();
        this.#log.error('mailbox-failed', { error: error instanceof Error ? error.message : String(error) });
        this.#connection.answer(ticket, reply(452, '4.3.1', 'the mailbox cannot keep this mail'));
      },
    );
  }

  onVerify(_verb: 'VRFY' | 'EXPN', _argument: string, ticket: Ticket): void {
    this.#connection.answer(ticket, replies.cannotVerify);
  }

  onReset(): void {
    this.#delivery?.discard();
    this.#delivery = undefined;
  }

  onClosed(): void {
    this.onReset();
  }
}
