/**
 * One command outside of mails (EHLO or HELO, VRFY, EXPN) on its way through the services that are asked about it, each in a
 * short OCP transaction of its own: what is known of the client, then the command (decision 0051).
 *
 *     asking --the last one keeps or changes it----------------------> passed, with the argument as it is then
 *        `---- one refuses, its failure's policy, the deadline -------> refused, with a reply for the client
 *        `---- the client is gone --------------------------------------> aborted; nobody is told
 *     no place (`inquiry-places.ts`) -----------------------------------> refused for now; nobody is asked
 *
 * It has an id from the same count as the session's mails, one log line, and the caps of a mail: a service's own time, one
 * deadline over all of them, one new try where a connection was lost. There is no mail to keep aside: where the policy for a
 * failure says `quarantine` or `spool`, the command is refused for now.
 */
import { Armed, type Deadline, type Deadlines, type Log, type MonotonicClock, printable } from '../../base/index.ts';
import { isCommandText, type Part, type TextPart } from '../../profile/index.ts';
import { peerOf, type Reply } from '../../smtp/index.ts';
import { Call } from '../callouts/call.ts';
import type { CommandAnswer, CommandWaiter } from '../callouts/command-parts.ts';
import type { Failure } from '../callouts/failure.ts';
import type { RunMail } from '../callouts/run-mail.ts';
import type { ServiceRun } from '../callouts/service-run.ts';
import type { OctetStore } from '../content/index.ts';
import type { PipelineStep } from '../dispatch/dispatcher.ts';
import { addTraceToReply, traceReplyLine, type ViaEntry } from '../trace/index.ts';
import { MailFault } from './mail-fault.ts';
import { gatewayReplies } from './replies.ts';
import type { SessionView } from './session-view.ts';
import type { MailWorld } from './world.ts';

export interface Question {
  readonly part: TextPart;
  /** One character an octet. */
  readonly argument: string;
  /** What stands before it in the transaction. */
  readonly facts: SessionView['parts'];
}

export type InquiryAnswer =
  /** `via`: who changed it, and who was skipped. */
  | { readonly kind: 'passed'; readonly argument: string; readonly via: readonly ViaEntry[] }
  | { readonly kind: 'refused'; readonly reply: Reply };

/** For the counter and the log line. `crowded`: nobody was asked. */
type Outcome = 'passed' | 'changed' | 'refused' | 'tempfailed' | 'crowded' | 'aborted';

const NO_ENVELOPE = { mailArgument: '', rcptArguments: [] };
const WELL = { code: 200, reason: '' };

export class Inquiry implements RunMail, CommandWaiter, Deadline {
  readonly id: string;
  readonly envelope = NO_ENVELOPE;
  readonly maxAdaptedOctets = 0;
  readonly #world: MailWorld;
  readonly #session: SessionView;
  readonly #question: Question;
  /** Taken by whoever tells the client, or finds that nobody is there. */
  #done: ((answer: InquiryAnswer) => void) | undefined;
  readonly #calls: readonly Call[];
  readonly #timer = new Armed(this);
  readonly #startedMs: number;
  #argument: string;
  #at = 0;
  #timesLost = 0;
  /** Whose place it has. */
  #peer: string | undefined;
  #isOver = false;

  /** `n`: its place in the count of the session's mails. `done` is called once, or never where it is abandoned. */
  constructor(
    world: MailWorld,
    session: SessionView,
    n: number,
    question: Question,
    steps: readonly PipelineStep[],
    done: (answer: InquiryAnswer) => void,
  ) {
    this.id = `${session.id}.${n}`;
    this.#world = world;
    this.#session = session;
    this.#question = question;
    this.#argument = question.argument;
    this.#startedMs = world.clock();
    this.#done = done;
    this.#calls = steps.map((step) => new Call({ step, isOpen: false }, this));
  }

  /** The answer may come before this returns. */
  ask(): void {
    this.#guarded(() => {
      const peer = peerOf(this.#session.peerAddress);
      if (!this.#world.inquiries.enter(this.#question.part, peer)) {
        this.#refused(gatewayReplies.commandsCrowded, 'crowded');
        return;
      }
      this.#peer = peer;
      this.#world.deadlines.arm(this.#timer, this.#world.deadlineMs);
      this.#next();
    });
  }

  /** The client is gone. */
  abandon(): void {
    this.#done = undefined;
    this.#guarded(() => this.#close('aborted', undefined));
  }

  #next(): void {
    const call = this.#calls[this.#at];
    if (call === undefined) {
      this.#passed();
      return;
    }
    call.failIfBaseWasSkipped(this.#calls);
    call.run.ask(this.#question.part, this.#argument, this);
  }

  onAnswer(answer: CommandAnswer): void {
    const call = this.#calls[this.#at];
    if (this.#isOver || call === undefined) return;
    switch (answer.kind) {
      case 'unchanged':
        break;
      case 'rewritten':
        if (!isCommandText(this.#question.part, answer.argument)) {
          call.run.declareInvalid(`changed ${this.#question.part} to what is no argument of it`);
          this.#afterFailure(call);
          return;
        }
        call.rewrote(this.#question.part, this.#argument, answer.argument);
        this.#argument = answer.argument;
        break;
      case 'refused':
        call.refused(answer.reply);
        end(call);
        this.#refused(answer.reply);
        return;
      case 'failed':
        this.#afterFailure(call);
        return;
    }
    call.took('unchanged');
    end(call);
    this.#at++;
    this.#next();
  }

  #afterFailure(call: Call): void {
    const action = call.failureAction;
    if (action === 'skip') {
      call.skipped();
      this.#at++;
      this.#next();
    } else this.#refused(action === 'reject' ? gatewayReplies.commandRejected : gatewayReplies.commandUnchecked);
  }

  #passed(): void {
    const argument = this.#argument;
    this.#close(argument === this.#question.argument ? 'passed' : 'changed', undefined);
    this.#tellClient({ kind: 'passed', argument, via: this.#calls.flatMap(viaEntry) });
  }

  #refused(untraced: Reply, outcome: Outcome = untraced.code >= 500 ? 'refused' : 'tempfailed'): void {
    if (this.#isOver) return;
    const reply = addTraceToReply(untraced, traceReplyLine(this.#world.system.uri, this.id));
    this.#close(outcome, reply);
    this.#tellClient({ kind: 'refused', reply });
  }

  #tellClient(answer: InquiryAnswer): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(answer);
  }

  #close(outcome: Outcome, reply: Reply | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { deadlines, metrics, inquiries } = this.#world;
    if (this.#peer !== undefined) inquiries.leave(this.#question.part, this.#peer);
    deadlines.release(this.#timer);
    for (const call of this.#calls) {
      call.run.release({ code: 400, reason: outcome });
      call.count();
    }
    metrics.count('opes_commands_total', { command: this.#question.part, outcome });
    this.#logLine(outcome, reply);
  }

  #logLine(outcome: string, reply: Reply | undefined): void {
    const { part, argument } = this.#question;
    const { clientAddress, printableHelo, listener, user } = this.#session;
    const isChanged = this.#argument !== argument;
    const isLookUpCommand = part === 'VRFY' || part === 'EXPN';
    this.log.info('command', {
      mail: this.id,
      command: part,
      argument: printable(argument, 400),
      changedTo: isChanged ? printable(this.#argument, 400) : undefined,
      client: clientAddress,
      helo: isLookUpCommand ? printableHelo : undefined,
      listener: listener.name,
      user: user === '' ? undefined : printable(user),
      services: this.#calls.map((call) => call.summary()),
      outcome,
      reply:
        reply === undefined ? undefined : printable(`${reply.code} ${reply.enhanced ?? ''} ${reply.text[0] ?? ''}`),
      ms: Math.round(this.clock() - this.#startedMs),
    });
  }

  /** For `opes check`: what came of each service, and what each changed. */
  get calls(): readonly Call[] {
    return this.#calls;
  }

  onDeadline(): void {
    this.#guarded(() => this.#refused(gatewayReplies.tooSlow));
  }

  #guarded(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.onFault(error);
    }
  }

  // --- for the services' runs ---------------------------------------------------------------------------------------

  get log(): Log {
    return this.#world.log;
  }

  get deadlines(): Deadlines {
    return this.#world.deadlines;
  }

  get clock(): MonotonicClock {
    return this.#world.clock;
  }

  get facts(): readonly (readonly [Part, string])[] {
    return this.#question.facts;
  }

  /** There is no data that anything could be inserted into. */
  get inserted(): OctetStore {
    throw new Error('a command has no content');
  }

  mayRunAgain(): boolean {
    this.#timesLost++;
    return this.#timesLost === 1;
  }

  runFailed(run: ServiceRun, { reason, detail }: Failure): void {
    const action = run.entry.onFailure[reason];
    const service = run.service.name;
    const { endpoint, xid } = run;
    this.log.warn('callout.failed', { mail: this.id, service, reason, action, detail, endpoint, xid });
    this.#world.metrics.count('opes_callout_failures_total', { service, reason, action });
  }

  /**
   * A bug of ours, and this command's alone: the client is answered, and its session goes on. The end itself may be what
   * failed, and no deadline runs for a client that waits for us.
   */
  onFault(error: unknown): void {
    const fault = new MailFault(this.log, this.id, error);
    const reply = gatewayReplies.fault;
    fault.attempt(() => this.#close('tempfailed', reply));
    fault.attempt(() => this.#tellClient({ kind: 'refused', reply }));
  }

  onProgress(): void {}
  whenInsertedCaughtUp(): void {}
  rewriteSender(): void {}
  storeFailed(): void {}
}

/** A service that has answered is let go, however long those behind it take. */
function end({ run }: Call): void {
  run.askNoMore();
  run.release(WELL);
}

/** Who only looked stands in the trace of each mail anyhow. */
function viaEntry(call: Call): readonly ViaEntry[] {
  const entry = call.viaEntry();
  if (entry?.outcome === 'envelope-edited') return [{ ...entry, outcome: 'greeting-edited' }];
  return entry?.outcome === 'skipped' ? [entry] : [];
}
