/**
 * The dialog of a session: commands and answers change the state, replies leave in order. A command passes three steps:
 * check (`check.ts`), ask (the handler), proceed (change state, reply). Those that may be pipelined are asked while
 * earlier ones are unanswered. Content itself passes by; only its borders and flaws matter here.
 */

import { greeting, replies } from '../replies.ts';
import { isPermanent, isPositive, type Reply, withEnhanced, writeReply } from '../reply.ts';
import type { AuthAnswer } from '../sasl/mechanism.ts';
import { checkCommand } from './check.ts';
import type { CommandLine } from './command-line.ts';
import { type Command, commands } from './commands.ts';
import { Conduct } from './conduct.ts';
import { DataReader } from './data-reader.ts';
import { writeHello } from './extensions.ts';
import { finalsOf } from './finals.ts';
import type { MailCommand, RcptCommand, ResetCause, ServerHandler, ServerOut, Ticket } from './handler.ts';
import { Identity } from './identity.ts';
import { flawReply, Intake } from './intake.ts';
import { Login, type LoginHost } from './login.ts';
import type { ServerOptions } from './options.ts';
import { type DeskHost, ReplyDesk } from './reply-desk.ts';
import type { Place } from './reply-queue.ts';
import * as state from './state.ts';

export class Dialog implements LoginHost, DeskHost {
  readonly identity = new Identity();
  readonly #options: ServerOptions;
  readonly #handler: ServerHandler;
  readonly #out: ServerOut;
  readonly #conduct: Conduct;
  readonly #replies: ReplyDesk;
  #input: state.Input = state.GREETING;
  #transaction: state.Transaction = state.NONE;
  /** The last EHLO or HELO asked, and whether one was accepted. */
  #verb: 'EHLO' | 'HELO' = 'EHLO';
  #isGreeted = false;
  #isSecure = false;
  #login: Login | undefined;
  #steps = 0;
  #farewell: Reply | undefined;
  /** The client said QUIT, and nothing behind it. */
  #isDone = false;

  constructor(options: ServerOptions, handler: ServerHandler, out: ServerOut) {
    this.#options = options;
    this.#handler = handler;
    this.#out = out;
    this.#conduct = new Conduct(options.limits);
    this.#replies = new ReplyDesk(this, out, this.#conduct);
    if (options.tls === 'implicit') this.#input = state.TLS;
  }

  get input(): state.Input {
    return this.#input;
  }

  get isSecure(): boolean {
    return this.#isSecure;
  }

  /** Whether the handler is being given content. */
  get isReceiving(): boolean {
    return this.#transaction.at === 'receiving';
  }

  /** Replies owed. */
  get owed(): number {
    return this.#replies.length;
  }

  get steps(): number {
    return this.#steps;
  }

  greet(refusal: Reply | undefined): void {
    if (this.#input.at !== 'greeting') return;
    this.#input = state.COMMANDS;
    if (refusal !== undefined) {
      this.hangUp(refusal);
    } else {
      this.#out.write(writeReply(greeting(this.#options)));
      this.#rest();
    }
  }

  // Commands

  /** Whether the command may be looked at while earlier ones are unanswered. */
  canTake({ verb }: CommandLine): boolean {
    const owed = this.#replies.length;
    if (owed === 0) return true;
    const { limits } = this.#options;
    const tx = this.#transaction;
    // One of those asked may be refused yet and leave its place to this one.
    if (verb === 'RCPT' && 'envelope' in tx && tx.envelope.asked >= limits.recipients) return false;
    return owed < limits.pending && (commands.get(verb)?.pipelining ?? 'free') === 'free';
  }

  /** `isFollowed`: octets behind the command are there already. */
  take(line: CommandLine, isFollowed: boolean): void {
    this.#steps++;
    if (!this.#conduct.onCommand(commands.get(line.verb)?.isJunk ?? true)) {
      this.hangUp(replies.tooManyCommands);
      return;
    }
    const checked = checkCommand(line, {
      isGreeted: this.#isGreeted,
      isSecure: this.#isSecure,
      isAuthenticated: this.identity.user !== '',
      transaction: this.#transaction,
      isFollowed,
      options: this.#options,
    });
    switch (checked.kind) {
      case 'proceed':
        this.#proceed(checked.command, isFollowed);
        break;
      case 'refuse':
        this.#replies.refuse(checked.reply);
        break;
      case 'drop':
        this.#drop(checked.reply, checked.size, checked.isLast);
        break;
      case 'hang-up':
        this.hangUp(checked.reply);
        break;
    }
  }

  #proceed(command: Command, isFollowed: boolean): void {
    switch (command.verb) {
      case 'EHLO':
      case 'HELO':
        this.#verb = command.verb;
        this.#input = state.WAITING;
        this.#handler.onHello(command.verb, command.name, this.#replies.take('hello').ticket);
        break;
      case 'MAIL':
        this.#onMail(command.mail);
        break;
      case 'RCPT':
        this.#onRcpt(command.rcpt);
        break;
      case 'DATA':
        this.#input = state.WAITING_ALONE;
        this.#ask(this.#replies.take('data'));
        break;
      case 'BDAT':
        this.#onBdat(command.size, command.isLast);
        break;
      case 'RSET':
        this.#reset('RSET');
        this.identity.forgetForwarded();
        this.#replies.say(replies.ok);
        break;
      case 'NOOP':
        this.#replies.say(replies.ok);
        break;
      case 'HELP':
        this.#replies.say(replies.help);
        break;
      case 'QUIT':
        this.#reset('QUIT');
        this.#isDone = !isFollowed;
        this.hangUp(replies.goodbye);
        break;
      case 'VRFY':
      case 'EXPN':
        this.#input = state.WAITING;
        this.#handler.onVerify(command.verb, command.argument, this.#replies.take('verify').ticket);
        break;
      case 'AUTH':
        this.#onAuth(command.mechanism, command.initial);
        break;
      case 'XCLIENT':
        // The session starts anew, as another's; TLS stays, for it is the proxy's (XCLIENT_README).
        this.identity.onXclient(command.attributes);
        this.#isGreeted = false;
        this.#replies.say(greeting(this.#options));
        break;
      case 'XFORWARD':
        this.identity.onXforward(command.attributes);
        this.#replies.say(replies.ok);
        break;
      case 'STARTTLS':
        this.#replies.say(replies.startTls);
        this.#input = state.TLS;
        this.#out.startTls();
        break;
    }
  }

  #onMail(mail: MailCommand): void {
    const { params } = mail;
    const envelope = { smtpUtf8: params.has('SMTPUTF8'), prdr: params.has('PRDR'), asked: 0, accepted: 0 };
    this.#transaction = { at: 'opening', envelope };
    this.#handler.onMail(mail, this.#replies.take('mail').ticket);
    this.identity.forgetForwarded();
  }

  #onRcpt(rcpt: RcptCommand): void {
    const tx = this.#transaction;
    if (tx.at === 'opening' || tx.at === 'open') tx.envelope.asked++;
    this.#handler.onRcpt(rcpt, this.#replies.take('rcpt').ticket);
  }

  /** RFC 3030, 2: the handler is asked at the first chunk; those behind it go where the first went. */
  #onBdat(size: number, isLast: boolean): void {
    const tx = this.#transaction;
    const place = this.#replies.take('data');
    if (tx.at === 'receiving') {
      this.#startChunk({ left: size, isLast, place, fate: tx.intake });
    } else {
      this.#input = { at: 'waiting', behind: { left: size, isLast, place, fate: replies.badSequence } };
      this.#ask(place);
    }
  }

  #drop(refusal: Reply, size: number, isLast: boolean): void {
    const tx = this.#transaction;
    if (tx.at !== 'receiving')
      this.#replies.finals = tx.at === 'open' ? finalsOf(this.#options, tx.envelope) : undefined;
    if (refusal === replies.tooBig) this.#reset('TOO_BIG');
    this.#startChunk({ left: size, isLast, place: this.#replies.take('ours'), fate: this.#replies.counted(refusal) });
  }

  #ask(place: Place): void {
    const tx = this.#transaction;
    this.#replies.finals = tx.at === 'open' ? finalsOf(this.#options, tx.envelope) : undefined;
    this.#transaction = state.ASKED;
    this.#handler.onData(place.ticket);
  }

  // Who the client is

  #onAuth(mechanism: string, initial: Buffer | undefined): void {
    this.#login = new Login(mechanism, this, this.#handler, this.#conduct);
    this.#login.start(initial, this.#replies.take('ours'));
  }

  /** The client's line behind a challenge. */
  takeResponse(line: string): void {
    this.#steps++;
    this.#login?.respond(line, this.#replies.take('ours'));
  }

  answerAuth(ticket: Ticket, answer: AuthAnswer): void {
    const place = this.#replies.find(ticket);
    if (place?.asked !== 'auth') return;
    this.#steps++;
    this.#login?.answered(answer, place);
  }

  challenge(text: string, place: Place): void {
    place.asked = 'ours';
    this.#input = state.RESPONSE;
    this.#replies.settleText(place, `334 ${text}\r\n`);
  }

  awaitAuth(place: Place): void {
    place.asked = 'auth';
    this.#input = state.WAITING;
  }

  endAuth(outcome: Reply, place: Place): void {
    this.#login = undefined;
    this.#input = state.COMMANDS;
    this.#replies.settle(place, outcome);
  }

  endAuthUnread(refusal: Reply, place: Place): void {
    this.endAuth(this.#replies.counted(refusal), place);
  }

  // Answers

  answer(ticket: Ticket, r: Reply): void {
    const place = this.#replies.find(ticket);
    if (place === undefined) return;
    this.#steps++;
    const isAboutAddress = place.asked === 'mail' || place.asked === 'rcpt' || place.asked === 'verify';
    const isTooMany = isAboutAddress && isPermanent(r) && !this.#conduct.onRefusal();
    if (place.asked === 'auth') {
      this.#login?.refused(r, place);
      return;
    }
    const answer = isTooMany ? replies.tooManyErrors : withEnhanced(r);
    const chunk = this.#onAnswer(place, isPositive(answer));
    if (chunk !== undefined) this.#startChunk({ ...chunk, fate: answer });
    else if (place.asked === 'end') this.#replies.settleEnd(place, answer, true);
    else this.#replies.settle(place, answer);
  }

  answerEach(ticket: Ticket, each: readonly Reply[]): void {
    const place = this.#replies.find(ticket);
    if (place?.asked !== 'end') return;
    this.#steps++;
    this.#onAnswer(place, each.some(isPositive));
    this.#replies.settleEach(place, each);
  }

  /** Returns the chunk of a BDAT, whose octets are still to come and to be dropped. */
  #onAnswer(place: Place, isYes: boolean): state.Chunk | undefined {
    const tx = this.#transaction;
    const behind = this.#input.at === 'waiting' ? this.#input.behind : 'anything';
    switch (place.asked) {
      case 'mail':
        if (isYes && tx.at === 'opening') this.#transaction = { at: 'open', envelope: tx.envelope };
        if (!isYes) this.#onMailRefused();
        return undefined;
      case 'rcpt':
        if (tx.at !== 'opening' && tx.at !== 'open') return undefined;
        if (isYes) tx.envelope.accepted++;
        else tx.envelope.asked--;
        return undefined;
      case 'data':
        this.#transaction = state.NONE;
        this.#input = state.COMMANDS;
        return typeof behind === 'object' ? behind : undefined;
      case 'end':
        this.#transaction = state.NONE;
        this.#input = state.COMMANDS;
        if (isYes) this.#conduct.onAcceptedMail();
        return undefined;
      case 'hello':
      case 'verify':
        this.#input = state.COMMANDS;
        return undefined;
      case 'auth':
      case 'ours':
        return undefined;
    }
  }

  /** The RCPTs behind it were sent in hope (RFC 2920): whatever was or will be answered to them, they had no MAIL. */
  #onMailRefused(): void {
    this.#transaction = state.NONE;
    this.#replies.settleRecipients(writeReply(replies.needMail));
  }

  answerHello(ticket: Ticket): void {
    const place = this.#replies.find(ticket);
    if (place?.asked !== 'hello') return;
    this.#steps++;
    this.#reset('HELLO');
    this.identity.forgetForwarded();
    this.#isGreeted = true;
    this.#input = state.COMMANDS;
    this.#replies.settleText(place, writeHello(this.#verb, this.#options, this.#isSecure));
  }

  go(ticket: Ticket): void {
    const place = this.#replies.find(ticket);
    if (place?.asked !== 'data' || this.#input.at !== 'waiting') return;
    this.#steps++;
    const { behind } = this.#input;
    const intake = new Intake(this.#options, this.#handler);
    this.#transaction = { at: 'receiving', intake };
    if (typeof behind === 'object') {
      this.#startChunk({ ...behind, fate: intake });
    } else {
      this.#input = { at: 'content', reader: new DataReader(intake), intake };
      this.#replies.settle(place, replies.goAhead);
    }
  }

  // Content

  /** DATA's content grew. */
  onContent(intake: Intake): void {
    this.#resetIfFlawed(intake);
    if (intake.isFlood) this.hangUp(replies.tooBig);
  }

  /** The final dot was read. */
  onContentEnd(intake: Intake, isDotFree: boolean): void {
    intake.end();
    const refusal = this.#resetIfFlawed(intake);
    this.#input = state.COMMANDS;
    if (refusal !== undefined)
      this.#replies.settleEnd(this.#replies.take('ours'), this.#replies.counted(refusal), false);
    else this.#askForEnd(this.#replies.take('end'), isDotFree);
  }

  #startChunk(chunk: state.Chunk): void {
    chunk.place.asked = 'ours';
    this.#input = { at: 'chunk', chunk };
    if (chunk.left === 0) this.#onChunkEnd(chunk);
  }

  /** `buf[from, to)` are the next octets of the chunk, perhaps its last. */
  onChunk(chunk: state.Chunk, buf: Buffer, from: number, to: number): void {
    chunk.left -= to - from;
    if (!('code' in chunk.fate)) {
      chunk.fate.take(buf, from, to, false);
      chunk.fate = this.#resetIfFlawed(chunk.fate) ?? chunk.fate;
    }
    if (chunk.left === 0) this.#onChunkEnd(chunk);
  }

  #onChunkEnd({ fate, isLast, place }: state.Chunk): void {
    this.#input = state.COMMANDS;
    if (isLast && !('code' in fate)) fate.end();
    const refusal = 'code' in fate ? fate : this.#resetIfFlawed(fate);
    if (refusal !== undefined && isLast) this.#replies.settleEnd(place, refusal, false);
    else if (refusal !== undefined) this.#replies.settle(place, refusal);
    else if (isLast) this.#askForEnd(place, false);
    else this.#replies.settle(place, replies.chunkOk);
  }

  #askForEnd(place: Place, isDotFree: boolean): void {
    this.#steps++;
    place.asked = 'end';
    this.#replies.beginEnd();
    this.#transaction = state.ENDED;
    this.#input = state.WAITING;
    this.#handler.onContentEnd(place.ticket, isDotFree);
  }

  /** The handler need not keep what will be refused, even if the rest of it takes an hour to come. */
  #resetIfFlawed(intake: Intake): Reply | undefined {
    if (intake.flaw === undefined) return undefined;
    this.#reset(intake.flaw === 'too-big' ? 'TOO_BIG' : 'BAD_CONTENT');
    return flawReply(intake.flaw);
  }

  // The end

  shutdown(farewell: Reply): void {
    this.#farewell = farewell;
    this.#rest();
  }

  cut(farewell: Reply): void {
    if (this.#input.at === 'closed') return;
    this.#replies.clear();
    if (this.#input.at === 'tls') this.onLastWord();
    else this.hangUp(farewell);
  }

  ended(): void {
    if (this.#input.at === 'closed') return;
    this.#forget();
    this.#handler.onClosed();
  }

  secured(): void {
    if (this.#input.at !== 'tls') return;
    this.#isSecure = true;
    if (this.#options.tls === 'implicit') {
      this.#input = state.GREETING;
      return;
    }
    // RFC 3207, 4.2: whatever was said in the clear is forgotten.
    this.#isGreeted = false;
    this.identity.onSecured();
    this.#input = state.COMMANDS;
    this.#rest();
  }

  /** Says so, behind what else is owed, and ends the session. What still comes is dropped. */
  hangUp(farewell: Reply): void {
    this.#replies.hangUp(farewell);
  }

  onFarewell(): void {
    this.#input = state.CLOSING;
  }

  onLastWord(): void {
    this.#forget();
    this.#out.close(this.#isDone);
    this.#handler.onClosed();
  }

  onSaid(): void {
    this.#rest();
  }

  /** A moment of rest is where an announced shutdown takes place. */
  #rest(): void {
    const isIdle = this.#input.at === 'commands' || this.#input.at === 'greeting';
    if (this.#farewell === undefined || !isIdle || this.owed > 0 || this.#transaction.at !== 'none') return;
    this.hangUp(this.#farewell);
  }

  #forget(): void {
    this.#input = state.CLOSED;
    this.#replies.clear();
    this.#reset('LOST');
  }

  /** The transaction is over, and not by the handler's word. */
  #reset(cause: ResetCause): void {
    if (this.#transaction.at === 'none') return;
    this.#transaction = state.NONE;
    this.#handler.onReset(cause);
  }
}
