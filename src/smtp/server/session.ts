/**
 * The server's side of one SMTP session (RFC 5321), without a socket: octets in by `recv`, replies and few orders out
 * by `ServerOut`, decisions asked of a `ServerHandler`. This file reads: it cuts the octets into commands and content
 * as the dialog (`dialog.ts`) says they are, and keeps what cannot be read yet. The machines are drawn in `state.ts`.
 *
 * Whatever the peer sends, nothing here throws and what is kept is bounded; what it does too much of ends the session
 * with 421, and what no honest client does ends it with 5yz. Answers to tickets no longer owed are ignored.
 */
import { EMPTY, type Step } from '../../base/index.ts';
import { MAX_AUTH_LINE } from '../limits.ts';
import { replies } from '../replies.ts';
import type { Reply } from '../reply.ts';
import type { AuthAnswer } from '../sasl/mechanism.ts';
import type { ClientAttributes } from './client-attributes.ts';
import { type LineRule, splitLine, takeLine } from './command-line.ts';
import type { DataReader } from './data-reader.ts';
import { Dialog } from './dialog.ts';
import type { ServerHandler, ServerOut, Ticket } from './handler.ts';
import type { Intake } from './intake.ts';
import type { ServerOptions } from './options.ts';
import type { Chunk, Input } from './state.ts';

/** Whom the session waits for; the shell's deadlines follow it. */
export type WaitsFor = 'greeting' | 'command' | 'content' | 'handler' | 'tls' | 'nothing';

const WAITS_FOR: Readonly<Record<Input['at'], WaitsFor>> = {
  greeting: 'greeting',
  commands: 'command',
  waiting: 'handler',
  response: 'command',
  content: 'content',
  chunk: 'content',
  tls: 'tls',
  closing: 'handler',
  closed: 'nothing',
};

const QUIT_OCTETS = 'QUIT\r\n'.length;

export class ServerSession {
  readonly #options: ServerOptions;
  readonly #out: ServerOut;
  readonly #dialog: Dialog;
  /** Beyond so many octets unread the peer has to wait; a line that may come fits. */
  readonly #maxHeld: number;
  /** What came and was not read yet starts at `#at`. */
  #buf: Buffer = EMPTY;
  #at = 0;
  /** What `recv` was given, while it is read. */
  #chunk: Buffer = EMPTY;
  #isReading = false;
  #isPaused = false;
  #isHalfClosed = false;

  constructor(options: ServerOptions, handler: ServerHandler, out: ServerOut) {
    this.#options = options;
    this.#out = out;
    this.#maxHeld = options.auth === 'none' ? options.limits.held : Math.max(options.limits.held, MAX_AUTH_LINE);
    this.#dialog = new Dialog(options, handler, out);
  }

  get isSecure(): boolean {
    return this.#dialog.isSecure;
  }

  /** Who logged in, or ''. */
  get user(): string {
    return this.#dialog.identity.user;
  }

  /** What XCLIENT said of the client; empty without one. */
  get client(): ClientAttributes {
    return this.#dialog.identity.client;
  }

  /** What XFORWARD said of the next mail's client; to be read in `onMail`. No authority. */
  get forwarded(): ClientAttributes {
    return this.#dialog.identity.forwarded;
  }

  /** Whether the handler is being given content: not while content it will not see is dropped. */
  get isReceiving(): boolean {
    return this.#dialog.transaction.isReceiving;
  }

  get waitsFor(): WaitsFor {
    const { input, owed } = this.#dialog;
    return input.at === 'commands' && owed > 0 ? 'handler' : WAITS_FOR[input.at];
  }

  /** Grows with every command and answer: a peer that keeps the same figure has not moved on. */
  get steps(): number {
    return this.#dialog.steps;
  }

  /** Writes the greeting, held until now: octets before it end the session. A refusal (421, 554) ends it as well. */
  greet(refusal?: Reply): void {
    this.#dialog.greet(refusal);
    this.#read();
  }

  /** Keeps nothing of `chunk` by reference: its memory may be the next read's. */
  recv(chunk: Buffer): void {
    const rest = this.#buf.length - this.#at;
    this.#buf = rest === 0 ? chunk : Buffer.concat([this.#buf.subarray(this.#at), chunk]);
    this.#chunk = chunk;
    this.#at = 0;
    this.#read();
  }

  /** The handler's word on what it was asked. A reply with code 421 ends the session. */
  answer(ticket: Ticket, reply: Reply): void {
    this.#dialog.answer(ticket, reply);
    this.#read();
  }

  /**
   * The answer to `onContentEnd` for each accepted recipient, in the order of the RCPTs; none of them is 421. A client that
   * hears one reply for the mail is given `overallReply` of them. An `answer` is the same word on everybody.
   */
  answerEach(ticket: Ticket, each: readonly Reply[]): void {
    this.#dialog.answerEach(ticket, each);
    this.#read();
  }

  /** The usual answer to `onHello`. */
  answerHello(ticket: Ticket): void {
    this.#dialog.answerHello(ticket);
    this.#read();
  }

  /** The answer to `onAuth`; a refusal is an `answer`. */
  answerAuth(ticket: Ticket, answer: AuthAnswer): void {
    this.#dialog.answerAuth(ticket, answer);
    this.#read();
  }

  /** The usual answer to `onData`: content may come. */
  go(ticket: Ticket): void {
    this.#dialog.go(ticket);
    this.#read();
  }

  /** Ends the session with `farewell` (421) as soon as no mail and no answer is under way. */
  shutdown(farewell: Reply): void {
    this.#dialog.shutdown(farewell);
    this.#read();
  }

  /** Ends it now, whatever is under way: for deadlines, and for a shutdown that waited long enough. */
  cut(farewell: Reply): void {
    this.#dialog.cut(farewell);
    this.#read();
  }

  /** The connection is gone. */
  ended(): void {
    this.#dialog.ended();
    this.#read();
  }

  /**
   * The client sends no more, and can still hear. One that said QUIT behind all it wanted waits for its replies: Exim closes
   * its side behind BDAT LAST and QUIT, before it hears of its MAIL. Any other has gone. Returns whether the session goes on.
   */
  halfClosed(): boolean {
    const rest = this.#buf.length - this.#at;
    this.#isHalfClosed = rest >= QUIT_OCTETS && /(?:^|\r\n)QUIT *\r\n$/i.test(this.#end(rest));
    if (!this.#isHalfClosed) this.ended();
    return this.#isHalfClosed;
  }

  #end(rest: number): string {
    return this.#buf.toString('latin1', this.#buf.length - Math.min(rest, 2 * QUIT_OCTETS));
  }

  /** TLS is up: nothing said before counts any more (RFC 3207, 4.2). Where TLS comes first, `greet` is next. */
  secured(): void {
    this.#buf = EMPTY;
    this.#at = 0;
    this.#dialog.secured();
  }

  /** Reads on until nothing is left or something must be waited for. Answers given meanwhile just let it go on. */
  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#at < this.#buf.length && this.#readNext()) {}
    this.#isReading = false;
    this.#keepRest();
    if (this.#isHalfClosed && this.#isDry) this.#giveUp();
  }

  /** Whether it can only go on with octets that are not there. */
  get #isDry(): boolean {
    return this.waitsFor === 'command' || this.waitsFor === 'content';
  }

  /** What looked like a QUIT at the end was not. */
  #giveUp(): void {
    this.#isHalfClosed = false;
    this.#dialog.ended();
    this.#out.close(false);
  }

  /** False: what is left cannot be read now. */
  #readNext(): boolean {
    const { input } = this.#dialog;
    switch (input.at) {
      case 'greeting':
        this.#dialog.hangUp(replies.spokeTooSoon);
        return true;
      case 'commands':
        return this.#readCommand();
      case 'response':
        return this.#readResponse();
      case 'waiting':
        if (input.behind !== 'nothing') return false;
        this.#dialog.cut(replies.dataTooSoon); // in place of the answer to DATA
        return true;
      case 'content':
        this.#readContent(input.reader, input.intake);
        return true;
      case 'chunk':
        this.#readChunk(input.chunk);
        return true;
      case 'tls': // octets in the clear behind STARTTLS; the shell reads TLS by now
      case 'closing':
      case 'closed':
        this.#at = this.#buf.length;
        return false;
    }
  }

  #readCommand(): boolean {
    let line = takeLine(this.#buf, this.#at, this.#options.limits.commandLine);
    if (line.kind === 'bad' && line.rule === 'line-too-long' && this.#isAuth()) line = this.#takeAuthLine();
    if (line.kind === 'more') return false;
    if (line.kind === 'bad') {
      this.#dialog.hangUp(LINE_REFUSALS[line.rule as LineRule]);
      return true;
    }
    const command = splitLine(line.value);
    if (!this.#dialog.canTake(command)) return false;
    this.#at += line.used;
    this.#dialog.take(command, this.#at < this.#buf.length);
    return true;
  }

  /** RFC 4954, 4: AUTH with its initial response may be longer than any other command. */
  #isAuth(): boolean {
    return this.#options.auth !== 'none' && /^AUTH $/i.test(this.#buf.toString('latin1', this.#at, this.#at + 5));
  }

  #takeAuthLine(): Step<string> {
    const line = takeLine(this.#buf, this.#at, MAX_AUTH_LINE);
    return line.kind === 'bad' && line.rule === 'line-too-long' ? { ...line, rule: 'auth-line-too-long' } : line;
  }

  #readResponse(): boolean {
    const line = this.#takeAuthLine();
    if (line.kind === 'more') return false;
    if (line.kind === 'bad') {
      this.#dialog.hangUp(LINE_REFUSALS[line.rule as LineRule]);
      return true;
    }
    this.#at += line.used;
    this.#dialog.takeResponse(line.value);
    return true;
  }

  #readContent(reader: DataReader, intake: Intake): void {
    const end = reader.next(this.#buf, this.#at);
    this.#at = end < 0 ? this.#buf.length : end;
    if (end < 0) this.#dialog.transaction.onContent(intake);
    else this.#dialog.transaction.onContentEnd(intake, !reader.hasDotLine);
  }

  #readChunk(chunk: Chunk): void {
    const from = this.#at;
    this.#at += Math.min(chunk.left, this.#buf.length - from);
    this.#dialog.transaction.onChunk(chunk, this.#buf, from, this.#at);
  }

  /** What is left stays as a copy, not much larger than it is; beyond a cap the peer has to wait. */
  #keepRest(): void {
    const rest = this.#buf.length - this.#at;
    if (rest === 0) this.#buf = EMPTY;
    else if (this.#buf === this.#chunk || rest * 4 < this.#buf.length)
      this.#buf = Buffer.from(this.#buf.subarray(this.#at));
    else this.#buf = this.#buf.subarray(this.#at);
    this.#chunk = EMPTY;
    this.#at = 0;
    if (rest > this.#maxHeld === this.#isPaused) return;
    this.#isPaused = !this.#isPaused;
    if (this.#isPaused) this.#out.pauseInput();
    else this.#out.resumeInput();
  }
}

/** After each of these nobody knows where the next command starts: the session ends. */
const LINE_REFUSALS: Readonly<Record<LineRule, Reply>> = {
  'bare-newline': replies.bareNewline,
  'line-too-long': replies.lineTooLong,
  'auth-line-too-long': replies.authLineTooLong,
  'not-smtp': replies.notSmtp,
};
