/**
 * One mail on its way to a domain's mail hosts: looks them up, and tries them in order until one answers a recipient. From
 * then on it is that host's mail, and no other is tried: two hosts must never have half a mail each.
 *
 *      finding ──► trying ──► settled ──► over
 *         │         │  ▲ │                  ▲
 *         │         └──┘ └──────────────────┤   no host is left
 *         └──► refused ─────────────────────┘   the look-ups say there is nowhere to go
 *
 * Another host is tried where nothing was answered but the connection: no connection, no greeting, no TLS as demanded, no
 * word on MAIL or RCPT, or a 4yz to MAIL (RFC 5321 section 5.1). A 5yz to MAIL is an answer.
 */
import type { MonotonicClock } from '../../../base/index.ts';
import {
  type DataOptions,
  isTransient,
  type Outbound,
  type OutboundEnvelope,
  type OutboundEvents,
  type OutboundFailure,
  type Reply,
  replies,
} from '../../../smtp/index.ts';
import type { Destination, PlannedHost } from './plan.ts';

/** One address of one host. */
export interface HostTarget extends Omit<PlannedHost, 'addresses'> {
  readonly address: string;
}

/** A transaction with that address. Never waits: what goes wrong comes as an event. */
export type OpenHost = (target: HostTarget, envelope: OutboundEnvelope, events: OutboundEvents) => Outbound;

export interface MxOutboundOptions {
  readonly openHost: OpenHost;
  readonly clock: MonotonicClock;
  /** No further host is begun later than this after the mail was. */
  readonly tryForMs: number;
  /** What there was to do; for the log. */
  onFound?(destination: Destination): void;
  /** Another host is tried because of this failure, or this reply to MAIL. */
  onNextHost?(left: HostTarget, why: OutboundFailure | Reply): void;
}

type State =
  | { readonly at: 'finding' }
  | { readonly at: 'refused'; readonly reply: Reply }
  | {
      readonly at: 'trying';
      readonly attempt: Attempt;
      readonly targets: readonly HostTarget[];
      readonly index: number;
    }
  | { readonly at: 'settled'; readonly attempt: Attempt }
  | { readonly at: 'over' };

export class MxOutbound implements Outbound {
  readonly #envelope: OutboundEnvelope;
  readonly #events: OutboundEvents;
  readonly #options: MxOutboundOptions;
  readonly #sinceMs: number;
  readonly #rcpts: (readonly [argument: string, params: ReadonlyMap<string, string | true> | undefined])[] = [];
  #data: DataOptions | undefined;
  #state: State = { at: 'finding' };

  /** `destination` must come in time, as a value. */
  constructor(
    destination: Promise<Destination>,
    envelope: OutboundEnvelope,
    events: OutboundEvents,
    options: MxOutboundOptions,
  ) {
    this.#envelope = envelope;
    this.#events = events;
    this.#options = options;
    this.#sinceMs = options.clock();
    destination.then((found) => this.#onFound(found)).catch((error: unknown) => this.#onBroken(error));
  }

  /** Where the mail is, or is being tried: for the log. */
  get target(): HostTarget | undefined {
    return this.#attempt?.target;
  }

  get passesDsn(): boolean | undefined {
    return this.#attempt?.out.passesDsn;
  }

  rcpt(argument: string, params?: ReadonlyMap<string, string | true>): void {
    const index = this.#rcpts.push([argument, params]) - 1;
    if (this.#state.at === 'refused') queueMicrotask(() => this.#tellRefusal(index));
    else this.#attempt?.out.rcpt(argument, params);
  }

  data(options?: DataOptions): void {
    this.#data = options ?? { exact: false };
    if (this.#state.at === 'refused') queueMicrotask(() => this.#tellNoRecipients());
    else this.#attempt?.out.data(this.#data);
  }

  content(chunks: readonly Uint8Array[], last: boolean, isDotFree?: boolean): boolean {
    const attempt = this.#attempt;
    if (attempt !== undefined) return attempt.out.content(chunks, last, isDotFree);
    if (this.#state.at === 'over') return true;
    throw new Error('content() before 354');
  }

  abort(): void {
    const attempt = this.#attempt;
    this.#state = { at: 'over' };
    attempt?.out.abort();
  }

  get #attempt(): Attempt | undefined {
    return this.#state.at === 'trying' || this.#state.at === 'settled' ? this.#state.attempt : undefined;
  }

  // What the look-ups say.

  #onFound(found: Destination): void {
    if (this.#state.at !== 'finding') return;
    this.#options.onFound?.(found);
    if (found.kind === 'hosts') {
      const targets = found.hosts.flatMap(({ addresses, ...host }) =>
        addresses.map((address) => ({ ...host, address })),
      );
      this.#try(targets, 0);
      return;
    }
    this.#state = { at: 'refused', reply: found.reply };
    for (let i = 0; i < this.#rcpts.length; i++) this.#tellRefusal(i);
    if (this.#data !== undefined) this.#tellNoRecipients();
  }

  /** A bug in the look-ups, or on the way to a host, must not leave a client waiting. */
  #onBroken(error: unknown): void {
    if (this.#state.at === 'over') return;
    this.#attempt?.out.abort();
    this.#fail({ stage: 'connect', reason: 'unreachable', detail: String(error), sent: false });
  }

  #tellRefusal(index: number): void {
    if (this.#state.at === 'refused') this.#events.onRcptReply(index, this.#state.reply);
  }

  #tellNoRecipients(): void {
    if (this.#state.at !== 'refused') return;
    this.#state = { at: 'over' };
    this.#events.onDataReply(replies.noRecipients);
  }

  // Hosts.

  #try(targets: readonly HostTarget[], index: number): void {
    const target = targets[index];
    if (target === undefined) throw new Error('no host to try');
    const attempt = new Attempt(this, target, (events) => this.#options.openHost(target, this.#envelope, events));
    this.#state = { at: 'trying', attempt, targets, index };
    for (const [argument, params] of this.#rcpts) attempt.out.rcpt(argument, params);
    if (this.#data !== undefined) attempt.out.data(this.#data);
  }

  /** True where another host was begun in place of `attempt`. */
  #tryNext(attempt: Attempt, why: OutboundFailure | Reply): boolean {
    if (this.#state.at !== 'trying' || this.#state.attempt !== attempt) return false;
    const { targets, index } = this.#state;
    const { clock, tryForMs } = this.#options;
    if (index + 1 >= targets.length || clock() - this.#sinceMs >= tryForMs) return false;
    this.#options.onNextHost?.(attempt.target, why);
    this.#try(targets, index + 1);
    return true;
  }

  #fail(failure: OutboundFailure): void {
    this.#state = { at: 'over' };
    this.#events.onFailed(failure);
  }

  // What the host in use says; `Attempt` calls these, and only while it is in use.

  isUsing(attempt: Attempt): boolean {
    return this.#attempt === attempt;
  }

  recvMailRefused(attempt: Attempt, refusal: Reply): void {
    if (isTransient(refusal) && this.#tryNext(attempt, refusal)) attempt.out.abort();
    else this.#events.onMailRefused?.(refusal);
  }

  recvRcptReply(attempt: Attempt, index: number, answer: Reply): void {
    this.#state = { at: 'settled', attempt };
    this.#events.onRcptReply(index, answer);
  }

  recvDataReply(attempt: Attempt, answer: Reply): void {
    this.#state = answer.code === 354 ? { at: 'settled', attempt } : { at: 'over' };
    this.#events.onDataReply(answer);
  }

  recvDrain(): void {
    this.#events.onDrain();
  }

  recvFinalReply(answer: Reply): void {
    this.#state = { at: 'over' };
    this.#events.onFinalReply(answer);
  }

  recvFailed(attempt: Attempt, failure: OutboundFailure): void {
    if (failure.sent || ENDS_THE_MAIL.has(failure.reason) || !this.#tryNext(attempt, failure)) this.#fail(failure);
  }
}

/** Not about the host: ours to end, or the same at each of them (a host that cannot carry the mail is not passed over for a worse one). */
const ENDS_THE_MAIL: ReadonlySet<OutboundFailure['reason']> = new Set(['cannot-carry', 'changed', 'shutdown']);

/** One host's transaction; events of one that was left go nowhere. */
class Attempt implements OutboundEvents {
  readonly target: HostTarget;
  readonly out: Outbound;
  readonly #owner: MxOutbound;

  constructor(owner: MxOutbound, target: HostTarget, open: (events: OutboundEvents) => Outbound) {
    this.#owner = owner;
    this.target = target;
    this.out = open(this);
  }

  onMailRefused(reply: Reply): void {
    if (this.#owner.isUsing(this)) this.#owner.recvMailRefused(this, reply);
  }

  onRcptReply(index: number, reply: Reply): void {
    if (this.#owner.isUsing(this)) this.#owner.recvRcptReply(this, index, reply);
  }

  onDataReply(reply: Reply): void {
    if (this.#owner.isUsing(this)) this.#owner.recvDataReply(this, reply);
  }

  onDrain(): void {
    if (this.#owner.isUsing(this)) this.#owner.recvDrain();
  }

  onFinalReply(reply: Reply): void {
    if (this.#owner.isUsing(this)) this.#owner.recvFinalReply(reply);
  }

  onFailed(failure: OutboundFailure): void {
    if (this.#owner.isUsing(this)) this.#owner.recvFailed(this, failure);
  }
}
