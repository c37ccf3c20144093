/**
 * The commands of one transaction that services answer: senders and recipients of a mail; outside of mails the client's
 * greeting and its look-ups. Each is shown to the services in their order, every one seeing what the one before made of it,
 * and answered in the order they came. Handlers of several recipients may run at once.
 */
import type { Deadlines, Log } from '../base/index.ts';
import type { CalloutTransaction } from '../ocp/index.ts';
import { type Allow, answerBlock, isCommandText, MAX_REWRITTEN_OCTETS, type TextPart } from '../profile/index.ts';
import { type CallContext, isPromise, isVerdict, logFailure } from './calls.ts';
import { failed, VerdictNotTaken } from './failed.ts';
import type { Mailbox } from './mail.ts';
import type { Service } from './service.ts';
import { type Address, readAddress, rewriteAddress, type SessionFacts, unicode } from './session.ts';
import { append, dropFirst } from './short-lists.ts';
import { TimeLimit } from './time-limit.ts';
import type { AddressVerdict, Change, CommandVerdict, Rewrite } from './verdict.ts';

export interface CommandPart {
  readonly part: 'MAIL' | 'RCPT' | TextPart;
  /** Where it lies in the original flow. */
  readonly offset: number;
  /** Its octets, one character each. */
  readonly text: string;
  readonly isAdaptive: boolean;
  readonly allow: Allow;
  /** It was judged in an earlier transaction already. */
  readonly replayed: boolean;
}

/** One service with what it sees of this mail. */
export interface Attendance {
  readonly service: Service;
  readonly context: CallContext;
  session: SessionFacts;
  recipients: Mailbox[];
}

export interface CommandHost {
  readonly transaction: CalloutTransaction;
  readonly log: Log;
  readonly deadlines: Deadlines;
  startMessage(): void;
  /** Everything so far is answered. */
  onAnswered(): void;
}

type Verdict = AddressVerdict | CommandVerdict;

const ON_ADDRESS: readonly Verdict['kind'][] = ['keep', 'refuse', 'rewrite'];
const ON_TEXT: readonly Verdict['kind'][] = ['keep', 'refuse', 'change'];

interface Pending extends CommandPart {
  /** As it is after the services that were asked; absent where it is no address. */
  address: Address | undefined;
  /** The same of a greeting or a look-up, one character an octet. */
  said: string;
  /** As a service wrote it anew. */
  rewritten: Buffer | undefined;
  /** As each service that was asked leaves it. */
  readonly seen: (Mailbox | undefined)[];
  next: number;
  refusal: string | undefined;
  isDone: boolean;
}

export class Commands {
  readonly #host: CommandHost;
  readonly #attendances: readonly Attendance[];
  #pending: Pending[] = [];

  constructor(host: CommandHost, attendances: readonly Attendance[]) {
    this.#host = host;
    this.#attendances = attendances;
  }

  get isAnswered(): boolean {
    return this.#pending.length === 0;
  }

  /** Whether any service has a say in the part. */
  hasHandler(part: CommandPart['part']): boolean {
    return this.#attendances.some(({ service }) => hasHandler(part, service));
  }

  /** A whole command part. */
  add({ part, offset, text, isAdaptive, allow, replayed }: CommandPart): void {
    const address = part === 'MAIL' || part === 'RCPT' ? readAddress(part, text) : undefined;
    if (address !== undefined && 'error' in address) {
      this.#host.transaction.end(failed('argument'));
      return;
    }
    const pending: Pending = {
      part,
      offset,
      text,
      isAdaptive,
      allow,
      replayed,
      address,
      said: text,
      rewritten: undefined,
      seen: this.#attendances.length === 1 ? [undefined] : this.#attendances.map(NOT_YET),
      next: 0,
      refusal: undefined,
      isDone: false,
    };
    this.#pending = append(this.#pending, pending);
    this.#askOn(pending);
  }

  /** Asks the services that are left, until one takes its time. */
  #askOn(pending: Pending): void {
    while (pending.next < this.#attendances.length && pending.refusal === undefined) {
      const attendance = this.#attendances[pending.next] as Attendance;
      const isAsked = !pending.replayed && hasHandler(pending.part, attendance.service);
      if (isAsked && !this.#ask(pending, attendance)) return;
      pending.seen[pending.next++] = pending.address?.mailbox;
    }
    pending.isDone = true;
    this.#answer();
  }

  /** False where there is no verdict yet, or none at all. */
  #ask(pending: Pending, attendance: Attendance): boolean {
    try {
      const answer = call(pending, attendance);
      if (!isPromise(answer)) return this.#take(pending, attendance, answer);
      this.#await(pending, attendance, answer);
    } catch (error) {
      this.#failed(attendance, error);
    }
    return false;
  }

  #await(pending: Pending, attendance: Attendance, answer: Promise<Verdict>): void {
    const { transaction, log, deadlines } = this.#host;
    const { uri, timeoutMs } = attendance.service;
    const limit = new TimeLimit(deadlines, timeoutMs, () => {
      if (transaction.isEnded) return;
      log.error('service-too-slow', { service: uri, xid: transaction.xid, limitMs: timeoutMs });
      transaction.end(failed('time-limit'));
    });
    limit.start();
    answer
      .finally(() => limit.stop())
      .then((verdict) => {
        if (transaction.isEnded || !this.#take(pending, attendance, verdict)) return;
        pending.seen[pending.next++] = pending.address?.mailbox;
        this.#askOn(pending);
      })
      .catch((error: unknown) => this.#failed(attendance, error));
  }

  #failed({ service }: Attendance, error: unknown): void {
    const { transaction, log } = this.#host;
    if (transaction.isEnded) return;
    logFailure(log, service, transaction.xid, error);
    transaction.end(failed(error instanceof VerdictNotTaken ? error.reason : 'service-failed'));
  }

  /** False where the verdict cannot be carried out, and so the mail has failed. */
  #take(pending: Pending, attendance: Attendance, verdict: Verdict): boolean {
    const problem = carryOut(pending, verdict);
    if (problem !== undefined) this.#failed(attendance, typeof problem === 'string' ? new TypeError(problem) : problem);
    return problem === undefined;
  }

  /** Answers what is due, in order. */
  #answer(): void {
    for (let first = this.#pending[0]; first?.isDone === true; first = this.#pending[0]) {
      dropFirst(this.#pending);
      this.#send(first);
      if (first.refusal === undefined) this.#record(first);
    }
    if (this.#pending.length === 0) this.#host.onAnswered();
  }

  #send({ part, offset, text, isAdaptive, rewritten, refusal }: Pending): void {
    const { transaction } = this.#host;
    if (!isAdaptive || transaction.isEnded) return;
    this.#host.startMessage();
    if (refusal !== undefined) {
      transaction.sendData(answerBlock(part, { smtpError: refusal }), [], 0);
    } else if (rewritten === undefined && transaction.canUseYours(offset, text.length)) {
      transaction.useYours(offset, text.length);
    } else {
      const octets = rewritten ?? Buffer.from(text, 'latin1');
      transaction.sendData(answerBlock(part, NOTHING_MORE), [octets], octets.length);
    }
  }

  #record({ part, seen, said }: Pending): void {
    for (let i = 0; i < seen.length; i++) {
      const mailbox = seen[i];
      const attendance = this.#attendances[i] as Attendance;
      if (part !== 'MAIL' && part !== 'RCPT') attendance.session.learn(part, said);
      else if (mailbox === undefined) continue;
      else if (part === 'RCPT') attendance.recipients = append(attendance.recipients, mailbox);
      else attendance.session = attendance.session.withSender(mailbox);
    }
  }
}

const NOT_YET = (): undefined => undefined;
const NOTHING_MORE = {};

function hasHandler(part: CommandPart['part'], service: Service): boolean {
  switch (part) {
    case 'MAIL':
      return service.sender !== undefined;
    case 'RCPT':
      return service.recipient !== undefined;
    case 'EHLO':
    case 'HELO':
      return service.greeting !== undefined;
    case 'VRFY':
      return service.verify !== undefined;
    case 'EXPN':
      return service.expand !== undefined;
  }
}

/** Of a service that has a handler for it. */
function call({ part, address, said }: Pending, { service, session, context }: Attendance): Verdict | Promise<Verdict> {
  if (address !== undefined) {
    const { mailbox } = address;
    const handler = part === 'MAIL' ? service.sender : service.recipient;
    const facts = part === 'MAIL' ? session.withSender(mailbox) : session;
    return (handler as NonNullable<typeof handler>)(mailbox, facts, context);
  }
  const handler = part === 'VRFY' ? service.verify : part === 'EXPN' ? service.expand : service.greeting;
  return (handler as NonNullable<typeof handler>)(unicode(said), session, context);
}

/** What is wrong with the verdict, if anything. */
function carryOut(pending: Pending, verdict: Verdict): string | VerdictNotTaken | undefined {
  const { part, isAdaptive, allow, address } = pending;
  if (!isVerdict(verdict, address === undefined ? ON_TEXT : ON_ADDRESS))
    return address === undefined
      ? `not a verdict on ${part}: keep(), refuse(), change() and their like make one`
      : 'not a verdict on an address: keep(), refuse(), rewrite() and their like make one';
  if (verdict.kind === 'keep') return undefined;
  if (!isAdaptive) return new VerdictNotTaken('part-not-adaptive', part);
  switch (verdict.kind) {
    case 'refuse':
      pending.refusal = verdict.reply;
      return allow.smtpError ? undefined : new VerdictNotTaken('refusal-not-allowed', part);
    case 'rewrite':
      return rewriteTo(pending, verdict);
    case 'change':
      return changeTo(pending, verdict);
  }
}

function rewriteTo(pending: Pending, { path }: Rewrite): string | undefined {
  const part = pending.part as 'MAIL' | 'RCPT';
  const octets = rewriteAddress(part, pending.address as Address, path);
  const address = octets === undefined ? undefined : readAddress(part, octets.toString('latin1'));
  if (octets === undefined || address === undefined || 'error' in address) return `not a path: ${path}`;
  pending.rewritten = octets;
  pending.address = address;
  return undefined;
}

function changeTo(pending: Pending, { argument }: Change): string | undefined {
  const octets = Buffer.from(argument, 'utf8');
  const said = octets.toString('latin1');
  // The gateway takes no more; much more would end the connection for all mails on it.
  if (octets.length > MAX_REWRITTEN_OCTETS) return `an argument of more than ${MAX_REWRITTEN_OCTETS} octets`;
  if (!isCommandText(pending.part as TextPart, said)) return `no argument of ${pending.part}: ${argument}`;
  pending.rewritten = octets;
  pending.said = said;
  return undefined;
}
