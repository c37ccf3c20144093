/**
 * The services of one mail, in order, each on the result of the one before (design, section 2, step 4): who is called, who is
 * left out on request, and what came of each. The envelope's commands walk through them (`command-walk.ts`), then the data
 * (`data-walk.ts`). The walks know what follows from a failure; the runs know how to talk.
 */
import type { Result } from '../../ocp/index.ts';
import type { Reply } from '../../smtp/index.ts';
import type { JudgeBypass } from '../bypass/index.ts';
import type { Content } from '../content/index.ts';
import type { PlannedCall } from '../dispatch/dispatcher.ts';
import type { CallRecord, EditRecord, FailureReason } from '../options.ts';
import type { BypassFate, ViaEntry } from '../trace/index.ts';
import { Call, viaOf } from './call.ts';
import { type CommandVerdict, CommandWalk } from './command-walk.ts';
import { type ChainMail, DataWalk } from './data-walk.ts';
import { type AsideAction, failureReply, isAside } from './failure.ts';
import type { ServiceRun } from './service-run.ts';

export type { CommandVerdict } from './command-walk.ts';
export type { ChainMail, DataVerdict } from './data-walk.ts';

export class Chain {
  readonly #mail: ChainMail;
  #calls: Call[];
  readonly #data: DataWalk;

  constructor(mail: ChainMail, calls: readonly PlannedCall[]) {
    this.#mail = mail;
    this.#calls = calls.map((planned) => new Call(planned, mail));
    this.#data = new DataWalk(mail);
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

  /** The message begins to come: `base` without our block, growing until `ended()`. */
  begin(base: Content): void {
    this.#data.begin(this.#calls, base);
  }

  /** The same chain from where it is, for `mail`: what services did so far is not done again, and counts for both. */
  fork(mail: ChainMail): Chain {
    const left = this.#data.left.map(({ planned }) => planned);
    const fork = new Chain(mail, left);
    fork.#data.continueFrom(this.#data, fork.#calls);
    return fork;
  }

  /** Of a fork: the message is whole, and goes on its way. */
  goOn(): void {
    this.#data.goOn();
  }

  /** `base` got longer by `size` octets. */
  grew(size: number): void {
    this.#data.grew(size);
  }

  ended(): void {
    this.#data.ended();
  }

  /** Octets that came and that the service at work has not been sent: what back-pressure is measured by. */
  get backlog(): number {
    return this.#data.backlog;
  }

  /** The mail is over for all services. */
  release(why: Result): void {
    this.#data.release();
    for (const call of this.#calls) call.run.release(why);
  }

  // --- what came of it ----------------------------------------------------------------------------------------------

  /** What the trace says of each service that was, or should have been, called. */
  via(): ViaEntry[] {
    return viaOf(this.#calls);
  }

  /** The same of those that have ended: a later one may have failed already, at its commands. */
  viaSoFar(): ViaEntry[] {
    return viaOf(this.#data.passed);
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
