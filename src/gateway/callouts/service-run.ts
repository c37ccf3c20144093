/**
 * One service at one mail: the processor's side of one OCP transaction (design D4), and of a second one where the first
 * was lost with its connection.
 *
 *     idle --part--> waiting --channel--> open --answer to the data, or nothing left to ask--> ended
 *                       |                  |
 *                       |                  +--connection lost, once--> waiting
 *                       +--no channel, time, rule broken, TE 400 ...--> failed
 *
 * Commands and data are sent as they come; what comes back is judged by `command-parts.ts` and `data-exchange.ts`. Whatever
 * the server does wrong ends in one `Failure`; what follows from it is the chain's business.
 */
import { Armed, type Deadline } from '../../base/index.ts';
import type {
  Named,
  ProcessorTransaction,
  ProcessorTransactionEvents,
  Result,
  TransactionEnd,
} from '../../ocp/index.ts';
import {
  ALLOW_NOTHING,
  type Allow,
  type Answer,
  dataBlock,
  type Part,
  readAnswer,
  type Selection,
} from '../../profile/index.ts';
import type { Reply } from '../../smtp/index.ts';
import type { Content } from '../content/index.ts';
import type { PipelineEntry } from '../options.ts';
import { describeEdits } from './adapted-data.ts';
import type { CalloutChannel, CalloutService, ChannelWaiter } from './callout-service.ts';
import { type CommandAnswer, type CommandPart, CommandParts, type CommandWaiter, UNCHANGED } from './command-parts.ts';
import { DataExchange, type DataOutcome, type DataStep } from './data-exchange.ts';
import type { Failure } from './failure.ts';
import { OwedTime } from './owed-time.ts';
import type { RunMail } from './run-mail.ts';

export interface DataWaiter {
  onDataOutcome(outcome: DataOutcome): void;
}

type State = 'idle' | 'waiting' | 'open' | 'ended' | 'failed';

/** A rewritten argument longer than a command line may be is no argument (RFC 5321 section 4.5.3.1.4, with extensions). */
const MAX_ARGUMENT = 2048;
const FAILED: CommandAnswer = { kind: 'failed' };

export class ServiceRun implements ProcessorTransactionEvents, ChannelWaiter, Deadline {
  readonly service: CalloutService;
  readonly entry: PipelineEntry;
  readonly #mail: RunMail;
  readonly #owed: OwedTime;
  readonly #commands = new CommandParts();
  #state: State = 'idle';
  #failure: Failure | undefined;
  #channel: CalloutChannel | undefined;
  #selection: Selection | undefined;
  #tx: ProcessorTransaction | undefined;
  #mailRefusal: Reply | undefined;
  #keptFrom = -1;
  #hasBegun = false;
  /** Something is to be sent, and it is not our turn: the outbox is full, or the server wants no data now. */
  #wantsTurn = false;
  #isServerHeld = false;
  #originalEnded = false;
  #input: Content | undefined;
  #inputEnded = false;
  #dataWaiter: DataWaiter | undefined;
  #data: DataExchange | undefined;
  /** The DUM being received; for a command its octets. */
  #incoming: Answer | undefined;
  #incomingOctets: Buffer[] = [];
  #octetsSent = 0;

  constructor(service: CalloutService, entry: PipelineEntry, mail: RunMail) {
    this.service = service;
    this.entry = entry;
    this.#mail = mail;
    this.#owed = new OwedTime(new Armed(this), entry.timeoutMs, mail);
  }

  // --- for the record -----------------------------------------------------------------------------------------------

  get failure(): Failure | undefined {
    return this.#failure;
  }

  get endpoint(): string | undefined {
    return this.#channel?.name;
  }

  get partsSent(): readonly Part[] {
    const commands = this.#commands.shown(this.#selection);
    return this.#data === undefined ? commands : [...commands, 'RAWDATA'];
  }

  get tookMs(): number {
    return this.#owed.totalMs;
  }

  get octetsSent(): number {
    return this.#octetsSent;
  }

  get octetsReceived(): number {
    return this.#data?.adapted?.octetsInserted ?? 0;
  }

  describeEdits(): string[] {
    return describeEdits(this.#data?.adapted?.edits ?? [], this.#input?.size ?? 0);
  }

  // --- what the chain asks ------------------------------------------------------------------------------------------

  get hasMail(): boolean {
    return !this.#commands.isEmpty;
  }

  /** The MAIL command, with what is known of the client in front of it. */
  mail(argument: string, waiter: CommandWaiter | undefined): void {
    for (const [part, text] of this.#mail.facts) this.#commands.add(part, text, undefined);
    this.#command('MAIL', argument, waiter);
  }

  rcpt(argument: string, waiter: CommandWaiter): void {
    this.#command('RCPT', argument, waiter);
  }

  /** Commands that were answered without this service: it is told, and has no say (design D4). */
  replay({ mailArgument, rcptArguments }: RunMail['envelope']): void {
    for (const [part, text] of this.#mail.facts) this.#commands.add(part, text, undefined);
    this.#commands.add('MAIL', mailArgument, undefined, true);
    for (const rcpt of rcptArguments) this.#commands.add('RCPT', rcpt, undefined, true);
  }

  /** The mail data is `input`, which may still grow until `inputGrew(true)`. Asked once. */
  data(input: Content, isComplete: boolean, waiter: DataWaiter): void {
    this.#input = input;
    this.#inputEnded = isComplete;
    this.#dataWaiter = waiter;
    this.#proceed();
  }

  inputGrew(isComplete: boolean): void {
    this.#inputEnded = isComplete;
    if (this.#state === 'open') this.#pumpData();
  }

  /** Octets of the data that are there and were not sent yet. */
  get backlog(): number {
    return this.#data?.left ?? this.#input?.size ?? 0;
  }

  /** The answer was whole, and not allowed: it counts as a failure of the service (design D7). */
  declareInvalid(detail: string): void {
    if (this.#state === 'open') this.#fail('invalid', detail);
    else this.#note('invalid', detail);
  }

  /** The mail is over, however it ended: nothing is asked or answered any more. */
  release(why: Result): void {
    this.service.forget(this);
    this.#owed.stop();
    if (this.#state !== 'failed') this.#state = 'ended';
    this.#endTransaction(why);
  }

  // --- channel and time ---------------------------------------------------------------------------------------------

  onChannel(channel: CalloutChannel): void {
    if (this.#state !== 'waiting') return;
    this.#channel = channel;
    this.#selection = channel.selection;
    for (const part of this.entry.requires) {
      if (!this.#selection?.sees(part)) {
        this.#fail('invalid', `the callout server did not select ${part}, which the pipeline requires`);
        return;
      }
    }
    this.#state = 'open';
    this.#watch();
    this.#pump();
  }

  onNoChannel(detail: string): void {
    this.#fail('unreachable', detail);
  }

  onDeadline(): void {
    if (this.#state === 'waiting') this.#fail('unreachable', 'no connection to a callout server in time');
    else {
      // Slow, or gone without a word? A server that does not answer this is given up with its connection.
      this.#channel?.agent?.ping();
      this.#fail('timeout', `no answer within ${this.entry.timeoutMs} ms`);
    }
  }

  // --- what the callout server sends ---------------------------------------------------------------------------------

  onAdaptedStart(): void {
    this.#hasBegun = true;
  }

  onData(size: number, named: Named): void {
    const answer = readAnswer(named, 'DUM');
    if ('error' in answer) {
      this.#fail('invalid', answer.error);
      return;
    }
    if (answer.flaw !== undefined) {
      this.#mail.log.warn('callout.reply', { service: this.service.name, mail: this.#mail.id, flaw: answer.flaw });
    }
    this.#incoming = answer;
    this.#incomingOctets = [];
    const { oldest } = this.#commands;
    if (answer.part === 'RAWDATA') {
      if (oldest !== undefined) this.#fail('invalid', 'part-order');
      else if (this.#data?.adapted === undefined) this.#fail('invalid', 'part-not-adaptive');
    } else if (size > MAX_ARGUMENT) this.#fail('invalid', 'argument-size');
    else if (oldest === undefined && this.#commands.isReplay(answer.part)) this.#passReplay(answer);
    else if (answer.part !== oldest?.part) this.#fail('invalid', 'part-order');
  }

  /** What was said the first time stands; a refusal now would come too late to be given to the client. */
  #passReplay(answer: Answer): void {
    if (answer.refusal !== undefined) this.#fail('invalid', 'replayed-part-refused');
    else this.#incoming = undefined;
  }

  onDataOctets(octets: Buffer): void {
    if (this.#state !== 'open' || this.#incoming === undefined) return;
    if (this.#incoming.part !== 'RAWDATA') {
      this.#incomingOctets.push(octets);
      return;
    }
    const broken = this.#data?.insert(octets);
    if (broken !== undefined) this.#fail('invalid', broken);
    else if (this.#mail.inserted.isBehind) this.#holdServer();
  }

  onDataEnd(): void {
    const answer = this.#incoming;
    this.#incoming = undefined;
    if (this.#state !== 'open' || answer === undefined) return;
    const { oldest } = this.#commands;
    if (answer.part !== 'RAWDATA' && answer.addHeaders.length > 0) {
      this.#mail.log.warn('callout.add-header', { service: this.service.name, mail: this.#mail.id, part: answer.part });
    }
    if (answer.part === 'RAWDATA') this.#follow(this.#data?.take(answer, this.service.options.may) ?? 'go-on');
    else if (oldest !== undefined) {
      const verdict = this.#commands.judge(
        oldest,
        answer,
        Buffer.concat(this.#incomingOctets),
        this.service.options.may,
      );
      if (verdict.kind === 'broken') this.#fail('invalid', verdict.rule);
      else if (verdict.kind !== 'replay') this.#answered(oldest, verdict);
    }
  }

  onUseYours(orgOffset: number, size: number, named: Named): void {
    const answer = readAnswer(named, 'DUY');
    const { oldest } = this.#commands;
    if ('error' in answer) this.#fail('invalid', answer.error);
    else if (this.#commands.isReplayRange(orgOffset, size)) return;
    else if (oldest !== undefined) {
      if (orgOffset === oldest.offset && size === oldest.octets.length) this.#answered(oldest, UNCHANGED);
      else this.#fail('invalid', 'duy-not-the-part');
    } else {
      const broken = this.#data === undefined ? 'duy-outside-the-part' : this.#data.useYours(orgOffset, size);
      if (broken !== undefined) this.#fail('invalid', broken);
      else this.#follow(this.#data?.take(answer, this.service.options.may) ?? 'go-on');
    }
  }

  onDisposable(): void {
    // What is kept is the store of the mail, which lives as long as the mail: nothing is gained by letting go early.
  }

  onAdaptedEnd(result: Result): void {
    if (this.#state !== 'open') return;
    if (result.code !== 200) this.#fail('crash', `AME ${result.code} ${result.reason}`);
    else this.#serverIsDone();
  }

  onTurn(): void {
    this.#wantsTurn = false;
    if (this.#state !== 'open') return;
    this.#watch();
    if (this.#commands.next !== undefined) this.#pump();
    else this.#sendPortion();
  }

  onEnd(end: TransactionEnd): void {
    this.#tx = undefined;
    if (this.#state !== 'open') return;
    if (end.by === 'us' && end.rule === 'no-progress' && this.#commands.oldest === undefined && !this.#originalEnded)
      this.#renew();
    else if (end.by === 'us') this.#fail('invalid', end.rule ?? end.result.reason);
    else if (end.by === 'connection') this.#lost(end.result.reason);
    else if (end.result.code !== 200) {
      const reason = this.#hasBegun ? 'crash' : 'overload';
      this.#fail(reason, `TE ${end.result.code} ${end.result.reason}`);
    } else if (this.#data?.adapted !== undefined) this.#fail('invalid', 'answer-incomplete');
    else this.#serverIsDone();
  }

  // --- commands -----------------------------------------------------------------------------------------------------

  #command(part: Part, argument: string, waiter: CommandWaiter | undefined): void {
    if (this.#state === 'failed') {
      waiter?.onAnswer(this.#whenFailed());
      return;
    }
    this.#commands.add(part, argument, waiter);
    this.#proceed();
  }

  #proceed(): void {
    switch (this.#state) {
      case 'idle':
        this.#state = 'waiting';
        this.#watch();
        this.service.take(this, undefined);
        return;
      case 'open':
        this.#pump();
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

  #pump(): void {
    const selection = this.#selection;
    for (let part = this.#commands.next; part !== undefined && selection !== undefined; part = this.#commands.next) {
      if (this.#state !== 'open') return;
      const isAdaptive = selection.adaptive.has(part.part);
      // A command the service has no say in still waits for what it says of MAIL.
      if (!isAdaptive && part.waiter !== undefined && this.#commands.oldest !== undefined) return;
      if (!selection.sees(part.part)) {
        this.#commands.sent(part, false);
        this.#settle(part, UNCHANGED);
        continue;
      }
      const tx = this.#transaction();
      if (tx === undefined) return;
      if (tx.isPaused) {
        this.#requestTurn(tx);
        return;
      }
      this.#sendCommand(tx, part, isAdaptive);
    }
    if (this.#state === 'open') this.#pumpData();
  }

  #sendCommand(tx: ProcessorTransaction, part: CommandPart, isAdaptive: boolean): void {
    // Told for information: a server that knows the mark answers nothing (D4).
    const replayed = part.isSettled;
    part.offset = tx.orgOffset;
    this.#commands.sent(part, isAdaptive);
    const block = dataBlock(part.part, isAdaptive && !replayed ? this.#allow(false) : ALLOW_NOTHING, { replayed });
    this.#send(tx, block, [part.octets], part.octets.length, isAdaptive);
    if (isAdaptive) this.#watch();
    else this.#settle(part, UNCHANGED);
  }

  #answered(part: CommandPart, answer: CommandAnswer): void {
    this.#commands.answered();
    this.#owed.stop();
    this.#watch();
    this.#settle(part, answer);
    // Commands, or the data behind replays, may have waited for this answer.
    if (this.#state === 'open') this.#pump();
  }

  #settle(part: CommandPart, answer: CommandAnswer): void {
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
    else if (answer.kind === 'rewritten') this.#mail.rewriteSender(this, answer.argument);
  }

  // --- mail data ----------------------------------------------------------------------------------------------------

  #pumpData(): void {
    if (this.#input === undefined || this.#selection === undefined) return;
    if (!this.#selection.sees('RAWDATA')) {
      this.#endWithoutData();
      return;
    }
    if (this.#data === undefined) {
      const tx = this.#transaction();
      if (tx === undefined) return;
      const isAdaptive = this.#selection.adaptive.has('RAWDATA');
      const answer = { inserted: () => this.#mail.inserted, maxOctets: this.#mail.maxAdaptedOctets };
      this.#data = new DataExchange(tx.orgOffset, this.#input, isAdaptive ? answer : undefined, () => this.#wake());
    }
    this.#wake();
  }

  /** Asks for a turn where there is something worth sending, and closes the flow behind the last octet. */
  #wake(): void {
    const data = this.#data;
    if (this.#state !== 'open' || data === undefined || this.#originalEnded) return;
    if (data.hasPortion(this.#inputEnded)) {
      if (this.#tx !== undefined) this.#requestTurn(this.#tx);
    } else if (this.#inputEnded && data.left === 0) this.#endOriginal();
  }

  #sendPortion(): void {
    const data = this.#data;
    const tx = this.#tx;
    if (tx === undefined || data === undefined || !data.hasPortion(this.#inputEnded)) return;
    const portion = data.nextPortion();
    switch (portion.kind) {
      case 'wait':
        return;
      case 'failed':
        // Our own disk, not the service: the mail ends with 452, whatever the policy for the service says.
        this.#mail.storeFailed(portion.error);
        return;
      case 'octets': {
        const isAdaptive = data.adapted !== undefined;
        const block = dataBlock('RAWDATA', isAdaptive ? this.#allow(true) : ALLOW_NOTHING);
        this.#send(tx, block, portion.octets, portion.size, isAdaptive);
        this.#mail.onProgress();
        this.#wake();
      }
    }
  }

  #endOriginal(): void {
    this.#originalEnded = true;
    this.#tx?.endMessage();
    this.#watch();
  }

  /** The service sees no mail data: what is left is to close the transaction, if there is one. */
  #endWithoutData(): void {
    if (this.#commands.oldest !== undefined || this.#originalEnded) return;
    this.#originalEnded = true;
    this.#tx?.endMessage();
    this.#conclude({ kind: 'unchanged' });
  }

  #follow(step: DataStep): void {
    if (step === 'go-on') return;
    if ('broken' in step) this.#fail('invalid', step.broken);
    else this.#conclude({ kind: 'refused', reply: step.refused });
  }

  /** The server ended its answer, or the transaction, with 200: everything it was asked must have its answer by then. */
  #serverIsDone(): void {
    const data = this.#data;
    if (this.#commands.oldest !== undefined) this.#fail('invalid', 'part-unanswered');
    else if (data === undefined || !this.#originalEnded) this.#fail('invalid', 'ended-early');
    else {
      const outcome = data.outcome();
      if (outcome.kind === 'broken') this.#fail('invalid', outcome.rule);
      else this.#conclude(outcome);
    }
  }

  // --- ends ---------------------------------------------------------------------------------------------------------

  #conclude(outcome: DataOutcome): void {
    this.#state = 'ended';
    this.#owed.stop();
    // Behind a refusal nothing of the answer is wanted; behind any other the server may still say its TE.
    if (outcome.kind === 'refused') this.#endTransaction({ code: 200, reason: '' });
    this.#giveOutcome(outcome);
  }

  #fail(reason: Failure['reason'], detail: string): void {
    if (this.#state === 'failed' || this.#state === 'ended') return;
    this.service.forget(this);
    this.#owed.stop();
    this.#note(reason, detail);
    this.#endTransaction({ code: 400, reason: `${reason}: ${detail}`.slice(0, 200) });
    for (const waiter of this.#commands.takeWaiters()) waiter.onAnswer(this.#whenFailed());
    this.#giveOutcome({ kind: 'failed' });
  }

  /** What it said of MAIL before it failed stands. */
  #whenFailed(): CommandAnswer {
    return this.#mailRefusal === undefined ? FAILED : { kind: 'refused', reply: this.#mailRefusal };
  }

  #note(reason: Failure['reason'], detail: string): void {
    this.#state = 'failed';
    this.#failure = { reason, detail };
    this.#mail.runFailed(this, this.#failure);
  }

  #giveOutcome(outcome: DataOutcome): void {
    const waiter = this.#dataWaiter;
    this.#dataWaiter = undefined;
    waiter?.onDataOutcome(outcome);
  }

  #endTransaction(result: Result): void {
    const tx = this.#tx;
    this.#tx = undefined;
    tx?.end(result);
  }

  /** The connection died under us. Whose fault it was cannot be told, so the mail is run again elsewhere, once (D6). */
  #lost(why: string): void {
    if (!this.#mail.mayRunAgain()) {
      this.#fail('crash', `connection lost: ${why}`);
      return;
    }
    const lost = this.#channel;
    this.#mail.log.info('callout.again', {
      service: this.service.name,
      mail: this.#mail.id,
      endpoint: lost?.name,
      why,
    });
    this.#restart(lost);
  }

  /** The client idled for longer than a transaction may: nobody's fault, so it does not count as a loss. */
  #renew(): void {
    this.#restart(undefined);
  }

  #restart(avoid: CalloutChannel | undefined): void {
    this.#state = 'waiting';
    this.#commands.restart();
    this.#keptFrom = -1;
    this.#hasBegun = false;
    this.#originalEnded = false;
    this.#wantsTurn = false;
    this.#data = undefined;
    this.#incoming = undefined;
    this.#watch();
    this.service.take(this, avoid);
  }

  // --- small things -------------------------------------------------------------------------------------------------

  #transaction(): ProcessorTransaction | undefined {
    if (this.#tx !== undefined || this.#originalEnded) return this.#tx;
    const agent = this.#channel?.agent;
    const tx = agent?.startTransaction(this);
    if (tx === undefined) {
      if (agent?.isReady) this.#fail('overload', 'too many transactions on the connection');
      else this.#lost('the connection takes no more transactions');
      return undefined;
    }
    this.#tx = tx;
    tx.startMessage();
    return tx;
  }

  /** The turn may come before this returns. */
  #requestTurn(tx: ProcessorTransaction): void {
    this.#wantsTurn = true;
    tx.requestTurn();
    this.#watch();
  }

  /** What is kept begins with the first part that may be answered, and grows: any answer may be by reference (D4). */
  #send(tx: ProcessorTransaction, block: string, octets: readonly Buffer[], size: number, isAdaptive: boolean): void {
    if (isAdaptive && this.#keptFrom < 0) this.#keptFrom = tx.orgOffset;
    const from = this.#keptFrom;
    this.#octetsSent += size;
    tx.sendData(block, octets, size, from < 0 ? undefined : { offset: from, size: tx.orgOffset + size - from });
  }

  #allow(isData: boolean): Allow {
    const { may } = this.service.options;
    return {
      smtpError: may.has('refuse') || may.has('tempfail'),
      addHeader: isData && (may.has('add-header') || may.has('edit-header')),
    };
  }

  #holdServer(): void {
    if (this.#isServerHeld) return;
    this.#isServerHeld = true;
    this.#tx?.wantPause();
    this.#mail.whenInsertedCaughtUp(() => {
      this.#isServerHeld = false;
      this.#tx?.wantMore();
    });
  }

  /** The service's time runs exactly while it owes something: a connection, an answer, or room for more data. */
  #watch(): void {
    const { oldest } = this.#commands;
    const isOpen = this.#state === 'open';
    const owesAnswer = isOpen && (oldest !== undefined || this.#originalEnded || this.#wantsTurn);
    if (this.#state === 'waiting' || owesAnswer) this.#owed.start();
    else this.#owed.stop();
  }
}
