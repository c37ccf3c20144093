/**
 * One OCP transaction of a run, as the processor holds it: sends the commands and the mail data as they come and as the
 * server may have them, reads what comes back, and tells the run what it comes to. What was sent before a connection was
 * lost is forgotten with its transaction; the next one begins anew.
 */
import type { Named, ProcessorTransaction, Result, TransactionEnd } from '../../ocp/index.ts';
import { type Answer, causeOf, readAnswer } from '../../profile/index.ts';
import type { CalloutChannel } from './callout-channel.ts';
import { type CommandAnswer, type CommandPart, UNCHANGED } from './command-parts.ts';
import { DataExchange, type DataOutcome, type DataStep } from './data-exchange.ts';
import { ADVICE_ON_COMMAND, DumReader } from './dum-reader.ts';
import { detailOf, reasonOf } from './failure.ts';
import { GuardedEvents } from './guarded-events.ts';
import type { PartPlan, PartPlans } from './part-plan.ts';
import type { ServiceRun } from './service-run.ts';

export class RunTransaction {
  readonly #run: ServiceRun;
  readonly #channel: CalloutChannel;
  readonly #plans: PartPlans;
  #tx: ProcessorTransaction | undefined;
  #xid: number | undefined;
  /** The run goes on without it: it says and hears nothing more, but for its end. */
  #isOver = false;
  #keptFrom = -1;
  /** Something is to be sent, and it is not our turn: the outbox is full, or the server wants no data now. */
  #wantsTurn = false;
  #isServerHeld = false;
  #originalEnded = false;
  #data: DataExchange | undefined;
  #dum: DumReader | undefined;

  constructor(run: ServiceRun, channel: CalloutChannel, plans: PartPlans) {
    this.#run = run;
    this.#channel = channel;
    this.#plans = plans;
  }

  /** Its identifier on its connection; `undefined` before it was started. */
  get xid(): number | undefined {
    return this.#xid;
  }

  /** The mail data's part of it, once it came to that. */
  get data(): DataExchange | undefined {
    return this.#data;
  }

  /** The run goes on without it. */
  close(result: Result): void {
    this.#isOver = true;
    const tx = this.#tx;
    this.#tx = undefined;
    tx?.end(result);
  }

  // --- sending ------------------------------------------------------------------------------------------------------

  /** Sends what there is, in order, as far as it may be sent now. */
  pump(): void {
    const { commands } = this.#run;
    for (let part = commands.next; part !== undefined; part = commands.next) {
      if (this.#isOver) return;
      const plan = this.#plans[part.part];
      // A command the service has no say in still waits for what it says of MAIL.
      if (!plan.isAdaptive && part.waiter !== undefined && commands.oldest !== undefined) return;
      if (!plan.isSeen) {
        commands.sent(part, false);
        this.#run.settle(part, UNCHANGED);
        continue;
      }
      const tx = this.#opened();
      if (tx === undefined) return;
      if (tx.isPaused) {
        this.#requestTurn(tx);
        return;
      }
      this.#sendCommand(tx, part, plan);
    }
    this.pumpData();
  }

  #sendCommand(tx: ProcessorTransaction, part: CommandPart, plan: PartPlan): void {
    const { isAdaptive } = plan;
    part.offset = tx.orgOffset;
    this.#run.commands.sent(part, isAdaptive);
    // Told for information: a server that knows the mark answers nothing (D4).
    const block = part.isSettled ? plan.replayBlock : plan.block;
    this.#send(tx, block, part.text, part.text.length, isAdaptive);
    if (isAdaptive) this.#watch();
    else this.#run.settle(part, UNCHANGED);
  }

  pumpData(): void {
    const { input } = this.#run;
    if (this.#isOver || input === undefined) return;
    const plan = this.#plans.RAWDATA;
    if (!plan.isSeen) {
      this.endWithoutData();
      return;
    }
    if (this.#data === undefined) {
      const tx = this.#opened();
      if (tx === undefined) return;
      this.#data = new DataExchange(tx.orgOffset, input, plan.isAdaptive ? this.#run.mail : undefined, () =>
        this.#onRead(),
      );
    }
    this.#wake();
  }

  /** Octets that were on the disk are there. */
  #onRead(): void {
    try {
      this.#wake();
    } catch (error) {
      this.#run.onFault(error);
    }
  }

  /** Asks for a turn where there is something worth sending, and closes the flow behind the last octet. */
  #wake(): void {
    const data = this.#data;
    if (this.#isOver || data === undefined || this.#originalEnded) return;
    const { isInputComplete } = this.#run;
    if (data.hasPortion(isInputComplete)) {
      if (this.#tx !== undefined) this.#requestTurn(this.#tx);
    } else if (isInputComplete && data.left === 0) this.#endOriginal();
  }

  #sendPortion(): void {
    const data = this.#data;
    const tx = this.#tx;
    const { mail, isInputComplete } = this.#run;
    if (tx === undefined || data === undefined || !data.hasPortion(isInputComplete)) return;
    const portion = data.nextPortion();
    switch (portion.kind) {
      case 'wait':
        return;
      case 'failed':
        // Our own disk, not the service: the mail ends with 452, whatever the policy for the service says.
        mail.storeFailed(portion.error);
        return;
      case 'octets': {
        const plan = this.#plans.RAWDATA;
        this.#send(tx, plan.block, portion.octets, portion.size, plan.isAdaptive);
        mail.onProgress();
        this.#wake();
      }
    }
  }

  #endOriginal(): void {
    this.#originalEnded = true;
    this.#tx?.endMessage();
    this.#watch();
  }

  /** The service sees no mail data, or there is none: what is left is to close the transaction, if there is one. */
  endWithoutData(): void {
    if (this.#run.commands.oldest !== undefined || this.#originalEnded) return;
    this.#originalEnded = true;
    this.#tx?.endMessage();
    this.#conclude({ kind: 'unchanged' });
  }

  #opened(): ProcessorTransaction | undefined {
    if (this.#tx !== undefined || this.#originalEnded) return this.#tx;
    const { agent } = this.#channel;
    const tx = agent?.startTransaction(new GuardedEvents(this, this.#run.mail));
    if (tx === undefined) {
      if (agent?.isReady) this.#run.fail('overload', 'too many transactions on the connection');
      else this.#run.lost('the connection takes no more transactions');
      return undefined;
    }
    this.#tx = tx;
    this.#xid = tx.xid;
    tx.startMessage();
    return tx;
  }

  /** The turn may come before this returns. */
  #requestTurn(tx: ProcessorTransaction): void {
    this.#wantsTurn = true;
    tx.requestTurn();
    this.#watch();
  }

  onTurn(): void {
    this.#wantsTurn = false;
    if (this.#isOver) return;
    this.#watch();
    if (this.#run.commands.next !== undefined) this.pump();
    else this.#sendPortion();
  }

  /** What is kept begins with the first part that may be answered, and grows: any answer may be by reference (D4). */
  #send(
    tx: ProcessorTransaction,
    block: string,
    octets: string | readonly Buffer[],
    size: number,
    isAdaptive: boolean,
  ): void {
    const offset = tx.orgOffset;
    if (isAdaptive && this.#keptFrom < 0) this.#keptFrom = offset;
    const from = this.#keptFrom;
    this.#run.octetsSent += size;
    tx.sendData(block, octets, size, from < 0 ? undefined : { offset: from, size: offset + size - from });
  }

  /** The service's time runs exactly while it owes something: an answer, or room for more data. */
  #watch(): void {
    if (this.#isOver) return;
    const { owed, commands } = this.#run;
    if (this.#originalEnded || this.#wantsTurn || commands.oldest !== undefined) owed.start();
    else owed.stop();
  }

  // --- what the callout server sends ---------------------------------------------------------------------------------

  onAdaptedStart(): void {
    this.#channel.serves(true);
  }

  onData(size: number, named: Named): void {
    const answer = readAnswer(named, 'DUM');
    if ('error' in answer) {
      this.#broken(answer.error);
      return;
    }
    if (answer.flaw !== undefined) this.#run.warn('callout.reply', { flaw: answer.flaw });
    this.#dum ??= new DumReader(this.#run.commands);
    const rule = this.#dum.begin(answer, size, this.#data);
    if (rule !== undefined) this.#broken(rule);
  }

  onDataOctets(octets: Buffer): void {
    if (this.#isOver || this.#dum === undefined) return;
    if (!this.#dum.isData) {
      this.#dum.collect(octets);
      return;
    }
    const rule = this.#data?.insert(octets);
    if (rule !== undefined) this.#broken(rule);
    else if (this.#run.mail.inserted.isBehind) this.#holdServer();
  }

  onDataEnd(): void {
    const dum = this.#dum;
    const answer = dum?.end();
    if (this.#isOver || dum === undefined || answer === undefined) return;
    if (answer.part === 'RAWDATA') {
      this.#takeAnswer(answer);
      return;
    }
    const { commands, may } = this.#run;
    if (answer.advice !== undefined) {
      this.#broken(ADVICE_ON_COMMAND);
      return;
    }
    if (answer.addHeaders.length > 0) this.#run.warn('callout.add-header', { part: answer.part });
    const { oldest } = commands;
    if (oldest === undefined) return;
    const verdict = commands.judge(oldest, answer, dum.argument, may);
    if (verdict.kind === 'broken') this.#broken(verdict.rule);
    else if (verdict.kind !== 'replay') this.#answered(oldest, verdict);
  }

  onUseYours(orgOffset: number, size: number, named: Named): void {
    const answer = readAnswer(named, 'DUY');
    const { commands } = this.#run;
    const { oldest } = commands;
    if ('error' in answer) this.#broken(answer.error);
    else if (commands.isReplayRange(orgOffset, size)) {
      if (answer.advice !== undefined) this.#broken(ADVICE_ON_COMMAND);
    } else if (oldest !== undefined && answer.advice !== undefined) this.#broken(ADVICE_ON_COMMAND);
    else if (oldest !== undefined) {
      if (orgOffset === oldest.offset && size === oldest.text.length) this.#answered(oldest, UNCHANGED);
      else this.#broken('duy-not-the-part');
    } else {
      const rule = this.#data === undefined ? 'duy-outside-the-part' : this.#data.useYours(orgOffset, size);
      if (rule !== undefined) this.#broken(rule);
      else this.#takeAnswer(answer);
    }
  }

  onAdaptedEnd(result: Result): void {
    this.#showService(result);
    if (this.#isOver) return;
    if (result.code !== 200) this.#run.fail(reasonOf(result), detailOf('AME', result));
    else this.#serverIsDone();
  }

  /** A server that is overloaded or out of time may not have looked which service was asked for. */
  #showService(result: Result): void {
    const cause = causeOf(result);
    if (cause === undefined || cause === 'service-unknown') this.#channel.serves(cause === undefined);
  }

  onEnd(end: TransactionEnd): void {
    this.#tx = undefined;
    // Also of a transaction that the run has left: what the server has is not the mail's matter.
    if (end.by === 'peer') this.#showService(end.result);
    if (this.#isOver) return;
    const hasNothingToAnswer = this.#run.commands.oldest === undefined && !this.#originalEnded;
    // The client idled for longer than a transaction may: nobody's fault, so it does not count as a loss.
    if (end.by === 'us' && end.rule === 'no-progress' && hasNothingToAnswer) this.#run.renew();
    else if (end.by === 'us') this.#broken(end.rule ?? end.result.reason);
    else if (end.by === 'connection') this.#run.lost(end.result.reason);
    else if (end.result.code !== 200) {
      this.#run.fail(reasonOf(end.result), detailOf('TE', end.result));
    } else if (this.#data?.adapted !== undefined) this.#broken('answer-incomplete');
    else this.#serverIsDone();
  }

  #answered(part: CommandPart, answer: CommandAnswer): void {
    this.#run.commands.answered();
    // Whatever is owed next has the full time again.
    this.#run.owed.stop();
    this.#watch();
    this.#run.settle(part, answer);
    // Commands, or the data behind replays, may have waited for this answer.
    if (!this.#isOver) this.pump();
  }

  #takeAnswer(answer: Answer): void {
    this.#follow(this.#data?.take(answer, this.#run.may) ?? 'go-on');
  }

  #follow(step: DataStep): void {
    if (step === 'go-on') return;
    if ('broken' in step) this.#broken(step.broken);
    else this.#conclude(step.concluded);
  }

  /** The server ended its answer, or the transaction, with 200: everything it was asked must have its answer by then. */
  #serverIsDone(): void {
    const data = this.#data;
    if (this.#run.commands.oldest !== undefined) this.#broken('part-unanswered');
    else if (data === undefined || !this.#originalEnded) this.#broken('ended-early');
    else {
      const outcome = data.outcome();
      if (outcome.kind === 'broken') this.#broken(outcome.rule);
      else this.#conclude(outcome);
    }
  }

  #conclude(outcome: DataOutcome): void {
    // Behind a refusal or advice nothing of the answer is wanted; behind any other the server may still say its TE.
    if (outcome.kind === 'refused' || outcome.kind === 'advised') this.close({ code: 200, reason: '' });
    else this.#isOver = true;
    this.#run.conclude(outcome);
  }

  #broken(rule: string): void {
    this.#run.fail('invalid', rule);
  }

  #holdServer(): void {
    if (this.#isServerHeld) return;
    this.#isServerHeld = true;
    this.#tx?.wantPause();
    this.#run.mail.whenInsertedCaughtUp(() => {
      this.#isServerHeld = false;
      this.#tx?.wantMore();
    });
  }
}
