/**
 * The dialog of a session: commands and answers change the state, replies leave in order. A command passes three steps:
 * check (`check.ts`), ask (the handler), proceed (change state, reply). Those that may be pipelined are asked while
 * earlier ones are unanswered. What belongs to a mail is its transaction's (`mail-transaction.ts`).
 */
import { greeting, replies } from '../replies.ts';
import { isPermanent, isPositive, type Reply, withEnhanced, writeReply } from '../reply.ts';
import type { AuthAnswer } from '../sasl/mechanism.ts';
import { checkCommand } from './check.ts';
import type { CommandLine } from './command-line.ts';
import { type Command, commands } from './commands.ts';
import { Conduct } from './conduct.ts';
import { writeHello } from './extensions.ts';
import type { ServerHandler, ServerOut, Ticket } from './handler.ts';
import { Identity } from './identity.ts';
import { Login, type LoginHost } from './login.ts';
import { MailTransaction, type TransactionHost } from './mail-transaction.ts';
import type { ServerOptions } from './options.ts';
import { type DeskHost, ReplyDesk } from './reply-desk.ts';
import type { Place } from './reply-queue.ts';
import * as state from './state.ts';

export class Dialog implements LoginHost, DeskHost, TransactionHost {
  readonly identity = new Identity();
  readonly transaction: MailTransaction;
  /** What the next octet means; set by nobody but the dialog and its transactions, as are `steps`. */
  input: state.Input = state.GREETING;
  steps = 0;
  readonly #options: ServerOptions;
  readonly #handler: ServerHandler;
  readonly #out: ServerOut;
  readonly #conduct: Conduct;
  readonly #replies: ReplyDesk;
  /** The last EHLO or HELO asked, and whether one was accepted. */
  #verb: 'EHLO' | 'HELO' = 'EHLO';
  #isGreeted = false;
  #isSecure = false;
  #login: Login | undefined;
  #farewell: Reply | undefined;
  /** The client said QUIT, and nothing behind it. */
  #isDone = false;

  constructor(options: ServerOptions, handler: ServerHandler, out: ServerOut) {
    this.#options = options;
    this.#handler = handler;
    this.#out = out;
    this.#conduct = new Conduct(options.limits);
    this.#replies = new ReplyDesk(this, out, this.#conduct);
    this.transaction = new MailTransaction(this, options, handler, this.#replies, this.#conduct);
    if (options.tls === 'implicit') this.input = state.TLS;
  }

  get isSecure(): boolean {
    return this.#isSecure;
  }

  /** Replies owed. */
  get owed(): number {
    return this.#replies.length;
  }

  greet(refusal: Reply | undefined): void {
    if (this.input.at !== 'greeting') return;
    this.input = state.COMMANDS;
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
    if (verb === 'RCPT' && this.transaction.isFull) return false;
    return owed < this.#options.limits.pending && (commands.get(verb)?.pipelining ?? 'free') === 'free';
  }

  /** `isFollowed`: octets behind the command are there already. */
  take(line: CommandLine, isFollowed: boolean): void {
    this.steps++;
    if (!this.#conduct.onCommand(commands.get(line.verb)?.isJunk ?? true)) {
      this.hangUp(replies.tooManyCommands);
      return;
    }
    const checked = checkCommand(line, {
      isGreeted: this.#isGreeted,
      isSecure: this.#isSecure,
      isAuthenticated: this.identity.user !== '',
      transaction: this.transaction.state,
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
        this.transaction.drop(checked.reply, checked.size, checked.isLast);
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
        this.input = state.WAITING;
        this.#handler.onHello(command.verb, command.name, this.#replies.take('hello').ticket);
        break;
      case 'MAIL':
        this.transaction.onMail(command.mail);
        this.identity.forgetForwarded();
        break;
      case 'RCPT':
        this.transaction.onRcpt(command.rcpt);
        break;
      case 'DATA':
        this.transaction.onData();
        break;
      case 'BDAT':
        this.transaction.onBdat(command.size, command.isLast);
        break;
      case 'RSET':
        this.transaction.reset('RSET');
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
        this.transaction.reset('QUIT');
        this.#isDone = !isFollowed;
        this.hangUp(replies.goodbye);
        break;
      case 'VRFY':
      case 'EXPN':
        this.input = state.WAITING;
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
        this.input = state.TLS;
        this.#out.startTls();
        break;
    }
  }

  // Who the client is

  #onAuth(mechanism: string, initial: Buffer | undefined): void {
    this.#login = new Login(mechanism, this, this.#handler, this.#conduct);
    this.#login.start(initial, this.#replies.take('ours'));
  }

  /** The client's line behind a challenge. */
  takeResponse(line: string): void {
    this.steps++;
    this.#login?.respond(line, this.#replies.take('ours'));
  }

  answerAuth(ticket: Ticket, answer: AuthAnswer): void {
    const place = this.#replies.find(ticket);
    if (place?.asked !== 'auth') return;
    this.steps++;
    this.#login?.answered(answer, place);
  }

  challenge(text: string, place: Place): void {
    place.asked = 'ours';
    this.input = state.RESPONSE;
    this.#replies.settleText(place, `334 ${text}\r\n`);
  }

  awaitAuth(place: Place): void {
    place.asked = 'auth';
    this.input = state.WAITING;
  }

  endAuth(outcome: Reply, place: Place): void {
    this.#login = undefined;
    this.input = state.COMMANDS;
    this.#replies.settle(place, outcome);
  }

  endAuthUnread(refusal: Reply, place: Place): void {
    this.endAuth(this.#replies.counted(refusal), place);
  }

  // Answers

  answer(ticket: Ticket, r: Reply): void {
    const place = this.#replies.find(ticket);
    if (place === undefined) return;
    this.steps++;
    const isAboutAddress = place.asked === 'mail' || place.asked === 'rcpt' || place.asked === 'verify';
    const isTooMany = isAboutAddress && isPermanent(r) && !this.#conduct.onRefusal();
    if (place.asked === 'auth') {
      this.#login?.refused(r, place);
      return;
    }
    const answer = isTooMany ? replies.tooManyErrors : withEnhanced(r);
    const chunk = this.#onAnswer(place, isPositive(answer));
    if (chunk !== undefined) this.transaction.startChunk({ ...chunk, fate: answer });
    else if (place.asked === 'end') this.#replies.settleEnd(place, answer, true);
    else this.#replies.settle(place, answer);
  }

  answerEach(ticket: Ticket, each: readonly Reply[]): void {
    const place = this.#replies.find(ticket);
    if (place?.asked !== 'end') return;
    this.steps++;
    this.#onAnswer(place, each.some(isPositive));
    this.#replies.settleEach(place, each);
  }

  #onAnswer(place: Place, isYes: boolean): state.Chunk | undefined {
    if (place.asked !== 'hello' && place.asked !== 'verify') return this.transaction.onAnswer(place, isYes);
    this.input = state.COMMANDS;
    return undefined;
  }

  answerHello(ticket: Ticket): void {
    const place = this.#replies.find(ticket);
    if (place?.asked !== 'hello') return;
    this.steps++;
    this.transaction.reset('HELLO');
    this.identity.forgetForwarded();
    this.#isGreeted = true;
    this.input = state.COMMANDS;
    this.#replies.settleText(place, writeHello(this.#verb, this.#options, this.#isSecure));
  }

  go(ticket: Ticket): void {
    const place = this.#replies.find(ticket);
    if (place?.asked !== 'data' || this.input.at !== 'waiting') return;
    this.steps++;
    this.transaction.go(place, this.input.behind);
  }

  // The end

  shutdown(farewell: Reply): void {
    this.#farewell = farewell;
    this.#rest();
  }

  cut(farewell: Reply): void {
    if (this.input.at === 'closed') return;
    this.#replies.clear();
    if (this.input.at === 'tls') this.onLastWord();
    else this.hangUp(farewell);
  }

  ended(): void {
    if (this.input.at === 'closed') return;
    this.#forget();
    this.#handler.onClosed();
  }

  secured(): void {
    if (this.input.at !== 'tls') return;
    this.#isSecure = true;
    if (this.#options.tls === 'implicit') {
      this.input = state.GREETING;
      return;
    }
    // RFC 3207, 4.2: whatever was said in the clear is forgotten.
    this.#isGreeted = false;
    this.identity.onSecured();
    this.input = state.COMMANDS;
    this.#rest();
  }

  /** Says so, behind what else is owed, and ends the session. What still comes is dropped. */
  hangUp(farewell: Reply): void {
    this.#replies.hangUp(farewell);
  }

  onFarewell(): void {
    this.input = state.CLOSING;
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
    const isIdle = this.input.at === 'commands' || this.input.at === 'greeting';
    if (this.#farewell === undefined || !isIdle || this.owed > 0 || this.transaction.state.at !== 'none') return;
    this.hangUp(this.#farewell);
  }

  #forget(): void {
    this.input = state.CLOSED;
    this.#replies.clear();
    this.transaction.reset('LOST');
  }
}
