/**
 * The services of one mail, in order, each on the result of the one before (design, section 2, step 4). The chain knows
 * what follows from a failure; the runs know how to talk.
 *
 * Trace: a service sees our block with its own entry in it, marked pending; what it did is known when it has ended, and
 * the block on top of its output is taken off again, checked first. So the rest of the message, `base`, never holds our
 * own block, and at the end the mail gets the block that tells every outcome.
 */
import { EMPTY } from '../../base/index.ts';
import type { Result } from '../../ocp/index.ts';
import type { Advice } from '../../profile/index.ts';
import type { Reply } from '../../smtp/index.ts';
import type { JudgeBypass } from '../bypass/index.ts';
import { compareContents, loadHeader } from '../content/compare.ts';
import { Content, FixedOctets } from '../content/index.ts';
import { hasBareNewline } from '../content/line-check.ts';
import type { PlannedCall } from '../dispatch/dispatcher.ts';
import type { CallRecord, EditRecord, FailureReason } from '../options.ts';
import { type BypassFate, type ViaEntry, verifyTrace } from '../trace/index.ts';
import { Call } from './call.ts';
import { type CommandVerdict, CommandWalk } from './command-walk.ts';
import type { DataOutcome } from './data-exchange.ts';
import { type AsideAction, type AsideCause, failureReply, isAside } from './failure.ts';
import { missingForChanges } from './permissions.ts';
import type { RunMail } from './run-mail.ts';
import type { DataWaiter, ServiceRun } from './service-run.ts';

export type { CommandVerdict } from './command-walk.ts';

export type DataVerdict =
  /** `base` is the message without our trace block. */
  | { readonly kind: 'release'; readonly base: Content }
  | { readonly kind: 'refused'; readonly reply: Reply }
  /** `service` failed or advised it, and the mail is to be stored: `base` is that service's own input without our block. */
  | {
      readonly kind: 'aside';
      readonly action: AsideAction;
      readonly service: string;
      readonly cause: AsideCause;
      readonly base: Content;
      /** What the services before it did; with itself where it had the mail wait. */
      readonly via: readonly ViaEntry[];
      /** Services that a request came too late for: they stay, whenever the mail goes on. */
      readonly late: readonly string[];
    };

/** The mail as the chain sees it. */
export interface ChainMail extends RunMail {
  readonly maxHeaderOctets: number;
  /** The block for a message that the services of `via` have seen or are about to see. */
  traceBlock(via: readonly ViaEntry[]): Buffer;
  /** The protected fields the message came with. */
  readonly olderTrace: Buffer;
  /**
   * Whether a call that waited for the message is made; asked when the message is whole. Recipients it is not the same for
   * may go on as a mail of their own, by `fork`.
   */
  isCalledFor(call: PlannedCall): boolean;
  onData(verdict: DataVerdict): void;
}

// Before the data stage; never written to.
const NO_BLOCK = new FixedOctets(EMPTY);
const NO_CONTENT = new Content();
const NO_CALLS: readonly Call[] = [];

export class Chain implements DataWaiter {
  readonly #mail: ChainMail;
  #calls: Call[];
  /** Of a fork: those that had ended before. */
  #earlier = NO_CALLS;
  // The data stage.
  #at = -1;
  #base: Content = NO_CONTENT;
  #baseEnded = false;
  #input: Content | undefined;
  #block = NO_BLOCK;
  #released = false;

  constructor(mail: ChainMail, calls: readonly PlannedCall[]) {
    this.#mail = mail;
    this.#calls = calls.map((planned) => new Call(planned, mail));
  }

  /** MAIL was shown to the leading services; now the recipient has decided on all of them. */
  extend(calls: readonly PlannedCall[]): void {
    const known = new Map(this.#calls.map((call) => [call.planned.step.index, call]));
    this.#calls = calls.map((planned) => known.get(planned.step.index) ?? new Call(unasked(planned), this.#mail));
    let by: string | undefined;
    for (const { bypass, bypassedBy } of calls) if (bypass !== undefined) by = bypassedBy ?? by ?? '';
    if (by !== undefined) this.#ask(calls.map(fateOf), by);
  }

  /** Refused requests for a recipient, whose services are those of the others. */
  marked(calls: readonly PlannedCall[]): void {
    for (const { step, bypass } of calls) {
      if (bypass === undefined || bypass === 'honoured') continue;
      for (const call of this.#calls) if (call.planned.step === step) call.askedAway(bypass, '');
    }
  }

  /** The message asks that services be left out: before any of them sees it. */
  askedAway(judge: JudgeBypass, by: string): void {
    this.#ask(
      this.#calls.map(({ planned }) => judge(planned.step.service.options)),
      by,
    );
  }

  /** Who has had a say stays, and so does whatever that one counts on (REQ-079). */
  #ask(fates: (BypassFate | undefined)[], by: string): void {
    // From the last one: what a service counts on stands before it.
    for (let i = fates.length - 1; i >= 0; i--) {
      const call = this.#calls[i] as Call;
      if (fates[i] === 'honoured' && call.run.hadSay) fates[i] = 'late';
      if (fates[i] !== 'late') continue;
      for (let before = 0; before < i; before++) {
        const isNeeded = call.run.entry.buildsOn.includes((this.#calls[before] as Call).name);
        if (isNeeded && fates[before] === 'honoured') fates[before] = 'late';
      }
    }
    for (const [i, fate] of fates.entries()) if (fate !== undefined) this.#calls[i]?.askedAway(fate, by);
  }

  get isEmpty(): boolean {
    return this.#calls.length === 0;
  }

  /** A service failed and its policy ends the mail: the reply for every further command and the data. */
  get fatal(): Reply | undefined {
    for (const call of this.#calls) {
      const action = call.failureAction;
      if (action !== undefined && action !== 'skip' && !isAside(action)) return failureReply(action);
    }
    return undefined;
  }

  // --- commands -----------------------------------------------------------------------------------------------------

  mailCommand(argument: string, done: (verdict: CommandVerdict) => void): void {
    new CommandWalk(this.#calls, 'MAIL', argument, () => argument, done).next();
  }

  /** MAIL was rewritten by an answer that came with the first RCPT. */
  rewroteSender(run: ServiceRun, from: string, to: string): void {
    this.#calls.find((call) => call.run === run)?.rewrote('MAIL', from, to);
  }

  /** `mailArgument` is asked anew for each service: an earlier one may have rewritten it. */
  rcptCommand(argument: string, mailArgument: () => string, done: (verdict: CommandVerdict) => void): void {
    new CommandWalk(this.#calls, 'RCPT', argument, mailArgument, done).next();
  }

  // --- mail data ----------------------------------------------------------------------------------------------------

  /**
   * The message begins to come: `base` without our block, growing until `ended()`. Services whose rules wait for the
   * message, and all behind them, begin when it is whole.
   */
  begin(base: Content): void {
    this.#base = base;
    this.#at = 0;
    this.#startNext();
  }

  /** The same chain from where it is, for `mail`: what services did so far is not done again, and counts for both. */
  fork(mail: ChainMail): Chain {
    const left = this.#calls.slice(this.#at).map(({ planned }) => planned);
    const fork = new Chain(mail, left);
    fork.#earlier = [...this.#earlier, ...this.#calls.slice(0, this.#at)];
    fork.#base = this.#base;
    return fork;
  }

  /** Of a fork: the message is whole, and goes on its way. */
  goOn(): void {
    this.#at = 0;
    this.#baseEnded = true;
    this.#startNext();
  }

  /** `base` got longer by `size` octets. */
  grew(size: number): void {
    const input = this.#input;
    const call = this.#calls[this.#at];
    if (input === undefined || call === undefined || this.#released) return;
    input.appendRange(this.#base, this.#base.size - size, size);
    call.run.inputGrew(false);
  }

  ended(): void {
    this.#baseEnded = true;
    if (this.#released) return;
    // Also where a failed service waits for the message to be whole.
    if (this.#input === undefined) this.#startNext();
    else this.#calls[this.#at]?.run.inputGrew(true);
  }

  /** Octets that came and that the service at work has not been sent: what back-pressure is measured by. */
  get backlog(): number {
    // One that failed or refused takes no more: the octets are in the mail's own store.
    return this.#released || this.#input === undefined ? 0 : (this.#calls[this.#at]?.run.backlog ?? 0);
  }

  onDataOutcome(outcome: DataOutcome): void {
    const call = this.#calls[this.#at];
    if (this.#released || call === undefined) return;
    switch (outcome.kind) {
      case 'unchanged':
        call.took('unchanged');
        this.#goOn(this.#base);
        return;
      case 'refused':
        call.refused(outcome.reply);
        this.#finish({ kind: 'refused', reply: outcome.reply });
        return;
      case 'advised':
        this.#advised(call, outcome.advice);
        return;
      case 'failed':
        this.#afterFailure(call);
        return;
      case 'header-added':
        call.took('header-added');
        this.#goOn(withAddedFields(outcome.addHeaders, this.#base));
        return;
      case 'adapted':
        this.#judgeChanges(call, outcome.output, outcome.addHeaders);
    }
  }

  /** The mail is over for all services. */
  release(why: Result): void {
    this.#released = true;
    for (const call of this.#calls) call.run.release(why);
  }

  /** What the trace says of each service that was, or should have been, called. */
  via(): ViaEntry[] {
    const via: ViaEntry[] = [];
    for (const call of this.#calls) {
      const entry = call.viaEntry();
      if (entry !== undefined) via.push(entry);
    }
    return via;
  }

  /** The same of those that have ended: a later one may have failed already, at its commands. */
  viaSoFar(): ViaEntry[] {
    return this.#calls.slice(0, this.#at).flatMap((call) => call.viaEntry() ?? []);
  }

  /** The service that stops the mail: by its verdict, or by its failure and what the pipeline says of that. */
  get stoppedBy(): { readonly service: string; readonly because: 'verdict' | 'failure' } | undefined {
    for (const call of this.#calls) {
      if (call.finalVerdict === 'refused') return { service: call.name, because: 'verdict' };
      const action = call.failureAction;
      if (action !== undefined && action !== 'skip') return { service: call.name, because: 'failure' };
    }
    return undefined;
  }

  /** A service has failed already, and the mail is put aside for that when all of it is there. */
  get asideToCome():
    | { readonly service: string; readonly action: AsideAction; readonly reason: FailureReason }
    | undefined {
    for (const { name, failureAction: action, run } of this.#calls)
      if (action !== undefined && isAside(action) && run.failure !== undefined)
        return { service: name, action, reason: run.failure.reason };
    return undefined;
  }

  /** For the log line: each service, what came of it and how long it took. */
  summary(): string[] {
    return this.#calls.map((call) => call.summary());
  }

  /** At the end of the mail. */
  count(): void {
    for (const call of this.#calls) call.count();
  }

  callRecords(): CallRecord[] {
    return this.#calls.map((call) => call.record());
  }

  editRecords(): EditRecord[] {
    return this.#calls.flatMap((call) => call.editRecords());
  }

  #startNext(): void {
    for (;;) {
      const call = this.#calls[this.#at];
      if (call === undefined) {
        if (this.#baseEnded) this.#finish({ kind: 'release', base: this.#base });
        return;
      }
      if (call.planned.isOpen) {
        if (!this.#baseEnded) return;
        const isCalled = this.#mail.isCalledFor(call.planned);
        // A fork that could not be stored has ended the mail.
        if (this.#released) return;
        if (!isCalled) {
          call.notCalled();
          this.#at++;
          continue;
        }
      }
      if (call.planned.bypassedBy !== undefined) {
        call.bypassed();
        this.#at++;
        continue;
      }
      if (call.advice !== undefined) {
        this.#putAside(call, actionOf(call.advice));
        return;
      }
      call.failIfBaseWasSkipped(this.#calls);
      if (this.#earlier.length > 0) call.failIfBaseWasSkipped(this.#earlier);
      if (call.run.failure !== undefined) {
        if (call.failureAction !== 'skip') {
          this.#afterFailure(call);
          return;
        }
        call.skipped();
        this.#at++;
        continue;
      }
      this.#start(call);
      return;
    }
  }

  #start(call: Call): void {
    call.called();
    this.#block = new FixedOctets(this.#mail.traceBlock(this.via()));
    const input = new Content();
    input.append(this.#block, 0, this.#block.size);
    input.appendRange(this.#base, 0, this.#base.size);
    this.#input = input;
    call.replayCommands();
    call.run.data(input, this.#baseEnded, this);
  }

  #advised(call: Call, advice: Advice): void {
    if (advice.kind === 'quarantine' && call.planned.mayNotHold === true) {
      call.overruled(advice);
      // Nobody decided on how long it is to wait.
      if (advice.delay === undefined) this.#goOn(this.#base);
      else this.#follow(call, advice.delay);
      return;
    }
    this.#follow(call, advice);
  }

  #follow(call: Call, advice: Advice): void {
    call.advised(advice);
    this.#putAside(call, actionOf(advice));
  }

  #afterFailure(call: Call): void {
    const action = call.failureAction;
    if (action === undefined || action === 'skip') {
      call.skipped();
      // The failed service's own input, whole: what earlier services did stays (design, section 10).
      this.#goOn(this.#base);
    } else if (isAside(action)) this.#putAside(call, action);
    else this.#finish({ kind: 'refused', reply: failureReply(action) });
  }

  /** What is stored is stored whole, so the end of the message is waited for. */
  #putAside(call: Call, action: AsideAction): void {
    if (!this.#baseEnded) {
      this.#input = undefined;
      this.#mail.onProgress();
      return;
    }
    const cause = call.advice ?? { kind: 'failure', reason: call.run.failure?.reason ?? 'crash' };
    const upTo = cause.kind === 'delay' ? this.#at + 1 : this.#at;
    const via = this.#calls.slice(0, upTo).flatMap((before) => before.viaEntry() ?? []);
    const late = this.#calls.filter(({ planned }) => planned.bypass === 'late').map(({ name }) => name);
    this.#finish({ kind: 'aside', action, service: call.name, cause, base: this.#base, via, late });
  }

  #goOn(base: Content): void {
    this.#base = base;
    this.#input = undefined;
    this.#at++;
    this.#startNext();
    // Whoever was held back for the one that is done would wait for ever.
    this.#mail.onProgress();
  }

  #judgeChanges(call: Call, output: Content, addHeaders: readonly string[]): void {
    const input = this.#input;
    if (input === undefined) return;
    const max = this.#mail.maxHeaderOctets;
    compareContents(
      input,
      output,
      max,
      this.#whenRead((changes) => {
        const missing = missingForChanges(call.planned.step.service.options.may, changes);
        if (missing !== undefined) {
          call.run.declareInvalid(`no permission: ${missing}`);
          this.#afterFailure(call);
          return;
        }
        if (!changes.header && !changes.body) {
          call.took(addHeaders.length > 0 ? 'header-added' : 'unchanged');
          this.#goOn(withAddedFields(addHeaders, this.#base));
        } else this.#judgeLines(call, output, addHeaders, changes.header);
      }),
    );
  }

  /** What is read may come from the disk, at any time, and out of nobody's call: what follows from it is this mail's alone. */
  #whenRead<Value>(then: (value: Value) => void): (error: Error | undefined, value: Value) => void {
    return (error, value) => {
      if (this.#released) return;
      try {
        if (error === undefined) then(value);
        else this.#mail.storeFailed(error);
      } catch (fault) {
        this.#mail.onFault(fault);
      }
    };
  }

  #judgeLines(call: Call, output: Content, addHeaders: readonly string[], isHeaderChanged: boolean): void {
    hasBareNewline(
      output,
      this.#whenRead((has) => {
        if (has) {
          call.run.declareInvalid('bare CR or LF in the adapted content');
          this.#afterFailure(call);
        } else if (isHeaderChanged) this.#judgeHeader(call, output, addHeaders);
        else {
          call.took('edited');
          this.#goOn(withAddedFields(addHeaders, withoutStart(output, this.#block.size)));
        }
      }),
    );
  }

  /** Whoever rewrites a header section may have touched what nobody may touch (REQ-036); what is not seen cannot be judged. */
  #judgeHeader(call: Call, output: Content, addHeaders: readonly string[]): void {
    loadHeader(
      output,
      this.#mail.maxHeaderOctets + this.#block.size,
      this.#whenRead((header) => {
        if (output.size > header.length && header.length >= this.#mail.maxHeaderOctets + this.#block.size) {
          call.run.declareInvalid('header-size');
          this.#afterFailure(call);
          return;
        }
        call.took('edited');
        const check = verifyTrace({ block: this.#block.octets, older: this.#mail.olderTrace }, header);
        if (check.repaired === undefined) {
          this.#goOn(withAddedFields(addHeaders, withoutStart(output, this.#block.size)));
          return;
        }
        call.traceRepaired(check.missing ?? 0, check.foreign ?? 0);
        const rest = new FixedOctets(Buffer.from(check.repaired.subarray(this.#block.size)));
        const base = new Content();
        base.append(rest, 0, rest.size);
        base.appendRange(output, header.length, output.size - header.length);
        this.#goOn(withAddedFields(addHeaders, base));
      }),
    );
  }

  #finish(verdict: DataVerdict): void {
    this.#released = true;
    this.#mail.onData(verdict);
  }
}

function fateOf({ bypass }: PlannedCall): BypassFate | undefined {
  return bypass;
}

/** Before it is known whether the request comes in time for all. */
function unasked(planned: PlannedCall): PlannedCall {
  if (planned.bypass === undefined) return planned;
  const { bypass: _fate, bypassedBy: _by, ...rest } = planned;
  return rest;
}

function actionOf(advice: Advice): AsideAction {
  return advice.kind === 'delay' ? 'spool' : 'quarantine';
}

/** Fields added by a service stand right below our trace block, in the order given (profile notes, question 14). */
function withAddedFields(fields: readonly string[], base: Content): Content {
  if (fields.length === 0) return base;
  let text = '';
  for (const field of fields) text += `${field}\r\n`;
  const octets = new FixedOctets(Buffer.from(text, 'latin1'));
  const out = new Content();
  out.append(octets, 0, octets.size);
  out.appendRange(base, 0, base.size);
  return out;
}

function withoutStart(content: Content, size: number): Content {
  const out = new Content();
  out.appendRange(content, size, content.size - size);
  return out;
}
