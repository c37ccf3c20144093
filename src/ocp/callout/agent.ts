import { type Outbox, type Result, type Structure, type TypedOf, writeTe } from '../codec/index.ts';
import { failure } from '../flow/result.ts';
import type { FlowRule } from '../flow/rules.ts';
import { Connection, type Role, type TimerKind } from '../negotiation/connection.ts';
import { UNSUPPORTED } from '../negotiation/negotiator.ts';
import { CalloutTx } from './transaction.ts';
import type { CalloutEvents, CalloutOptions } from './types.ts';

/**
 * The callout server's agent of one OCP connection (RFC 4037): octets in by `recv`, octets out by `outbox`, time by
 * `onTimer`. Each transaction of the processor gets a handler from `events.onTransaction`.
 */
export class CalloutAgent {
  readonly #events: CalloutEvents;
  readonly #connection: Connection;

  constructor(options: CalloutOptions, events: CalloutEvents) {
    this.#events = events;
    this.#connection = new Connection(this.#role(), {
      kept: options.kept ?? 'structure',
      limits: options.limits,
      firstXid: 0, // the processor creates them
      policy: {
        conflict: options.conflict ?? (() => false),
        supports: (feature, named) => events.onAbilityQuery?.(feature, named) ?? UNSUPPORTED,
        ability: () => undefined, // it asks for none
        select: (features) => events.onOffer(features),
        selected: (feature) => events.onSelected?.(feature),
      },
    });
  }

  get outbox(): Outbox {
    return this.#connection.outbox;
  }

  get isEnded(): boolean {
    return this.#connection.isEnded;
  }

  get liveTransactions(): number {
    return this.#connection.transactions.live;
  }

  start(): void {
    this.#connection.start();
  }

  recv(chunk: Buffer): void {
    this.#connection.recv(chunk);
  }

  transportEnded(reason: string): void {
    this.#connection.transportEnded(reason);
  }

  /** To call after `outbox.take()` when more output is welcome: turns go on. */
  drained(): void {
    this.#connection.turns.serve();
  }

  /**
   * NO of our own; false where an offer is open or would conflict. If it crosses one of the processor's it is lost, and
   * made again behind the answer to that.
   */
  offer(
    features: readonly Structure[],
    { sg, mayOfferMore = false }: { sg?: number; mayOfferMore?: boolean } = {},
  ): boolean {
    this.start();
    return !this.isEnded && this.#connection.negotiator.offer(features, sg, mayOfferMore);
  }

  /** To call in `onOffer`: the answer says that an offer of ours will follow, and `offer` has to. */
  promiseOffer(): void {
    this.#connection.negotiator.promiseOffer();
  }

  ping(): void {
    this.#connection.ping();
  }

  onTimer(kind: TimerKind): void {
    this.#connection.onTimer(kind);
  }

  /** Refuses new transactions and closes when the last one has ended. */
  drain(): void {
    this.#connection.drain();
  }

  /** CE: live transactions end with it. */
  close(result?: Result): void {
    this.#connection.close(result);
  }

  #role(): Role {
    return {
      side: 'callout',
      onStart: () => undefined,
      recvTransactionStart: (message) => this.#recvTransactionStart(message),
      onPhaseClosed: () => undefined,
      onOutput: () => this.#events.onOutput(),
      onEnd: (end) => this.#events.onEnd(end),
    };
  }

  #recvTransactionStart({ xid, sgId }: TypedOf<'TS'>): void {
    const connection = this.#connection;
    const live = connection.transactions.find(xid);
    const rule = live === undefined ? this.#ruleForStart(xid, sgId) : 'xid-not-greater';
    if (live !== undefined) connection.transactions.fail(live, 'xid-not-greater');
    else if (rule !== undefined) writeTe(connection.flowOut, xid, failure(rule, causeOf(rule)));
    else this.#startTransaction(xid, sgId);
  }

  #startTransaction(xid: number, sgId: number): void {
    const connection = this.#connection;
    const group = connection.negotiator.theirs.find(sgId);
    const transaction = new CalloutTx(xid, connection.negotiator.featuresOf(group), connection.transactions, undefined);
    connection.transactions.add(transaction);
    const handler = this.#events.onTransaction(transaction, group?.services ?? []);
    if ('code' in handler) transaction.end(handler);
    else transaction.bind(handler);
  }

  /** Why the transaction cannot be started. Its identifier is used up in any case (section 10.2). */
  #ruleForStart(xid: number, sgId: number): FlowRule | undefined {
    const { transactions, negotiator, limits, isDraining } = this.#connection;
    if (!transactions.xids.recvCreate(xid)) return 'xid-not-greater';
    if (negotiator.theirs.find(sgId) === undefined) return 'unknown-group';
    return isDraining || transactions.live >= limits.maxTransactions ? 'too-many-transactions' : undefined;
  }
}

/** A server that is full says so to programs, too (decision 0061). */
function causeOf(rule: FlowRule): string | undefined {
  return rule === 'too-many-transactions' ? 'overload' : undefined;
}
