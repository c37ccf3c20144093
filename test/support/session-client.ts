/** A client at a whole session of the gateway, without sockets: the real session engine and dialog over a mail rig. */
import type { Authenticator } from '../../src/gateway/auth/authenticator.ts';
import { Dialog, type DialogConnection } from '../../src/gateway/dialog/dialog.ts';
import type { ListenerOptions } from '../../src/gateway/options.ts';
import { type ClientAttributes, makeServerOptions, type ServerOptions, ServerSession } from '../../src/smtp/index.ts';
import { LISTENER, type MailRig } from './mail-rig.ts';

/** Who the client is, and how it may log in. */
export interface SessionClientOptions {
  readonly remoteAddress?: string;
  readonly auth?: Authenticator | undefined;
}

export class SessionClient implements DialogConnection {
  readonly remoteAddress: string;
  readonly session: ServerSession;
  isClosed = false;
  /** The gateway is done with the session. */
  isOver = false;
  /** As if it had said STARTTLS. */
  isInTls = false;
  #said = '';
  #wake: () => void = () => undefined;

  constructor(
    rig: MailRig,
    listener: Partial<ListenerOptions> = {},
    options: Partial<ServerOptions> = {},
    { remoteAddress = '192.0.2.1', auth }: SessionClientOptions = {},
  ) {
    this.remoteAddress = remoteAddress;
    const onOver = (): void => {
      this.isOver = true;
    };
    const dialog = new Dialog(rig.world, { ...LISTENER, ...listener }, this, 'session', onOver, auth);
    this.session = new ServerSession(makeServerOptions({ hostname: 'mx.example.com', ...options }), dialog, {
      write: (text) => {
        this.#said += text;
        this.#wake();
      },
      startTls() {},
      close: () => {
        this.isClosed = true;
        this.#wake();
      },
      pauseInput() {},
      resumeInput() {},
    });
    this.session.greet();
    this.heard();
  }

  /** What was said since the last call. */
  heard(): string {
    const said = this.#said;
    this.#said = '';
    return said;
  }

  send(octets: string): void {
    this.session.recv(Buffer.from(octets, 'latin1'));
  }

  /** The whole replies to the next `n` commands, lines joined by `|`. */
  async replies(n: number): Promise<string[]> {
    const all = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/gm;
    while ((this.#said.match(all)?.length ?? 0) < n) {
      if (this.isClosed) throw new Error(`closed: ${this.#said}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return (this.heard().match(all) ?? []).map((reply) => reply.trimEnd().replaceAll('\r\n', '|'));
  }

  /** The reply to the line. */
  async say(line: string): Promise<string> {
    this.send(`${line}\r\n`);
    return (await this.replies(1))[0] ?? '';
  }

  /** The reply to the last of the lines. */
  async all(...lines: readonly string[]): Promise<string> {
    let last = '';
    for (const line of lines) last = await this.say(line);
    return last;
  }

  /** A whole mail; the last reply. */
  async mail(content = 'Subject: x\r\n\r\nx'): Promise<string> {
    await this.say('MAIL FROM:<a@src.example>');
    await this.say('RCPT TO:<b@dst.example>');
    await this.say('DATA');
    return this.say(`${content}\r\n.`);
  }

  /** The client goes away without a word. */
  hangUp(): void {
    this.session.ended();
  }

  get isSecure(): boolean {
    return this.isInTls || this.session.isSecure;
  }

  get user(): string {
    return this.session.user;
  }

  get client(): ClientAttributes {
    return this.session.client;
  }

  get forwarded(): ClientAttributes {
    return this.session.forwarded;
  }

  answer(...[ticket, reply]: Parameters<DialogConnection['answer']>): void {
    this.session.answer(ticket, reply);
  }

  answerEach(...[ticket, each]: Parameters<DialogConnection['answerEach']>): void {
    this.session.answerEach(ticket, each);
  }

  answerHello(ticket: number): void {
    this.session.answerHello(ticket);
  }

  answerAuth(...[ticket, answer]: Parameters<DialogConnection['answerAuth']>): void {
    this.session.answerAuth(ticket, answer);
  }

  go(ticket: number): void {
    this.session.go(ticket);
  }

  pauseContent(): void {}

  resumeContent(): void {}
}
