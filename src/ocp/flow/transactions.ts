import { type Outbox, type Result, type TypedOf, writePa, writeTe } from '../codec/index.ts';
import { LiveTransactions } from './live-transactions.ts';
import { failure } from './result.ts';
import type { ConnectionRule, Rule } from './rules.ts';
import type { Transaction, TransactionHost, TransactionMessage } from './transaction.ts';
import type { Turns } from './turns.ts';
import { Xids } from './xids.ts';

/** What the transactions need of their connection. */
export interface TransactionLine {
  /** For queries; not held back by a Negotiation Phase. */
  readonly phaseOut: Outbox;
  /** For everything else. */
  readonly flowOut: Outbox;
  readonly turns: Turns;
  /** Ends the connection. */
  fail(rule: ConnectionRule): void;
  /** A transaction is gone. */
  settle(): void;
}

/** Sweeps a transaction may stay untouched in; one sweep falls due each half of the time it has. */
const SWEEPS = 2;

/**
 * The transactions of one connection by xid: finds the one a message is for, and knows what is owed for a message that
 * breaks a rule or is for none (RFC 4037, sections 5 and 11). Identifiers mean nothing beyond their connection.
 */
export class Transactions implements TransactionHost {
  readonly xids: Xids;
  epoch = 0;
  /** How many there have been. */
  added = 0;
  readonly #line: TransactionLine;
  readonly #live = new LiveTransactions();
  /** Whose DUM is being read. */
  #reading: Transaction | undefined;
  #head: TypedOf<'DUM'> | undefined;

  constructor(line: TransactionLine, firstXid: number, maxStrays: number) {
    this.#line = line;
    this.xids = new Xids(firstXid, maxStrays);
  }

  get live(): number {
    return this.#live.size;
  }

  get flowOut(): Outbox {
    return this.#line.flowOut;
  }

  get turns(): Turns {
    return this.#line.turns;
  }

  add(transaction: Transaction): void {
    this.#live.add(transaction);
    this.added++;
  }

  find(xid: number): Transaction | undefined {
    return this.#live.find(xid);
  }

  remove(transaction: Transaction): void {
    this.#live.remove(transaction);
  }

  settle(): void {
    this.#line.settle();
  }

  recv(message: TransactionMessage): void {
    const transaction = this.#live.find(message.xid);
    const rule = transaction?.recv(message);
    if (transaction === undefined) this.recvInactive(message.xid);
    else if (rule !== undefined) this.fail(transaction, rule);
  }

  recvTransactionEnd({ xid, result }: TypedOf<'TE'>): void {
    const transaction = this.#live.find(xid);
    if (transaction === undefined) {
      this.recvInactive(xid);
      return;
    }
    this.remove(transaction);
    transaction.recvTransactionEnd(result);
    this.settle();
  }

  recvData(head: TypedOf<'DUM'>): void {
    const transaction = this.#live.find(head.xid);
    const rule = transaction?.recvData(head);
    if (transaction === undefined) {
      this.recvInactive(head.xid);
    } else if (rule !== undefined) {
      this.fail(transaction, rule);
    } else {
      this.#reading = transaction;
      this.#head = head;
    }
  }

  recvOctets(chunk: Buffer, from: number, to: number): void {
    this.#reading?.recvOctets(chunk, from, to);
  }

  recvDataEnd(): void {
    const transaction = this.#reading;
    const head = this.#head;
    this.#reading = undefined;
    this.#head = undefined;
    if (transaction !== undefined && head !== undefined) transaction.recvDataEnd(head);
  }

  /** A message of this name and xid breaks a rule of its own. */
  recvBroken(xid: number, rule: Rule, name: string): void {
    const transaction = this.#live.find(xid);
    if (transaction !== undefined) this.fail(transaction, rule);
    else if (name === 'TS') this.#refuse(xid, rule);
    else this.recvInactive(xid);
  }

  /** Answered at once, even for identifiers that mean nothing (section 11.22). */
  recvProgressQuery(xid: number | undefined): void {
    const transaction = xid === undefined ? undefined : this.#live.find(xid);
    if (transaction === undefined) writePa(this.#line.phaseOut);
    else writePa(this.#line.phaseOut, transaction.xid, transaction.orgData);
  }

  /** PA and PR inform; only their identifier can be wrong. */
  recvReport(xid: number | undefined): void {
    if (xid !== undefined && this.#live.find(xid) === undefined) this.recvInactive(xid);
  }

  /** In flight when the transaction ended, or never created: then it is said once. */
  recvInactive(xid: number): void {
    const fate = this.xids.judge(xid);
    if (fate === 'stray') writeTe(this.flowOut, xid, failure('xid-never-created'));
    else if (fate === 'abuse') this.#line.fail('too-many-unknown-xids');
  }

  /** The peer broke `rule` in this transaction (section 5). */
  fail(transaction: Transaction, rule: Rule): void {
    const result = failure(rule);
    this.remove(transaction);
    writeTe(this.flowOut, transaction.xid, result);
    transaction.recvEnd({ by: 'us', result, rule });
    this.settle();
  }

  /** Ends what was neither sent nor received for since two sweeps ago (section 2.7). Queries are no progress. */
  sweep(): void {
    this.epoch++;
    for (const transaction of this.#live) {
      if (this.epoch - transaction.touched > SWEEPS) this.fail(transaction, 'no-progress');
    }
  }

  /** The connection ended with `result`, and all transactions with it. */
  endAll(result: Result): void {
    const ended = this.#live.clear();
    this.#reading = undefined;
    for (const transaction of ended) transaction.recvEnd({ by: 'connection', result });
  }

  /** A TS that creates nothing; its identifier is used up all the same. */
  #refuse(xid: number, rule: Rule): void {
    this.xids.recvCreate(xid);
    writeTe(this.flowOut, xid, failure(rule));
  }
}
