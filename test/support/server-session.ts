/**
 * A server session without a socket: what a client sends goes in, what the session says is kept, and a handler that
 * does as the test wants answers at once, holds its answer, or refuses. Mails it took are kept whole.
 */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { asBuffer } from '../../src/base/index.ts';
import {
  type AuthAnswer,
  type AuthQuestion,
  type MailCommand,
  makeServerOptions,
  type RcptCommand,
  type Reply,
  type ResetCause,
  replies,
  reply,
  type ServerHandler,
  type ServerOptions,
  type ServerOut,
  ServerSession,
  type Ticket,
} from '../../src/smtp/index.ts';

export type Question = 'hello' | 'mail' | 'rcpt' | 'data' | 'end' | 'verify' | 'auth';

export interface TakenMail {
  readonly from: string;
  readonly to: readonly string[];
  readonly content: Buffer;
}

/** What a handler usually says. Recipients are judged by their local part: `unknown` 550, `later` 451, `gone` 421. */
function usual(question: Question, subject: string): Reply {
  if (question === 'mail') return subject.includes('banned') ? reply(550, '5.7.1', 'Banned') : replies.mailOk;
  if (question === 'rcpt') {
    if (subject.includes('unknown')) return reply(550, '5.1.1', 'No such user');
    if (subject.includes('later')) return reply(451, '4.7.1', 'Come again');
    if (subject.includes('gone')) return reply(421, '4.3.2', 'Going down');
    return replies.rcptOk;
  }
  if (question === 'verify') return replies.cannotVerify;
  return question === 'end' ? replies.accepted : replies.ok;
}

/** What becomes of a recipient at the end of the data, where they are told apart: `full` 552, `busy` 452. */
function fate(recipient: string): Reply {
  if (recipient.includes('full')) return reply(552, '5.2.2', 'Mailbox full');
  return recipient.includes('busy') ? reply(452, '4.2.1', 'Mailbox busy') : replies.accepted;
}

/** `user` with the password `pencil`, and the salt, keys and nonce of the example in RFC 7677, 3. */
function authAnswer(question: AuthQuestion): AuthAnswer | { readonly kind: 'refused' } {
  switch (question.kind) {
    case 'password':
      return question.user === 'user' && question.password === 'pencil' ? { kind: 'accepted' } : { kind: 'refused' };
    case 'salt':
      return {
        kind: 'salted',
        salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
        iterations: 4096,
        nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
      };
    case 'proof': {
      const salted = saltedPassword();
      const clientKey = hmac(salted, 'Client Key');
      const storedKey = createHash('sha256').update(clientKey).digest();
      const signature = hmac(storedKey, question.authMessage);
      if (!signature.every((octet, i) => (octet ^ (clientKey[i] ?? 0)) === question.proof[i]))
        return { kind: 'refused' };
      return { kind: 'proven', signature: hmac(hmac(salted, 'Server Key'), question.authMessage) };
    }
  }
}

let knownPassword: Buffer | undefined;

/** Made once: dialogs run hundreds of times. */
function saltedPassword(): Buffer {
  knownPassword ??= pbkdf2Sync('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4096, 32, 'sha256');
  return knownPassword;
}

function hmac(key: Buffer, data: string | Uint8Array): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

export interface Held {
  readonly question: Question;
  readonly ticket: Ticket;
  readonly subject: string;
}

export class SessionRig implements ServerHandler, ServerOut {
  readonly session: ServerSession;
  /** All that was said, and what happened at the seam, in order. */
  said = '';
  readonly resets: ResetCause[] = [];
  readonly mails: TakenMail[] = [];
  readonly hellos: string[] = [];
  readonly verified: string[] = [];
  /** Of the mails: who had logged in, and what proxies said of the client. */
  readonly identities: string[] = [];
  /** Sizes of the pieces of content. */
  readonly pieces: number[] = [];
  isClosed = false;
  isPaused = false;
  closedCalls = 0;
  tlsStarts = 0;
  /** Questions whose answers wait for `answer`. */
  readonly holding = new Set<Question>();
  readonly held: Held[] = [];
  /** Other answers than the usual. */
  readonly answers = new Map<Question, Reply>();
  readonly #questions = new Map<Ticket, AuthQuestion>();
  #from = '';
  #to: string[] = [];
  #content: Buffer[] = [];

  constructor(options: Partial<ServerOptions> = {}) {
    const all = makeServerOptions({ hostname: 'mx.example.com', ...options });
    this.session = new ServerSession(all, this, this);
  }

  /** As after the greeting and EHLO, which are not kept. */
  static greeted(options: Partial<ServerOptions> = {}): SessionRig {
    const rig = new SessionRig(options);
    rig.session.greet();
    rig.send('EHLO client.example.com\r\n');
    rig.said = '';
    return rig;
  }

  /** In memory that is used again as soon as it was read, as a socket's is. */
  send(octets: string | Uint8Array): this {
    if (this.isClosed) return this;
    const chunk = typeof octets === 'string' ? Buffer.from(octets, 'latin1') : Buffer.from(asBuffer(octets));
    this.session.recv(chunk);
    chunk.fill('#');
    return this;
  }

  /** What was said since the last call. */
  heard(): string {
    const said = this.said;
    this.said = '';
    return said;
  }

  /** Answers the oldest held question of that kind. */
  answer(question: Question, other?: Reply): void {
    const at = this.held.findIndex((one) => one.question === question);
    const [one] = this.held.splice(at, 1);
    if (at < 0 || one === undefined) throw new Error(`no held question '${question}'`);
    this.#answer(one, other);
  }

  // ServerHandler

  onHello(verb: 'EHLO' | 'HELO', name: string, ticket: Ticket): void {
    this.hellos.push(`${verb} ${name}`);
    this.#asked('hello', ticket, name);
  }

  onMail(mail: MailCommand, ticket: Ticket): void {
    this.#from = mail.argument;
    this.#to = [];
    this.#content = [];
    const { user, client, forwarded } = this.session;
    const shown = (of: ReadonlyMap<string, string | undefined>) =>
      [...of].map(([name, value]) => ` ${name}=${value ?? '?'}`).join('');
    this.identities.push(`user ${user === '' ? '-' : user} client${shown(client)} forwarded${shown(forwarded)}`);
    this.#asked('mail', ticket, mail.argument);
  }

  onRcpt(rcpt: RcptCommand, ticket: Ticket): void {
    this.#asked('rcpt', ticket, rcpt.argument);
  }

  onData(ticket: Ticket): void {
    this.#asked('data', ticket, '');
  }

  onContent(octets: Buffer): void {
    this.pieces.push(octets.length);
    this.#content.push(octets);
  }

  onContentEnd(ticket: Ticket): void {
    this.#asked('end', ticket, '');
  }

  onVerify(verb: 'VRFY' | 'EXPN', argument: string, ticket: Ticket): void {
    this.verified.push(`${verb} ${argument}`);
    this.#asked('verify', ticket, argument);
  }

  onAuth(question: AuthQuestion, ticket: Ticket): void {
    this.#questions.set(ticket, question);
    this.#asked('auth', ticket, question.user);
  }

  onReset(cause: ResetCause): void {
    this.resets.push(cause);
  }

  onClosed(): void {
    this.closedCalls++;
  }

  // ServerOut

  write(latin1: string): void {
    if (this.isClosed) throw new Error('written after close');
    this.said += latin1;
  }

  startTls(): void {
    this.tlsStarts++;
  }

  close(): void {
    if (this.isClosed) throw new Error('closed twice');
    this.isClosed = true;
  }

  pauseInput(): void {
    this.isPaused = true;
  }

  resumeInput(): void {
    this.isPaused = false;
  }

  #asked(question: Question, ticket: Ticket, subject: string): void {
    const one: Held = { question, ticket, subject };
    if (this.holding.has(question)) this.held.push(one);
    else this.#answer(one, undefined);
  }

  #answer({ question, ticket, subject }: Held, other: Reply | undefined): void {
    const answer = other ?? this.answers.get(question);
    if (question === 'rcpt' && (answer ?? usual('rcpt', subject)).code === 250) this.#to.push(subject);
    const auth = this.#questions.get(ticket);
    this.#questions.delete(ticket);
    if (auth !== undefined && answer === undefined) {
      const given = authAnswer(auth);
      if (given.kind === 'refused') this.session.answer(ticket, replies.authRefused);
      else this.session.answerAuth(ticket, given);
    } else if (question === 'hello' && answer === undefined) {
      this.session.answerHello(ticket);
    } else if (question === 'data' && answer === undefined) {
      this.session.go(ticket);
    } else {
      const said = answer ?? usual(question, subject);
      if (question === 'end' && answer === undefined && this.#to.some((to) => fate(to) !== replies.accepted)) {
        const to = this.#to.filter((one) => fate(one) === replies.accepted);
        if (to.length > 0) this.mails.push({ from: this.#from, to, content: Buffer.concat(this.#content) });
        this.session.answerEach(ticket, this.#to.map(fate));
        return;
      }
      if (question === 'end' && said.code === 250) {
        this.mails.push({ from: this.#from, to: this.#to, content: Buffer.concat(this.#content) });
      }
      this.session.answer(ticket, said);
    }
  }
}

/** `octets` whole, one by one, and in two for each place to cut. */
export function* everyCut(octets: Buffer): Generator<readonly Buffer[]> {
  yield [octets];
  yield Array.from(octets, (_, i) => octets.subarray(i, i + 1));
  for (let i = 1; i < octets.length; i++) yield [octets.subarray(0, i), octets.subarray(i)];
}
