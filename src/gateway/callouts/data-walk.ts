/**
 * The mail data on its way through the services, one at a time and in their order: each gets the message as the one before
 * left it, and what an outcome means for the mail is decided here (what a service may have made of it: `changes.ts`).
 *
 * Trace: a service sees our block with its own entry in it, marked pending; what it did is known when it has ended, and
 * the block on top of its output is taken off again, checked first. So the rest of the message, `base`, never holds our
 * own block, and at the end the mail gets the block that tells every outcome.
 */
import { EMPTY } from '../../base/index.ts';
import type { Advice } from '../../profile/index.ts';
import type { Reply } from '../../smtp/index.ts';
import { Content, FixedOctets } from '../content/index.ts';
import type { PlannedCall } from '../dispatch/dispatcher.ts';
import type { ViaEntry } from '../trace/index.ts';
import { type Call, viaOf } from './call.ts';
import { type JudgedMail, type JudgedWalk, judgeChanges, withAddedFields } from './changes.ts';
import type { DataOutcome } from './data-exchange.ts';
import { type AsideAction, type AsideCause, failureReply, isAside } from './failure.ts';
import type { RunMail } from './run-mail.ts';
import type { DataWaiter } from './service-run.ts';

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
export interface ChainMail extends RunMail, JudgedMail {
  /** The block for a message that the services of `via` have seen or are about to see. */
  traceBlock(via: readonly ViaEntry[]): Buffer;
  /**
   * Whether a call that waited for the message is made; asked when the message is whole. Recipients it is not the same for
   * may go on as a mail of their own, by `fork`.
   */
  isCalledFor(call: PlannedCall): boolean;
  onData(verdict: DataVerdict): void;
}

// Before the message comes; never written to.
const NO_BLOCK = new FixedOctets(EMPTY);
const NO_CONTENT = new Content();
const NO_CALLS: readonly Call[] = [];

export class DataWalk implements DataWaiter, JudgedWalk {
  readonly mail: ChainMail;
  #calls = NO_CALLS;
  /** Of a fork: those that had ended before. */
  #earlier = NO_CALLS;
  #at = -1;
  #base: Content = NO_CONTENT;
  #baseEnded = false;
  #input: Content | undefined;
  #block = NO_BLOCK;
  #released = false;

  constructor(mail: ChainMail) {
    this.mail = mail;
  }

  /**
   * The message begins to come: `base` without our block, growing until `ended()`. Services whose rules wait for the
   * message, and all behind them, begin when it is whole.
   */
  begin(calls: readonly Call[], base: Content): void {
    this.#calls = calls;
    this.#base = base;
    this.#at = 0;
    this.#startNext();
  }

  /** The message has come as far as that walk is; `calls` are those left, and begin with `goOn()`. */
  continueFrom(from: DataWalk, calls: readonly Call[]): void {
    this.#calls = calls;
    this.#earlier = [...from.#earlier, ...from.passed];
    this.#base = from.#base;
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

  /** The mail is over, or has its verdict: nothing follows from what still comes. */
  release(): void {
    this.#released = true;
  }

  /** Octets that came and that the service at work has not been sent: what back-pressure is measured by. */
  get backlog(): number {
    // One that failed or refused takes no more: the octets are in the mail's own store.
    return this.#released || this.#input === undefined ? 0 : (this.#calls[this.#at]?.run.backlog ?? 0);
  }

  /** Services that have ended. */
  get passed(): readonly Call[] {
    return this.#calls.slice(0, this.#at);
  }

  /** The one at work, and those behind it. */
  get left(): readonly Call[] {
    return this.#calls.slice(this.#at);
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
        const isCalled = this.mail.isCalledFor(call.planned);
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
          this.afterFailure(call);
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
    this.#block = new FixedOctets(this.mail.traceBlock(viaOf(this.#calls)));
    const input = new Content();
    input.append(this.#block, 0, this.#block.size);
    input.appendRange(this.#base, 0, this.#base.size);
    this.#input = input;
    call.replayCommands();
    call.run.data(input, this.#baseEnded, this);
  }

  // --- what a service says ------------------------------------------------------------------------------------------

  onDataOutcome(outcome: DataOutcome): void {
    const call = this.#calls[this.#at];
    if (this.#released || call === undefined) return;
    switch (outcome.kind) {
      case 'unchanged':
        call.took('unchanged');
        this.goOnWith(this.#base);
        return;
      case 'refused':
        call.refused(outcome.reply);
        this.#finish({ kind: 'refused', reply: outcome.reply });
        return;
      case 'advised':
        this.#advised(call, outcome.advice);
        return;
      case 'failed':
        this.afterFailure(call);
        return;
      case 'header-added':
        call.took('header-added');
        this.goOnWith(withAddedFields(outcome.addHeaders, this.#base));
        return;
      case 'adapted':
        if (this.#input !== undefined) judgeChanges(this, call, this.#input, outcome);
    }
  }

  #advised(call: Call, advice: Advice): void {
    if (advice.kind === 'quarantine' && call.planned.mayNotHold === true) {
      call.overruled(advice);
      // Nobody decided on how long it is to wait.
      if (advice.delay === undefined) this.goOnWith(this.#base);
      else this.#follow(call, advice.delay);
      return;
    }
    this.#follow(call, advice);
  }

  #follow(call: Call, advice: Advice): void {
    call.advised(advice);
    this.#putAside(call, actionOf(advice));
  }

  /** What follows is the pipeline's to say. */
  afterFailure(call: Call): void {
    const action = call.failureAction;
    if (action === undefined || action === 'skip') {
      call.skipped();
      // The failed service's own input, whole: what earlier services did stays (design, section 10).
      this.goOnWith(this.#base);
    } else if (isAside(action)) this.#putAside(call, action);
    else this.#finish({ kind: 'refused', reply: failureReply(action) });
  }

  /** What is stored is stored whole, so the end of the message is waited for. */
  #putAside(call: Call, action: AsideAction): void {
    if (!this.#baseEnded) {
      this.#input = undefined;
      this.mail.onProgress();
      return;
    }
    const cause = call.advice ?? { kind: 'failure', reason: call.run.failure?.reason ?? 'crash' };
    const upTo = cause.kind === 'delay' ? this.#at + 1 : this.#at;
    const via = viaOf(this.#calls.slice(0, upTo));
    const late = this.#calls.filter(({ planned }) => planned.bypass === 'late').map(({ name }) => name);
    this.#finish({ kind: 'aside', action, service: call.name, cause, base: this.#base, via, late });
  }

  /** The service at work has ended, and the next one starts on `base`. */
  goOnWith(base: Content): void {
    this.#base = base;
    this.#input = undefined;
    this.#at++;
    this.#startNext();
    // Whoever was held back for the one that is done would wait for ever.
    this.mail.onProgress();
  }

  #finish(verdict: DataVerdict): void {
    this.#released = true;
    this.mail.onData(verdict);
  }

  // --- for the judgement of changes ---------------------------------------------------------------------------------

  get base(): Content {
    return this.#base;
  }

  get block(): FixedOctets {
    return this.#block;
  }

  get isReleased(): boolean {
    return this.#released;
  }
}

function actionOf(advice: Advice): AsideAction {
  return advice.kind === 'delay' ? 'spool' : 'quarantine';
}
