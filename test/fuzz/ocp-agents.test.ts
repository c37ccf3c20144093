/**
 * Sessions with a peer that mostly keeps the rules, and owners that do anything they may, against both agents: nothing
 * throws, whatever is said is valid and in its place, and every transaction and every connection has exactly one end.
 *
 * FUZZ_RUNS says how many messages in total. A failure prints FUZZ_SEED and FUZZ_AT; set both to run that one again.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'vitest';
import {
  CalloutAgent,
  type CalloutTransaction,
  ProcessorAgent,
  type ProcessorTransaction,
  structure,
} from '../../src/ocp/index.ts';
import { octets } from '../vectors/ocp/vectors.ts';
import { type Dice, makeDice } from './ocp-inputs.ts';
import { FuzzPeer, OutputJudge } from './ocp-session.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 100_000);
const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 32));
const only = process.env['FUZZ_AT'];

const MESSAGES = 40;
const FEATURE = structure(['a']);
const PAYLOAD = Buffer.alloc(70_000, 'o');
const TIMERS = ['silence', 'stall', 'idle', 'negotiation'] as const;

/** One owner's view of a transaction: which calls it may make, and its one end. */
class Owned {
  readonly tx: ProcessorTransaction | CalloutTransaction;
  readonly #dice: Dice;
  #at: 'new' | 'open' | 'done' = 'new';
  ends = 0;
  #octetsDue = 0;

  constructor(tx: ProcessorTransaction | CalloutTransaction, dice: Dice) {
    this.tx = tx;
    this.#dice = dice;
  }

  /** Does one thing it may do now. */
  act(): void {
    const { tx } = this;
    const dice = this.#dice;
    switch (dice(10)) {
      case 0:
        if (this.#at === 'new') {
          tx.startMessage();
          this.#at = 'open';
        }
        break;
      case 1:
        if (this.#at === 'open') {
          tx.endMessage(dice(4) === 0 ? { code: 400, reason: 'no' } : undefined);
          this.#at = 'done';
        }
        break;
      case 2:
        if (dice(4) === 0) tx.end(dice(3) === 0 ? { code: 400, reason: 'no more' } : undefined);
        break;
      case 3:
        tx.wantPause();
        break;
      case 4:
        tx.wantMore();
        break;
      case 5:
        tx.requestTurn();
        break;
      default:
        if (this.#at === 'open') this.#send();
    }
  }

  onTurn(): void {
    assert.equal(this.ends, 0);
    assert.equal(this.tx.isPaused, false);
    if (this.#at === 'open') this.#send();
    if (this.#dice(3) === 0) this.tx.requestTurn();
  }

  onEnd(): void {
    this.ends++;
    assert.equal(this.ends, 1);
    if (this.#dice(4) === 0) this.act();
  }

  /** Any other event: none after the end, and sometimes the owner reacts from within. */
  told(): void {
    assert.equal(this.ends, 0);
    if (this.#dice(6) === 0) this.act();
  }

  onDataStart(size: number): void {
    this.#octetsDue = size;
    this.told();
  }

  onDataOctets(chunk: Buffer): void {
    this.#octetsDue -= chunk.length;
    assert.ok(this.ends === 0 && this.#octetsDue >= 0);
  }

  onDataEnd(): void {
    assert.equal(this.#octetsDue, 0);
    this.told();
  }

  #send(): void {
    const { tx } = this;
    const size = this.#dice(50) === 0 ? this.#dice(60_000) : this.#dice(100);
    if ('orgOffset' in tx) {
      const total = tx.orgOffset + size;
      tx.sendData('', [PAYLOAD.subarray(0, size)], size, this.#dice(2) === 0 ? { offset: 0, size: total } : undefined);
      return;
    }
    const from = this.#dice(50);
    if (this.#dice(2) === 0 && tx.canUseYours(from, size)) tx.useYours(from, size);
    else tx.sendData('', [PAYLOAD.subarray(0, size)], size);
  }
}

class Session {
  readonly agent: ProcessorAgent | CalloutAgent;
  readonly judge: OutputJudge;
  readonly owned: Owned[] = [];
  readonly #peer: FuzzPeer;
  readonly #dice: Dice;
  readonly #isProcessor: boolean;
  #ends = 0;

  constructor(dice: Dice, isProcessor: boolean) {
    this.#dice = dice;
    this.#isProcessor = isProcessor;
    this.#peer = new FuzzPeer(dice, !isProcessor);
    this.judge = new OutputJudge(this.#peer, isProcessor);
    const limits = { maxTransactions: 10, maxStrays: 3, maxGroups: 3 };
    const events = {
      onSelected: () => undefined,
      onReady: () => undefined,
      onOutput: () => undefined,
      onEnd: () => {
        this.#ends++;
        assert.equal(this.#ends, 1);
        for (const one of this.owned) assert.equal(one.ends, 1, 'the connection ended before its transactions');
      },
      onOffer: () => (dice(2) === 0 ? FEATURE : undefined),
      onTransaction: (tx: CalloutTransaction) => {
        if (dice(10) === 0) return { code: 400, reason: 'refused' };
        const owned = new Owned(tx, dice);
        this.owned.push(owned);
        if (dice(5) === 0) owned.act();
        return {
          onOriginalStart: () => owned.told(),
          onData: (_offset: number, size: number) => owned.onDataStart(size),
          onDataOctets: (chunk: Buffer) => owned.onDataOctets(chunk),
          onDataEnd: () => owned.onDataEnd(),
          onOriginalEnd: () => owned.told(),
          onTurn: () => owned.onTurn(),
          onEnd: () => owned.onEnd(),
        };
      },
    };
    this.agent = isProcessor
      ? new ProcessorAgent({ offer: [], services: [], kept: 'structure', limits }, events)
      : new CalloutAgent({ limits }, events);
    this.agent.start();
  }

  /** The number of messages the peer sent. */
  run(): number {
    const dice = this.#dice;
    this.#feed(this.#peer.greeting());
    let messages = 0;
    for (; messages < MESSAGES && !this.agent.isEnded; messages++) {
      if (this.#isProcessor && dice(4) === 0) this.#start();
      this.owned[this.owned.length - 1 - dice(6)]?.act();
      if (dice(40) === 0) this.agent.onTimer(TIMERS[dice(4)] ?? 'idle');
      if (dice(100) === 0) this.agent.offer([FEATURE], { mayOfferMore: dice(2) === 0 });
      this.#feed(this.#peer.message());
    }
    if (dice(3) === 0) this.agent.transportEnded('gone');
    else if (dice(2) === 0) this.agent.drain();
    this.agent.close();
    this.#pump();
    assert.equal(this.#ends, 1);
    assert.equal(this.agent.liveTransactions, 0);
    for (const one of this.owned) assert.equal(one.ends, 1);
    return messages + 2;
  }

  #start(): void {
    if (!(this.agent instanceof ProcessorAgent)) return;
    let owned: Owned | undefined;
    const tx = this.agent.startTransaction({
      onAdaptedStart: () => owned?.told(),
      onData: (size) => owned?.onDataStart(size),
      onDataOctets: (chunk) => owned?.onDataOctets(chunk),
      onDataEnd: () => owned?.onDataEnd(),
      onUseYours: () => owned?.told(),
      onDisposable: () => owned?.told(),
      onAdaptedEnd: () => owned?.told(),
      onTurn: () => owned?.onTurn(),
      onEnd: () => owned?.onEnd(),
    });
    if (tx === undefined) return;
    owned = new Owned(tx, this.#dice);
    this.owned.push(owned);
  }

  #feed(wire: string): void {
    this.#pump();
    const lifted = /^DWM (\d+)/.exec(wire)?.[1];
    if (lifted !== undefined) this.judge.resumed(Number(lifted));
    const whole = octets(wire);
    const cut = this.#dice(whole.length + 1);
    this.agent.recv(whole.subarray(0, cut));
    this.#pump();
    this.agent.recv(whole.subarray(cut));
    this.#pump();
  }

  #pump(): void {
    while (this.agent.outbox.pendingOctets > 0) {
      for (const buffer of this.agent.outbox.take()) this.judge.feed(buffer);
      this.agent.drained();
    }
  }
}

function runAt(at: number): number {
  const dice = makeDice(seed, at);
  try {
    return new Session(dice, at % 2 === 0).run();
  } catch (error) {
    throw new Error(`FUZZ_SEED=${seed} FUZZ_AT=${at} npm run fuzz -- ocp-agents`, { cause: error });
  }
}

test('agents under a peer that does anything, and owners that do all they may', () => {
  if (only !== undefined) {
    runAt(Number(only));
    return;
  }
  let messages = 0;
  let ended = 0;
  for (let at = 0; messages < runs; at++) {
    const inSession = runAt(at);
    messages += inSession;
    if (inSession < MESSAGES) ended++;
  }
  // The peer must be good enough to get far, and bad enough to be thrown out.
  assert.ok(ended > 0, 'no session ended early');
});
