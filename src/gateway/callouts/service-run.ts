/**
 * One service at one mail: the processor's side of one OCP transaction (design D4), and of a second one where the first
 * was lost with its connection.
 *
 *     idle --part--> waiting --channel--> open --answer to the data, or nothing left to ask--> ended
 *                       |                  |
 *                       |                  +--connection lost, once--> waiting
 *                       +--no channel, time, rule broken, TE 400 ...--> failed
 *
 * Commands and data are sent as they come (`run-transaction.ts`); what comes back is judged by `command-parts.ts` and
 * `data-exchange.ts`. Whatever the server does wrong ends in one `Failure`; what follows from it is the chain's business.
 */
import type { Deadline, LogFields } from '../../base/index.ts';
import type { Result } from '../../ocp/index.ts';
import type { Part } from '../../profile/index.ts';
import type { Reply } from '../../smtp/index.ts';
import type { Content } from '../content/index.ts';
import type { Permission, PipelineEntry } from '../options.ts';
import { describeEdits } from './adapted-data.ts';
import type { CalloutChannel } from './callout-channel.ts';
import type { CalloutService, ChannelWaiter } from './callout-service.ts';
import { type CommandAnswer, type CommandPart, CommandParts, type CommandWaiter } from './command-parts.ts';
import type { DataOutcome } from './data-exchange.ts';
import type { Failure } from './failure.ts';
import { OwedTime } from './owed-time.ts';
import type { RunMail } from './run-mail.ts';
import { RunTransaction } from './run-transaction.ts';

export interface DataWaiter {
  onDataOutcome(outcome: DataOutcome): void;
}

type State = 'idle' | 'waiting' | 'open' | 'ended' | 'failed';

const FAILED: CommandAnswer = { kind: 'failed' };

export class ServiceRun implements ChannelWaiter, Deadline {
  readonly service: CalloutService;
  readonly entry: PipelineEntry;
  readonly mail: RunMail;
  readonly owed: OwedTime;
  readonly commands = new CommandParts();
  /** Of commands and data, in all transactions. */
  octetsSent = 0;
  #state: State = 'idle';
  #failure: Failure | undefined;
  #channel: CalloutChannel | undefined;
  #transaction: RunTransaction | undefined;
  #mailRefusal: Reply | undefined;
  #question: Part | undefined;
  #input: Content | undefined;
  #isInputComplete = false;
  #dataWaiter: DataWaiter | undefined;

  constructor(service: CalloutService, entry: PipelineEntry, mail: RunMail) {
    this.service = service;
    this.entry = entry;
    this.mail = mail;
    this.owed = new OwedTime(this, entry.timeoutMs, mail);
  }

  // --- for the record -----------------------------------------------------------------------------------------------

  get failure(): Failure | undefined {
    return this.#failure;
  }

  get endpoint(): string | undefined {
    return this.#channel?.name;
  }

  /** The transaction's identifier on its connection, by which the callout server's log names it. */
  get xid(): number | undefined {
    return this.#transaction?.xid;
  }

  get partsSent(): readonly Part[] {
    const plans = this.#channel?.plans;
    const commands = plans === undefined ? [] : this.commands.shown(plans);
    return this.#transaction?.data === undefined ? commands : [...commands, 'RAWDATA'];
  }

  get tookMs(): number {
    return this.owed.totalMs;
  }

  get octetsReceived(): number {
    return this.#transaction?.data?.adapted?.octetsInserted ?? 0;
  }

  describeEdits(): string[] {
    return describeEdits(this.#transaction?.data?.adapted?.edits ?? [], this.#input?.size ?? 0);
  }

  // --- what the chain asks ------------------------------------------------------------------------------------------

  get hasMail(): boolean {
    return !this.commands.isEmpty;
  }

  /** It was asked about a command, or failed at one: it has had its say, and its answers stand. */
  get hadSay(): boolean {
    if (this.#failure !== undefined) return true;
    const plans = this.#channel?.plans;
    return plans !== undefined && this.commands.hasAnyFor(plans);
  }

  /** The MAIL command, with what is known of the client in front of it. */
  tellMail(argument: string, waiter: CommandWaiter | undefined): void {
    this.#addFacts();
    this.#command('MAIL', argument, waiter);
  }

  rcpt(argument: string, waiter: CommandWaiter): void {
    this.#command('RCPT', argument, waiter);
  }

  /** A command outside of mails (decision 0051). A server that does not see it cannot be asked, which is a failure. */
  ask(part: Part, argument: string, waiter: CommandWaiter): void {
    this.#question = part;
    this.#addFacts();
    this.#command(part, argument, waiter);
  }

  /** Nothing follows what was asked: our message ends here. */
  askNoMore(): void {
    if (this.#state === 'open') this.#transaction?.endWithoutData();
  }

  /** Commands that were answered without this service: it is told, and has no say (design D4). */
  replay({ mailArgument, rcptArguments }: RunMail['envelope']): void {
    this.#addFacts();
    this.commands.add('MAIL', mailArgument, undefined, true);
    for (const rcpt of rcptArguments) this.commands.add('RCPT', rcpt, undefined, true);
  }

  /** The mail data is `input`, which may still grow until `inputGrew(true)`. Asked once. */
  data(input: Content, isComplete: boolean, waiter: DataWaiter): void {
    this.#input = input;
    this.#isInputComplete = isComplete;
    this.#dataWaiter = waiter;
    this.#proceed();
  }

  inputGrew(isComplete: boolean): void {
    this.#isInputComplete = isComplete;
    if (this.#state === 'open') this.#transaction?.pumpData();
  }

  /** Octets of the data that are there and were not sent yet. */
  get backlog(): number {
    return this.#transaction?.data?.left ?? this.#input?.size ?? 0;
  }

  /** The answer was whole, and not allowed: it counts as a failure of the service (design D7). */
  declareInvalid(detail: string): void {
    if (this.#state === 'open') this.fail('invalid', detail);
    else this.#note('invalid', detail);
  }

  /** The mail is over, however it ended: nothing is asked or answered any more. */
  release(why: Result): void {
    if (this.#state !== 'ended') this.service.forget(this);
    this.owed.end();
    if (this.#state !== 'failed') this.#state = 'ended';
    this.#transaction?.close(why);
  }

  #addFacts(): void {
    for (const fact of this.mail.facts) this.commands.add(fact[0], fact[1], undefined, true);
  }

  #command(part: Part, argument: string, waiter: CommandWaiter | undefined): void {
    if (this.#state === 'failed') {
      waiter?.onAnswer(this.#whenFailed());
      return;
    }
    this.commands.add(part, argument, waiter);
    this.#proceed();
  }

  #proceed(): void {
    switch (this.#state) {
      case 'idle':
        this.#wait(undefined);
        return;
      case 'open':
        this.#transaction?.pump();
        return;
      case 'failed':
        this.#giveOutcome({ kind: 'failed' });
        return;
      case 'ended':
        this.#giveOutcome({ kind: 'unchanged' });
        return;
      case 'waiting':
    }
  }

  // --- channel and time ---------------------------------------------------------------------------------------------

  #wait(avoid: CalloutChannel | undefined): void {
    this.#state = 'waiting';
    this.service.take(this, avoid);
    // Mostly the channel is there, and no connection is owed.
    if (this.#state === 'waiting') this.owed.start();
  }

  onChannel(channel: CalloutChannel): void {
    if (this.#state !== 'waiting') return;
    try {
      this.#open(channel);
    } catch (error) {
      this.onFault(error);
    }
  }

  onNoChannel(detail: string): void {
    try {
      this.#unreachable(detail);
    } catch (error) {
      this.onFault(error);
    }
  }

  onFault(error: unknown): void {
    this.mail.onFault(error);
  }

  #open(channel: CalloutChannel): void {
    const { plans } = channel;
    if (plans === undefined) {
      this.#unreachable('nothing was negotiated');
      return;
    }
    this.#channel = channel;
    for (const part of this.entry.requires) {
      if (!plans[part].isSeen) {
        this.fail('invalid', `the callout server did not select ${part}, which the pipeline requires`);
        return;
      }
    }
    const question = this.#question;
    if (question !== undefined && !plans[question].isSeen) {
      this.fail('invalid', `the callout server did not select ${question}, about which it is to be asked`);
      return;
    }
    this.#state = 'open';
    this.owed.stop();
    this.#transaction = new RunTransaction(this, channel, plans);
    this.#transaction.pump();
  }

  #unreachable(detail: string): void {
    this.fail('unreachable', detail);
  }

  onDeadline(): void {
    if (this.#state === 'waiting') this.fail('unreachable', 'no connection to a callout server in time');
    else {
      // Slow, or gone without a word? A server that does not answer this is given up with its connection.
      this.#channel?.agent?.ping();
      this.fail('timeout', `no answer within ${this.entry.timeoutMs} ms`);
    }
  }

  // --- for the transaction ------------------------------------------------------------------------------------------

  get may(): ReadonlySet<Permission> {
    return this.service.options.may;
  }

  /** The mail data, once it is asked for. */
  get input(): Content | undefined {
    return this.#input;
  }

  get isInputComplete(): boolean {
    return this.#isInputComplete;
  }

  warn(event: string, fields: LogFields): void {
    this.mail.log.warn(event, { service: this.service.name, mail: this.mail.id, ...fields });
  }

  settle(part: CommandPart, answer: CommandAnswer): void {
    const { waiter, isSettled } = part;
    part.isSettled = true;
    part.waiter = undefined;
    if (part.part === 'MAIL' && waiter === undefined && !isSettled) this.#lateAnswerToMail(answer);
    else if (this.#mailRefusal !== undefined) waiter?.onAnswer({ kind: 'refused', reply: this.#mailRefusal });
    else waiter?.onAnswer(answer);
  }

  /** MAIL had its 250 already: a refusal of it is given to every RCPT instead. */
  #lateAnswerToMail(answer: CommandAnswer): void {
    if (answer.kind === 'refused') this.#mailRefusal = answer.reply;
    else if (answer.kind === 'rewritten') this.mail.rewriteSender(this, answer.argument);
  }

  conclude(outcome: DataOutcome): void {
    this.#state = 'ended';
    this.owed.end();
    this.#giveOutcome(outcome);
  }

  fail(reason: Failure['reason'], detail: string): void {
    if (this.#state === 'failed' || this.#state === 'ended') return;
    this.service.forget(this);
    this.owed.end();
    this.#note(reason, detail);
    this.#transaction?.close({ code: 400, reason: `${reason}: ${detail}`.slice(0, 200) });
    for (const waiter of this.commands.takeWaiters()) waiter.onAnswer(this.#whenFailed());
    this.#giveOutcome({ kind: 'failed' });
  }

  /** The connection died under us. Whose fault it was cannot be told, so the mail is run again elsewhere, once (D6). */
  lost(why: string): void {
    if (!this.mail.mayRunAgain()) {
      this.fail('crash', `connection lost: ${why}`);
      return;
    }
    const lost = this.#channel;
    this.mail.log.info('callout.again', { service: this.service.name, mail: this.mail.id, endpoint: lost?.name, why });
    this.#restart(lost);
  }

  /** Another transaction, wherever. */
  renew(): void {
    this.#restart(undefined);
  }

  #restart(avoid: CalloutChannel | undefined): void {
    this.#transaction?.close({ code: 400, reason: 'run again' });
    this.#transaction = undefined;
    this.commands.restart();
    this.#wait(avoid);
  }

  /** What it said of MAIL before it failed stands. */
  #whenFailed(): CommandAnswer {
    return this.#mailRefusal === undefined ? FAILED : { kind: 'refused', reply: this.#mailRefusal };
  }

  #note(reason: Failure['reason'], detail: string): void {
    this.#state = 'failed';
    this.#failure = { reason, detail };
    this.mail.runFailed(this, this.#failure);
  }

  #giveOutcome(outcome: DataOutcome): void {
    const waiter = this.#dataWaiter;
    this.#dataWaiter = undefined;
    waiter?.onDataOutcome(outcome);
  }
}
