/**
 * Senders and recipients of one mail: each is shown to the services in their order, every one seeing what the one before
 * made of it, and answered in the order they came. Handlers of several recipients may run at once.
 */
import type { Deadlines, Log } from '../base/index.ts';
import { type CalloutTransaction, failure } from '../ocp/index.ts';
import { type Allow, answerBlock } from '../profile/index.ts';
import { type CallContext, isPromise, isVerdict, logFailure } from './calls.ts';
import type { Mailbox } from './mail.ts';
import type { Service } from './service.ts';
import { type Address, readAddress, rewriteAddress, type SessionFacts } from './session.ts';
import { append, dropFirst } from './short-lists.ts';
import { TimeLimit } from './time-limit.ts';
import type { AddressVerdict } from './verdict.ts';

export interface AddressPart {
  readonly part: 'MAIL' | 'RCPT';
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

export interface AddressHost {
  readonly transaction: CalloutTransaction;
  readonly log: Log;
  readonly deadlines: Deadlines;
  startMessage(): void;
  /** Everything so far is answered. */
  onAnswered(): void;
}

const VERDICTS: readonly AddressVerdict['kind'][] = ['keep', 'refuse', 'rewrite'];

interface Pending extends AddressPart {
  /** As it is after the services that were asked. */
  address: Address;
  /** As a service wrote it anew. */
  rewritten: Buffer | undefined;
  /** As each service that was asked leaves it. */
  readonly seen: (Mailbox | undefined)[];
  next: number;
  refusal: string | undefined;
  isDone: boolean;
}

export class Addresses {
  readonly #host: AddressHost;
  readonly #attendances: readonly Attendance[];
  #pending: Pending[] = [];

  constructor(host: AddressHost, attendances: readonly Attendance[]) {
    this.#host = host;
    this.#attendances = attendances;
  }

  get isAnswered(): boolean {
    return this.#pending.length === 0;
  }

  /** A whole MAIL or RCPT part. */
  add({ part, offset, text, isAdaptive, allow, replayed }: AddressPart): void {
    const address = readAddress(part, text);
    if ('error' in address) {
      this.#host.transaction.end(failure('argument'));
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
      const handler = handlerOf(pending, attendance.service);
      if (handler !== undefined && !this.#ask(pending, attendance, handler)) return;
      pending.seen[pending.next++] = pending.address.mailbox;
    }
    pending.isDone = true;
    this.#answer();
  }

  /** False where there is no verdict yet, or none at all. */
  #ask(pending: Pending, attendance: Attendance, handler: AddressHandler): boolean {
    const { session, context } = attendance;
    const { mailbox } = pending.address;
    try {
      const facts = pending.part === 'MAIL' ? session.withSender(mailbox) : session;
      const answer = handler(mailbox, facts, context);
      if (!isPromise(answer)) return this.#take(pending, attendance, answer);
      this.#await(pending, attendance, answer);
    } catch (error) {
      this.#failed(attendance, error);
    }
    return false;
  }

  #await(pending: Pending, attendance: Attendance, answer: Promise<AddressVerdict>): void {
    const { transaction, log, deadlines } = this.#host;
    const { uri, timeoutMs } = attendance.service;
    const limit = new TimeLimit(deadlines, timeoutMs, () => {
      if (transaction.isEnded) return;
      log.error('service-too-slow', { service: uri, limitMs: timeoutMs });
      transaction.end(failure('time-limit'));
    });
    limit.start();
    answer
      .finally(() => limit.stop())
      .then((verdict) => {
        if (transaction.isEnded || !this.#take(pending, attendance, verdict)) return;
        pending.seen[pending.next++] = pending.address.mailbox;
        this.#askOn(pending);
      })
      .catch((error: unknown) => this.#failed(attendance, error));
  }

  #failed({ service }: Attendance, error: unknown): void {
    const { transaction, log } = this.#host;
    if (transaction.isEnded) return;
    logFailure(log, service, error);
    transaction.end(failure('service-failed'));
  }

  /** False where the verdict cannot be carried out, and so the mail has failed. */
  #take(pending: Pending, attendance: Attendance, verdict: AddressVerdict): boolean {
    const problem = this.#carryOut(pending, verdict);
    if (problem !== undefined) this.#failed(attendance, new TypeError(problem));
    return problem === undefined;
  }

  /** What is wrong with the verdict, if anything. */
  #carryOut(pending: Pending, verdict: AddressVerdict): string | undefined {
    const { part, isAdaptive, allow } = pending;
    if (!isVerdict(verdict, VERDICTS)) return 'not a verdict on an address';
    if (verdict.kind === 'keep') return undefined;
    if (!isAdaptive) return `the processor takes no changes of ${part}`;
    if (verdict.kind === 'refuse') {
      pending.refusal = verdict.reply;
      return allow.smtpError ? undefined : `the processor takes no refusal of ${part}`;
    }
    const octets = rewriteAddress(part, pending.address, verdict.path);
    const address = octets === undefined ? undefined : readAddress(part, octets.toString('latin1'));
    if (octets === undefined || address === undefined || 'error' in address) return `not a path: ${verdict.path}`;
    pending.rewritten = octets;
    pending.address = address;
    return undefined;
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

  #record({ part, seen }: Pending): void {
    for (let i = 0; i < seen.length; i++) {
      const mailbox = seen[i];
      const attendance = this.#attendances[i] as Attendance;
      if (mailbox === undefined) continue;
      if (part === 'RCPT') attendance.recipients = append(attendance.recipients, mailbox);
      else attendance.session = attendance.session.withSender(mailbox);
    }
  }
}

const NOT_YET = (): undefined => undefined;
const NOTHING_MORE = {};

type AddressHandler = NonNullable<Service['recipient']>;

function handlerOf({ part, replayed }: AddressPart, service: Service): AddressHandler | undefined {
  if (replayed) return undefined;
  return part === 'MAIL' ? service.sender : service.recipient;
}
