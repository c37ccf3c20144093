import {
  OK,
  type Outbox,
  type Payload,
  type Range,
  type Result,
  type Structure,
  type TypedMessage,
  type TypedOf,
  writeAme,
  writeDpm,
  writeDum,
  writeDwm,
  writeDwp,
  writeTe,
} from '../codec/index.ts';
import { copyOctets } from './copy.ts';
import { ReceivedFlow } from './received-flow.ts';
import { failure, isFailure, type TransactionEnd } from './result.ts';
import type { Rule } from './rules.ts';
import { SentFlow } from './sent-flow.ts';
import type { Turns, TurnTaker } from './turns.ts';

/** Octets of one data message at most, so that no turn takes long on a shared connection. */
export const MAX_DUM_OCTETS = 64 * 1024;

/** What a transaction needs of its connection. */
export interface TransactionHost {
  /** Where messages go that are not negotiation. */
  readonly flowOut: Outbox;
  readonly turns: Turns;
  /** Number of the sweep for transactions without progress; whatever is touched takes it over. */
  readonly epoch: number;
  /** Forgets it. */
  remove(transaction: Transaction): void;
  /** To call when its end was told: the connection may have waited for that. */
  settle(): void;
}

/** The messages of a live transaction but TS, TE, DUM and queries. */
export type TransactionMessage = Exclude<
  Extract<TypedMessage, { readonly xid: number }>,
  TypedOf<'TS'> | TypedOf<'TE'> | TypedOf<'DUM'>
>;

/** Those that both sides do not handle alike. */
export type OwnMessage = Exclude<TransactionMessage, TypedOf<'DWP'> | TypedOf<'DWM'> | TypedOf<'DPM'>>;

/** The part of a handler both sides have. */
export interface TransactionHandler {
  /** Free to keep. */
  onDataOctets(octets: Buffer): void;
  /** In place of `onDataOctets`, if it is there: the octets are [from, to) of a chunk that is gone after the call. */
  onDataIn?(chunk: Buffer, from: number, to: number): void;
  onDataEnd(named: TypedOf<'DUM'>['named']): void;
  onTurn(): void;
  onEnd(end: TransactionEnd): void;
}

/*
 *   live ----- TE sent or received, CE ------> ended
 *     \                                          ^
 *      '- end() while data waits -> ending ------'   TE follows the data; the handler heard its end already
 */
type Stage = 'live' | 'ending' | 'ended';

/**
 * One transaction (RFC 4037, section 4) as either agent holds it: a flow each way, the pause of each, and its one end.
 * The two sides add what only they send and understand. `recv...` answers with the rule a message breaks; the
 * connection then sends TE 400 and calls `recvEnd`.
 */
export abstract class Transaction<H extends TransactionHandler = TransactionHandler> implements TurnTaker {
  readonly xid: number;
  readonly features: readonly Structure[];
  touched: number;
  /** The next in its bucket of `LiveTransactions`. */
  nextLive: Transaction | undefined = undefined;
  protected readonly host: TransactionHost;
  protected readonly received = new ReceivedFlow();
  protected readonly sent = new SentFlow();
  /** Absent only while the callout's handler is being made, and after the end. */
  protected handler: H | undefined;
  #stage: Stage = 'live';
  #wantsTurn = false;
  #isInLine = false;
  #wantsPause = false;
  #isPeerPaused = false;
  /** An end that came before there was a handler. */
  #unheard: TransactionEnd | undefined;

  constructor(xid: number, features: readonly Structure[], host: TransactionHost, handler: H | undefined) {
    this.xid = xid;
    this.features = features;
    this.host = host;
    this.touched = host.epoch;
    this.handler = handler;
  }

  get isPaused(): boolean {
    return this.sent.isPaused;
  }

  get isEnded(): boolean {
    return this.#stage !== 'live';
  }

  /** Octets of the original message while it is in progress, for PA (section 11.23). */
  abstract get orgData(): number | undefined;

  /** The head of a DUM, while live. */
  protected abstract recvOwnData(message: TypedOf<'DUM'>): Rule | undefined;

  /** The messages only one side understands, and those that each side tells its handler in its own way; while live. */
  protected abstract recvOwn(message: OwnMessage): Rule | undefined;

  /** The named line that commits us to keep `kept`, `delivered` octets being sent with it; the processor's alone. */
  protected keptLine(_kept: Range, _delivered: number): string {
    return '';
  }

  recvData(message: TypedOf<'DUM'>): Rule | undefined {
    this.touched = this.host.epoch;
    return this.#stage === 'live' ? this.recvOwnData(message) : undefined;
  }

  recv(message: TransactionMessage): Rule | undefined {
    this.touched = this.host.epoch;
    switch (message.kind) {
      case 'DWP':
        if (this.sent.recvWantPause(message.offset)) writeDpm(this.host.flowOut, this.xid);
        return undefined;
      case 'DWM':
        this.sent.recvWantMore();
        if (this.#wantsTurn) this.#line();
        return undefined;
      case 'DPM':
        this.#isPeerPaused = true;
        return undefined;
      case 'AMS':
      case 'AME':
      case 'DUY':
      case 'DPI':
      case 'DWSR':
      case 'DWSS':
      case 'DSS':
        return this.#stage === 'live' ? this.recvOwn(message) : undefined;
    }
  }

  recvOctets(chunk: Buffer, from: number, to: number): void {
    const handler = this.#stage === 'live' ? this.handler : undefined;
    if (handler === undefined) return;
    if (handler.onDataIn !== undefined) handler.onDataIn(chunk, from, to);
    else handler.onDataOctets(copyOctets(chunk, from, to));
  }

  recvDataEnd(message: TypedOf<'DUM'>): void {
    this.received.recvDataEnd();
    if (this.#stage === 'live') this.handler?.onDataEnd(message.named);
  }

  /** Over by TE, CE or a broken rule. The connection has forgotten it. */
  recvEnd(end: TransactionEnd): void {
    const wasLive = this.#stage === 'live';
    this.#finish();
    if (wasLive) this.#tellEnd(end);
  }

  /** TE of the peer; success while its flow is open leaves a message that is not whole. */
  recvTransactionEnd(result: Result): void {
    const isIncomplete = this.received.isOpen && !isFailure(result, 'TE');
    this.recvEnd(isIncomplete ? { by: 'peer', result, incomplete: true } : { by: 'peer', result });
  }

  requestTurn(): void {
    if (this.#stage !== 'live') return;
    this.#wantsTurn = true;
    if (!this.sent.mustWait) this.#line();
  }

  takeTurn(): void {
    this.#isInLine = false;
    if (this.#stage !== 'live' || this.sent.mustWait || this.handler === undefined) return;
    this.#wantsTurn = false;
    this.handler.onTurn();
  }

  wantPause(): void {
    if (this.#stage !== 'live' || this.#wantsPause || this.received.state === 'ended') return;
    this.#wantsPause = true;
    writeDwp(this.host.flowOut, this.xid, this.received.nextOffset);
  }

  wantMore(): void {
    if (this.#stage !== 'live' || (!this.#wantsPause && !this.#isPeerPaused)) return;
    this.#wantsPause = false;
    this.#isPeerPaused = false;
    if (this.received.state !== 'ended') writeDwm(this.host.flowOut, this.xid);
  }

  endMessage(result?: Result): void {
    if (this.#stage !== 'live') return;
    this.sent.sendEnd(result !== undefined && isFailure(result, 'AME'));
    if (this.sent.mustWait) this.#endMessageLater(result);
    else this.#writeEnd(result);
  }

  end(result?: Result): void {
    if (this.#stage !== 'live') return;
    const isClean = result === undefined || !isFailure(result, 'TE');
    if (isClean && this.sent.mustWait && this.sent.state === 'ended') {
      this.#endLater(result);
    } else {
      this.#writeTransactionEnd(result);
    }
    this.#tellEnd({ by: 'us', result: result ?? OK });
    this.host.settle();
  }

  /** The handler, where it could not be given at once. It hears of what happened meanwhile. */
  bind(handler: H): void {
    if (this.#unheard !== undefined) {
      handler.onEnd(this.#unheard);
      return;
    }
    this.handler = handler;
    if (this.#wantsTurn && !this.sent.mustWait) this.#line();
  }

  /** DUM, now or when a pause is over; only then what it commits us to is known. */
  protected send(block: string, payload: Payload, size: number, kept: Range | undefined): void {
    if (this.#stage !== 'live') return;
    if (size > MAX_DUM_OCTETS) throw new RangeError('more than 64 KiB in one data message');
    const offset = this.claim(size);
    if (offset === undefined) return;
    if (this.sent.mustWait) this.#sendLater(offset, block, payload, size, kept);
    else this.#writeData(offset, block, payload, size, kept);
  }

  /** Room for `size` octets in our flow, or the end of the transaction. */
  protected claim(size: number): number | undefined {
    const offset = this.sent.claim(size);
    if (offset === undefined) this.end(failure('flow-too-long'));
    return offset;
  }

  /** To call when data was written: it may have reached a pause the peer asked for. */
  protected wroteData(size: number): void {
    this.touched = this.host.epoch;
    if (this.sent.sendData(size)) writeDpm(this.host.flowOut, this.xid);
  }

  // What has to wait is apart: a function that makes closures sets memory aside at each call, made or not.

  #endMessageLater(result: Result | undefined): void {
    this.sent.wait(() => this.#writeEnd(result));
  }

  #endLater(result: Result | undefined): void {
    this.#stage = 'ending';
    this.sent.wait(() => {
      this.#writeTransactionEnd(result);
      this.host.settle();
    });
  }

  #sendLater(offset: number, block: string, payload: Payload, size: number, kept: Range | undefined): void {
    this.sent.wait(() => this.#writeData(offset, block, payload, size, kept));
  }

  #writeData(offset: number, block: string, payload: Payload, size: number, kept: Range | undefined): void {
    const lines = kept === undefined ? block : block + this.keptLine(kept, offset + size);
    writeDum(this.host.flowOut, this.xid, offset, lines, payload, size);
    this.wroteData(size);
  }

  #writeEnd(result: Result | undefined): void {
    writeAme(this.host.flowOut, this.xid, result);
    this.sent.sendEndWritten();
  }

  #writeTransactionEnd(result: Result | undefined): void {
    writeTe(this.host.flowOut, this.xid, result);
    this.#finish();
    this.host.remove(this);
  }

  #finish(): void {
    this.#stage = 'ended';
    this.sent.drop();
  }

  /** The last event; what it held on to may go. */
  #tellEnd(end: TransactionEnd): void {
    const handler = this.handler;
    this.handler = undefined;
    if (handler === undefined) this.#unheard = end;
    else handler.onEnd(end);
  }

  #line(): void {
    if (this.#isInLine) return;
    this.#isInLine = true;
    this.host.turns.request(this);
  }
}
