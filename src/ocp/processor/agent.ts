import { type Outbox, type Result, type Structure, type TypedOf, writeTs } from '../codec/index.ts';
import type { ConnectionEnd } from '../flow/result.ts';
import { Connection, type Role, type TimerKind } from '../negotiation/connection.ts';
import { ProcessorTx } from './transaction.ts';
import type { ProcessorEvents, ProcessorOptions, ProcessorTransaction, ProcessorTransactionEvents } from './types.ts';

/**
 * The OPES processor's agent of one OCP connection (RFC 4037): octets in by `recv`, octets out by `outbox`, time by
 * `onTimer`. It offers, creates its group when the phase has closed, and then starts transactions.
 *
 *     const agent = new ProcessorAgent({ offer: [], services: [structure(['http://svc.example/upper'])], kept: 'structure' }, events);
 *     agent.start();                          // then write agent.outbox.take() whenever events.onOutput was called
 */
export class ProcessorAgent {
  readonly #options: ProcessorOptions;
  readonly #events: ProcessorEvents;
  readonly #connection: Connection;
  readonly #groupId: number;
  #hasGroup = false;

  constructor(options: ProcessorOptions, events: ProcessorEvents) {
    this.#options = options;
    this.#events = events;
    this.#groupId = options.groupId ?? 1;
    this.#connection = new Connection(this.#role(), {
      kept: 'structure', // the server sends none
      limits: options.limits,
      firstXid: options.firstXid ?? 1,
      policy: {
        conflict: options.conflict ?? (() => false),
        supports: (feature) => ({ supported: options.supports?.(feature) ?? false, block: '' }),
        ability: (supported, named) => events.onAbility?.(supported, named),
        select: (features) => events.onOffer?.(features),
        selected: (feature, details) => events.onSelected(feature, details),
      },
    });
  }

  get outbox(): Outbox {
    return this.#connection.outbox;
  }

  /** Transactions may be started. */
  get isReady(): boolean {
    return this.#hasGroup && !this.#connection.isEnded && !this.#connection.isDraining;
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

  /** `chunk` may be used again after the call: handlers get copies of what they may keep. */
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

  /** Nothing where the agent is not ready, carries as much as it may, or has used up all identifiers: then it drains. */
  startTransaction(events: ProcessorTransactionEvents): ProcessorTransaction | undefined {
    const connection = this.#connection;
    if (!this.isReady || connection.transactions.live >= connection.limits.maxTransactions) return undefined;
    const xid = connection.transactions.xids.create();
    if (xid === undefined) {
      connection.drain();
      return undefined;
    }
    const { negotiator } = connection;
    const features = negotiator.featuresOf(negotiator.ours.find(this.#groupId));
    const transaction = new ProcessorTx(xid, features, connection.transactions, events, this.#options.kept);
    connection.transactions.add(transaction);
    writeTs(connection.flowOut, xid, this.#groupId);
    return transaction;
  }

  /**
   * NO for more features; false where an offer is open, would conflict, or names the group of live transactions, for
   * which it should not be made (section 11.18). What is sent meanwhile waits for the end of the phase.
   */
  offer(
    features: readonly Structure[],
    { sg, mayOfferMore = false }: { sg?: number; mayOfferMore?: boolean } = {},
  ): boolean {
    if (!this.isReady || (sg !== undefined && this.liveTransactions > 0)) return false;
    return this.#connection.negotiator.offer(features, sg, mayOfferMore);
  }

  /**
   * AQ: whether the peer supports `feature` now; `events.onAbility` is told what it says. `block`: named lines that the feature's
   * own specification adds, each ending CRLF, or ''. Changes nothing on either side (section 11.20); nothing is sent
   * where the agent is not ready.
   */
  queryAbility(feature: Structure, block = ''): void {
    if (this.isReady) this.#connection.negotiator.queryAbility(feature, block);
  }

  /** PQ: any answer of the peer's shows that it lives; `onTimer('silence')` judges. */
  ping(): void {
    this.#connection.ping();
  }

  onTimer(kind: TimerKind): void {
    this.#connection.onTimer(kind);
  }

  /** Starts no more transactions and closes when the last one has ended. */
  drain(): void {
    this.#connection.drain();
  }

  /** CE: live transactions end with it. */
  close(result?: Result): void {
    this.#connection.close(result);
  }

  #role(): Role {
    return {
      side: 'processor',
      onStart: () => this.#connection.negotiator.offer(this.#options.offer, undefined, false),
      recvTransactionStart: (_message: TypedOf<'TS'>) => undefined, // only processors start transactions
      onPhaseClosed: () => this.#onPhaseClosed(),
      onOutput: () => this.#events.onOutput(),
      onEnd: (end: ConnectionEnd) => this.#events.onEnd(end),
    };
  }

  #onPhaseClosed(): void {
    if (this.#hasGroup) return;
    this.#hasGroup = true;
    const { negotiator, flowOut } = this.#connection;
    negotiator.createGroup(this.#groupId, this.#options.services, flowOut);
    this.#events.onReady();
  }
}
