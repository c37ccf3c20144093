import {
  type CodecLimits,
  DEFAULT_CODEC_LIMITS,
  type Message,
  MessageParser,
  type MessageSink,
  OK,
  Outbox,
  type Result,
  readMessage,
  type TypedMessage,
  type TypedOf,
  writeCe,
  writeCs,
  writePq,
} from '../codec/index.ts';
import { type ConnectionEnd, failure } from '../flow/result.ts';
import type { Rule } from '../flow/rules.ts';
import { type TransactionLine, Transactions } from '../flow/transactions.ts';
import { Turns } from '../flow/turns.ts';
import { Admission } from './admission.ts';
import { type AgentLimits, DEFAULT_AGENT_LIMITS } from './limits.ts';
import { type FeaturePolicy, Negotiator } from './negotiator.ts';
import type { Side } from './phase.ts';

/** What the processor and the callout server each add to a connection. */
export interface Role {
  readonly side: Side;
  /** Our CS was written. */
  onStart(): void;
  recvTransactionStart(message: TypedOf<'TS'>): void;
  /** A Negotiation Phase closed; what waited for that was written. */
  onPhaseClosed(): void;
  onOutput(): void;
  onEnd(end: ConnectionEnd): void;
}

export interface ConnectionSettings {
  readonly kept: 'structure' | 'pair';
  readonly limits: (Partial<AgentLimits> & { readonly codec?: Partial<CodecLimits> }) | undefined;
  readonly policy: FeaturePolicy;
  readonly firstXid: number;
}

/**
 * `negotiation`: the time for it is over, counted from the start and then again and again. `silence`: the time without
 * input after which the peer is asked whether it lives. `stall`: half the time a transaction may make no progress.
 * `idle`: the time a connection may have no transaction.
 */
export type TimerKind = 'negotiation' | 'silence' | 'stall' | 'idle';

const IDLE: Result = { code: 200, reason: 'idle' };

/*
 *   fresh --- start ---> open --- CE sent or received, transport gone ---> ended
 */
type State = 'fresh' | 'open' | 'ended';

/**
 * One OCP connection (RFC 4037, sections 2, 5 and 11): start and end, whom each message is for, and what an invalid one
 * ends. Octets in, octets out; no socket, no clock.
 *
 * Messages that may not be sent in a Negotiation Phase are held back until it closes, so that nobody above has to
 * know of phases (and a TE that falls due in one leaves right after it, A-25).
 */
export class Connection implements MessageSink, TransactionLine {
  readonly outbox = new Outbox();
  readonly negotiator: Negotiator;
  readonly transactions: Transactions;
  readonly turns: Turns;
  readonly limits: AgentLimits;
  readonly #role: Role;
  readonly #admission: Admission;
  readonly #parser: MessageParser;
  readonly #held = new Outbox();
  #state: State = 'fresh';
  #isDraining = false;
  #wasHeard = false;
  /** Asked, and nothing was heard since; without an answer the connection is given up. */
  #isAskingForLife = false;
  /** It sent a PA in its life. */
  #hasAnswered = false;
  /** Transactions there had been when it was last heard. */
  #addedWhenHeard = 0;
  /** The phase that was open when negotiation was last found slow; the first has no second chance. */
  #slowPhase = 0;
  /** Transactions there had been when the connection was last looked at for idleness. */
  #addedBefore = 0;

  constructor(role: Role, { kept, limits, policy, firstXid }: ConnectionSettings) {
    this.#role = role;
    this.limits = { ...DEFAULT_AGENT_LIMITS, ...limits };
    this.turns = new Turns(() => this.outbox.pendingOctets + this.#held.pendingOctets, this.limits.highWaterOctets);
    this.transactions = new Transactions(this, firstXid, this.limits.maxStrays);
    this.negotiator = new Negotiator(role.side, this.limits.maxGroups, policy, () => this.phaseOut);
    this.#admission = new Admission(role.side, this.negotiator.phase);
    this.#parser = new MessageParser(this, { limits: { ...DEFAULT_CODEC_LIMITS, ...limits?.codec }, kept });
  }

  get isEnded(): boolean {
    return this.#state === 'ended';
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get phaseOut(): Outbox {
    if (this.outbox.pendingOctets === 0) this.#role.onOutput();
    return this.outbox;
  }

  get flowOut(): Outbox {
    return this.negotiator.phase.isOpen ? this.#held : this.phaseOut;
  }

  start(): void {
    if (this.#state !== 'fresh') return;
    this.#state = 'open';
    writeCs(this.phaseOut);
    this.#role.onStart();
  }

  recv(chunk: Buffer): void {
    if (this.#state === 'ended') return;
    this.start();
    this.#wasHeard = true;
    this.#parser.feed(chunk);
    this.#addedWhenHeard = this.transactions.added;
  }

  /** The transport went away; without a CE that counts as one with failure (section 11.2). */
  transportEnded(reason: string): void {
    this.#end({ by: 'transport', result: failure(reason) });
  }

  close(result: Result = OK): void {
    this.#end({ by: 'us', result });
  }

  /** Takes no new transactions, and closes when the last one has ended. */
  drain(): void {
    this.#isDraining = true;
    this.settle();
  }

  settle(): void {
    if (this.#isDraining && this.transactions.live === 0) this.close();
  }

  /** The peer broke `rule`, and the connection is its scope. */
  fail(rule: Rule): void {
    const result = failure(rule);
    this.#end({ by: 'us', result, rule });
  }

  ping(): void {
    if (this.#state !== 'open') return;
    this.#isAskingForLife = true;
    writePq(this.phaseOut);
  }

  onTimer(kind: TimerKind): void {
    if (this.#state === 'ended') return;
    switch (kind) {
      case 'negotiation':
        this.#onNegotiationTimer();
        break;
      case 'silence':
        this.#onSilenceTimer();
        break;
      case 'stall':
        this.transactions.sweep();
        break;
      case 'idle':
        if (this.transactions.live === 0 && this.transactions.added === this.#addedBefore) this.close(IDLE);
        this.#addedBefore = this.transactions.added;
    }
  }

  onMessage(message: Message): void {
    if (this.#admits(message)) this.#take(message);
  }

  /** Only DUM gives a payload a meaning (section 11.9); whatever else comes with one is read without it. */
  onPayloadStart(message: Message): void {
    if (message.name === 'DUM') this.onMessage(message);
  }

  onPayload(octets: Buffer): void {
    this.onPayloadIn(octets, 0, octets.length);
  }

  onPayloadIn(chunk: Buffer, from: number, to: number): void {
    this.transactions.recvOctets(chunk, from, to);
  }

  onPayloadEnd(message: Message): void {
    if (message.name === 'DUM') this.transactions.recvDataEnd();
    else this.onMessage(message);
  }

  /** Where one message ends and the next begins is lost, so nothing on the connection can be told any more. */
  onBad(rule: string): void {
    this.fail(rule);
  }

  #admits(message: Message): boolean {
    const verdict = this.#admission.judge(message);
    if (verdict === 'take') return true;
    if (verdict !== 'ignore') this.fail(verdict);
    return false;
  }

  #take(message: Message): void {
    const typed = readMessage(message);
    if (typed.kind !== 'broken') this.#recv(typed);
    else if (typed.scope === 'connection') this.fail(typed.rule);
    else this.transactions.recvBroken(typed.xid, typed.rule, message.name);
  }

  #recv(message: TypedMessage): void {
    switch (message.kind) {
      case 'AMS':
      case 'AME':
      case 'DUY':
      case 'DPI':
      case 'DWP':
      case 'DPM':
      case 'DWM':
      case 'DWSR':
      case 'DWSS':
      case 'DSS':
        this.transactions.recv(message);
        break;
      case 'DUM':
        this.transactions.recvData(message);
        break;
      case 'TS':
        this.#role.recvTransactionStart(message);
        break;
      case 'TE':
        this.transactions.recvTransactionEnd(message);
        break;
      case 'PQ':
        this.transactions.recvProgressQuery(message.xid);
        break;
      case 'PA':
        this.#hasAnswered = true;
        this.transactions.recvReport(message.xid);
        break;
      case 'PR':
        this.transactions.recvReport(message.xid);
        break;
      case 'NO':
        this.#recvNegotiation(this.negotiator.recvOffer(message));
        break;
      case 'NR':
        this.#recvNegotiation(this.negotiator.recvAnswer(message));
        break;
      case 'SGC':
        this.#failIf(this.negotiator.theirs.create(message.sgId, message.services));
        break;
      case 'SGD':
        this.#failIf(this.negotiator.theirs.destroy(message.sgId));
        break;
      case 'AQ':
        this.negotiator.recvAbilityQuery(message);
        break;
      case 'AA':
        this.negotiator.recvAbilityAnswer(message);
        break;
      case 'CE':
        this.#end({ by: 'peer', result: message.result });
        break;
      case 'CS':
      case 'unknown':
        break;
    }
  }

  #recvNegotiation(rule: Rule | undefined): void {
    this.#failIf(rule);
    if (this.#state !== 'open' || this.negotiator.phase.isOpen) return;
    if (this.#held.pendingOctets > 0) {
      const out = this.phaseOut;
      for (const octets of this.#held.take()) out.octets(octets);
    }
    this.#role.onPhaseClosed();
  }

  #failIf(rule: Rule | undefined): void {
    if (rule !== undefined) this.fail(rule);
  }

  #onNegotiationTimer(): void {
    const { phase } = this.negotiator;
    if (this.#admission.isGoing && !phase.isOpen) return;
    if (phase.count <= 1 || phase.count === this.#slowPhase) this.fail('negotiation-timeout');
    else this.#slowPhase = phase.count;
  }

  #onSilenceTimer(): void {
    if (this.#wasHeard) {
      this.#wasHeard = false;
      this.#isAskingForLife = false;
    } else if (this.#isAskingForLife) this.fail('silence');
    // Also where no transaction waits: who is gone is found before the next mail is given to it (REQ-222).
    else {
      this.ping();
      // Who never sent a PA may have none to send, and is no less alive for that while nothing was asked of it (decision 0063).
      const { live, added } = this.transactions;
      this.#isAskingForLife = live > 0 || this.#hasAnswered || added !== this.#addedWhenHeard;
    }
  }

  /** A peer that ended the connection itself, or is gone, is told nothing any more. */
  #end(end: ConnectionEnd): void {
    if (this.#state === 'ended') return;
    if (end.by === 'us') {
      if (this.#state === 'fresh') writeCs(this.phaseOut);
      writeCe(this.phaseOut, end.result === OK ? undefined : end.result);
    } else {
      this.outbox.take();
    }
    this.#state = 'ended';
    this.#parser.stop();
    this.#held.take();
    this.turns.clear();
    this.transactions.endAll(end.result);
    this.#role.onEnd(end);
  }
}
