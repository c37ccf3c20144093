/** One planned service at one mail, with what became of it: for the trace, the log line and the console. */
import type { Advice } from '../../profile/index.ts';
import type { Reply } from '../../smtp/index.ts';
import type { PlannedCall } from '../dispatch/dispatcher.ts';
import type { CallRecord, CallVerdict, EditRecord, FailureAction, PartName } from '../options.ts';
import type { BypassFate, ViaEntry, ViaOutcome } from '../trace/index.ts';
import type { RunMail } from './run-mail.ts';
import { ServiceRun } from './service-run.ts';

export class Call {
  readonly run: ServiceRun;
  readonly #mail: RunMail;
  #planned: PlannedCall;
  readonly #edits: EditRecord[] = [];
  #outcome: ViaOutcome | undefined;
  #verdict: CallVerdict = 'not-called';
  #detail = '';
  #advice: Advice | undefined;

  constructor(planned: PlannedCall, mail: RunMail) {
    this.#planned = planned;
    this.run = new ServiceRun(planned.step.service, planned.step.entry, mail);
    this.#mail = mail;
  }

  get planned(): PlannedCall {
    return this.#planned;
  }

  get name(): string {
    return this.planned.step.service.name;
  }

  /** A failure that was not skipped is the mail's. */
  get finalVerdict(): CallVerdict {
    return this.run.failure !== undefined && this.#verdict !== 'skipped' ? 'failed' : this.#verdict;
  }

  /** What the operator wants where this service failed; `undefined` where it did not. */
  get failureAction(): FailureAction | undefined {
    const failure = this.run.failure;
    return failure === undefined ? undefined : this.planned.step.entry.onFailure[failure.reason];
  }

  /** What the service wants done with the mail in place of passing it on. */
  get advice(): Advice | undefined {
    return this.#advice;
  }

  /**
   * What it counts on (`buildsOn`) failed and was skipped: so it has failed, too, for the same reason, and its own policy says what
   * follows (decision 0058). `before`: the calls up to this one, at least.
   */
  failIfBaseWasSkipped(before: readonly Call[]): void {
    const { buildsOn } = this.run.entry;
    if (buildsOn.length === 0 || this.run.failure !== undefined) return;
    for (const base of before) {
      if (base === this) return;
      const { failure } = base.run;
      if (failure === undefined || base.failureAction !== 'skip' || !buildsOn.includes(base.name)) continue;
      this.run.fail(failure.reason, `builds on ${base.name}, which failed and was skipped`);
      return;
    }
  }

  called(): void {
    this.#outcome ??= 'pending';
  }

  /**
   * It is to be left out, by a request that came when it may have been shown the envelope. Whoever had a say in a command stays: its
   * answers stand, and half a service is none (REQ-084). What was refused once stays refused.
   */
  askedAway(fate: BypassFate, by: string): void {
    const { bypass, bypassedBy } = this.#planned;
    if (bypassedBy !== undefined || (bypass !== undefined && fate !== 'honoured')) return;
    if (fate !== 'honoured' || this.run.hadSay) {
      this.#planned = { ...this.#planned, bypass: fate === 'honoured' ? 'late' : fate };
      return;
    }
    this.#planned = { ...this.#planned, bypass: fate, bypassedBy: by };
    if (this.run.hasMail) this.run.release({ code: 400, reason: 'bypassed' });
  }

  /** Asked away by somebody who may: never in silence either. */
  bypassed(): void {
    const { bypassedBy = '' } = this.planned;
    this.#outcome = 'bypassed';
    this.#verdict = 'bypassed';
    this.#detail = bypassedBy;
    this.#mail.log.info('callout.bypassed', { mail: this.#mail.id, service: this.name, by: bypassedBy });
  }

  notCalled(): void {
    this.#verdict = 'not-called';
    this.#detail = `rule false: ${this.planned.step.rule?.text ?? ''}`;
  }

  /** The service ended well, and this is what it did to the message; what it did to the envelope counts no less. */
  took(outcome: 'unchanged' | 'edited' | 'header-added'): void {
    const rewrote = this.#edits.length > 0;
    this.#outcome = outcome === 'unchanged' && rewrote ? 'envelope-edited' : outcome;
    this.#verdict = this.#outcome === 'unchanged' ? 'unchanged' : 'changed';
    if (outcome === 'header-added')
      this.#edits.push({ service: this.name, part: 'HEADER', what: 'added header fields' });
    if (outcome !== 'edited') return;
    for (const what of this.run.describeEdits()) this.#edits.push({ service: this.name, part: 'RAWDATA', what });
  }

  rewrote(part: Exclude<PartName, 'IP' | 'RAWDATA'>, from: string, to: string): void {
    this.#edits.push({ service: this.name, part, what: `rewrote ${from} to ${to}` });
    this.#verdict = 'changed';
  }

  refused(reply: Reply): void {
    this.#verdict = 'refused';
    this.#detail = `${reply.code} ${reply.enhanced ?? ''} ${reply.text.join(' / ')}`;
  }

  /** An operator has decided already on what this service keeps aside: its advice is heard, and overruled. */
  overruled(advice: Advice): void {
    this.took('unchanged');
    this.#detail = `quarantine overruled by an operator: ${advice.reason}`;
    this.#mail.log.info('callout.overruled', { mail: this.#mail.id, service: this.name, reason: advice.reason });
  }

  advised(advice: Advice): void {
    const isDelay = advice.kind === 'delay';
    const forSeconds = isDelay ? advice.seconds : undefined;
    const { reason } = advice;
    this.#advice = advice;
    this.#verdict = isDelay ? 'delayed' : 'quarantined';
    // What is kept aside is the mail as it came, and has no trace yet; what is put off goes on from here.
    if (isDelay) this.#outcome = 'delayed';
    this.#detail = isDelay ? `for ${advice.seconds} s: ${reason}` : reason;
    this.#mail.log.info('callout.advised', {
      mail: this.#mail.id,
      service: this.name,
      advice: advice.kind,
      reason,
      forSeconds,
    });
  }

  /** Never in silence: trace, metric and log (design D6). */
  skipped(): void {
    if (this.#verdict === 'skipped') return;
    this.#outcome = 'skipped';
    this.#verdict = 'skipped';
  }

  traceRepaired(missing: number, foreign: number): void {
    this.#detail = `trace restored: ${missing} missing, ${foreign} foreign`;
    this.#mail.log.warn('trace.repaired', { mail: this.#mail.id, service: this.name, missing, foreign });
  }

  /** A service whose rule waited for the message hears of the envelope only now, and so does one behind a split. */
  replayCommands(): void {
    if (!this.run.hasMail) this.run.replay(this.#mail.envelope);
  }

  count(): void {
    const verdict = this.finalVerdict;
    const wasAsked = verdict !== 'not-called' && verdict !== 'bypassed';
    const { service } = this.planned.step;
    service.counts.ended(this.#mail.id, verdict, wasAsked ? this.run.tookMs : undefined);
    if (this.#planned.bypass !== undefined) service.counts.askedAway(this.#planned.bypass);
  }

  /** For the log line: what came of it, how long it took, and that it was not left out, though asked. */
  summary(): string {
    return `${this.name} ${this.finalVerdict} ${inTenths(this.run.tookMs)}ms${this.#refusedBypass}`;
  }

  get #refusedBypass(): string {
    const { bypass, bypassedBy, step } = this.#planned;
    if (bypass === undefined || bypassedBy !== undefined) return '';
    if (bypass === 'never') return `, bypass refused (never: ${step.service.options.neverBecause})`;
    return `, bypass ${SAID[bypass]}`;
  }

  viaEntry(): ViaEntry | undefined {
    if (this.#outcome === undefined) return undefined;
    const reason = this.#outcome === 'skipped' ? this.run.failure?.reason : undefined;
    const { step, bypass } = this.#planned;
    return { uri: step.service.options.uri, outcome: this.#outcome, reason, bypass };
  }

  record(): CallRecord {
    const { run } = this;
    const failure = run.failure;
    return {
      service: this.name,
      uri: this.planned.step.service.options.uri,
      verdict: this.finalVerdict,
      detail: (failure === undefined ? this.#detail : `${failure.reason}: ${failure.detail}`) + this.#refusedBypass,
      endpoint: run.endpoint,
      parts: run.partsSent as readonly PartName[],
      tookMs: run.tookMs,
      octetsSent: run.octetsSent,
      octetsReceived: run.octetsReceived,
    };
  }

  editRecords(): readonly EditRecord[] {
    return this.#edits;
  }
}

/** What the trace says of each service that was, or should have been, called. */
export function viaOf(calls: readonly Call[]): ViaEntry[] {
  const via: ViaEntry[] = [];
  for (const call of calls) {
    const entry = call.viaEntry();
    if (entry !== undefined) via.push(entry);
  }
  return via;
}

const SAID: Readonly<Record<Exclude<BypassFate, 'never'>, string>> = {
  honoured: 'honoured',
  authority: 'refused (no authority)',
  late: 'too late',
};

/** As `toFixed(1)` has it, by whole numbers: a digit after the point of a fraction is searched for at length. */
function inTenths(ms: number): string {
  const tenths = Math.round(ms * 10);
  return `${Math.floor(tenths / 10)}.${tenths % 10}`;
}
