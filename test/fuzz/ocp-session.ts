/** What the agent fuzz test plays with: a peer that mostly keeps the rules, and a judge of what the agent says. */
import assert from 'node:assert/strict';
import { type Message, MessageParser, type MessageSink, readMessage, type TypedMessage } from '../../src/ocp/index.ts';
import type { Dice } from './ocp-inputs.ts';

const XIDS = 6;
const NUMBERS = ['0', '1', '5', '100', '65536', '2147483647', '2147483648', '-1', '007', 'x', '"1:5"', '{1 2}', '()'];
const RESULTS = ['', '', '', ' {200}', ' {206}', ' {400 "2:no"}', ' {503}', ' {}', ' 400'];
const FEATURES = ['()', '({"1:a"})', '({"1:a"},{"1:b" 1})', '({"1:b"})', '({})'];
const NOISE = ['x-note {a (b,c)} "0:";\r\n', 'PQ;\r\n', 'PA;\r\n', 'CS;\r\n', 'AA true;\r\n', 'AQ {"1:a"};\r\n'];

/**
 * Writes the peer's half of a session. It knows offsets and xids as a peer would, and gets them wrong now and then.
 * Both sides' messages come from it: what a side does not send is to be ignored.
 */
export class FuzzPeer {
  readonly #dice: Dice;
  readonly #isProcessor: boolean;
  readonly #offsets = new Map<number, number>();
  /** Its own messages that were started, and those that ended. */
  readonly #begun = new Set<number>();
  readonly #over = new Set<number>();
  #lastXid = 0;
  /** xids the other side created, as seen in its output. */
  seenXid = 0;
  /** Where the original octets the other side keeps end, by xid. */
  readonly seenKept = new Map<number, number>();

  constructor(dice: Dice, isProcessor: boolean) {
    this.#dice = dice;
    this.#isProcessor = isProcessor;
  }

  greeting(): string {
    const dice = this.#dice;
    if (dice(20) === 0) return this.message();
    const greeting = this.#isProcessor ? 'CS;\r\nNO ();\r\nSGC 1 ();\r\n' : 'CS;\r\nNR;\r\n';
    return dice(10) === 0 ? mutated(greeting, dice) : greeting;
  }

  message(): string {
    const xid = this.#xid();
    const wire = this.#isLikely(xid) ? this.#message(xid) : this.#begin(xid);
    return this.#dice(120) === 0 ? mutated(wire, this.#dice) : wire;
  }

  /** Whether most messages for `xid` can be right now. */
  #isLikely(xid: number): boolean {
    return this.#dice(25) === 0 || (this.#begun.has(xid) && !this.#over.has(xid));
  }

  #begin(xid: number): string {
    if (this.#over.has(xid) || this.#dice(4) === 0) return this.#isProcessor ? this.#start() : 'PQ;\r\n';
    this.#begun.add(xid);
    return `AMS ${xid}${this.#dice(4) === 0 ? '\r\nServices: ({"1:s"})\r\n' : ''};\r\n`;
  }

  #message(xid: number): string {
    const dice = this.#dice;
    switch (dice(24)) {
      case 0:
      case 1:
      case 2:
        return this.#isProcessor ? this.#start() : this.#data(xid);
      case 3:
        return dice(15) === 0 ? `AMS ${xid};\r\n` : this.#data(xid);
      case 4:
      case 5:
      case 6:
      case 7:
      case 8:
        return this.#data(xid);
      case 9:
      case 10:
        return this.#useYours(xid);
      case 11:
        return dice(4) === 0 ? `DPI ${xid} ${dice(20)} ${this.#number(2147483647)};\r\n` : this.#data(xid);
      case 12:
        return `DWP ${xid} ${this.#number(dice(300))};\r\n`;
      case 13:
      case 14:
        return `DWM ${xid};\r\n`;
      case 15:
        return `DPM ${xid};\r\n`;
      case 16:
        this.#over.add(xid);
        return `AME ${xid}${this.#pick(RESULTS)};\r\n`;
      case 17:
        this.#over.add(xid);
        return `TE ${xid}${this.#pick(RESULTS)};\r\n`;
      case 18:
        return this.#pick([`DWSS ${xid};\r\n`, `DWSR ${xid} 5;\r\n`, `DSS ${xid};\r\n`, `PR ${xid};\r\n`]);
      case 19:
        return `PQ ${xid};\r\n`;
      case 20:
        return dice(8) === 0 ? this.#negotiation() : 'PQ;\r\n';
      case 21:
        return dice(20) === 0 ? `CE${this.#pick(RESULTS)};\r\n` : this.#data(xid);
      default:
        return this.#pick(NOISE);
    }
  }

  #start(): string {
    this.#lastXid += 1 + (this.#dice(8) === 0 ? this.#dice(3) : 0);
    return `TS ${this.#number(this.#lastXid)} ${this.#dice(30) === 0 ? 2 : 1};\r\n`;
  }

  #data(xid: number): string {
    const dice = this.#dice;
    const at = this.#offsets.get(xid) ?? 0;
    const size = dice(60) === 0 ? dice(5000) : dice(40);
    this.#offsets.set(xid, at + size);
    const kept = dice(3) === 0 ? `Kept: {${dice(2) === 0 ? 0 : dice(30)} ${at + size}}\r\n` : '';
    const block = kept + (dice(6) === 0 ? `Modp: ${this.#number(50)}\r\n` : '');
    return `DUM ${xid} ${this.#number(at)}\r\n${block === '' ? '' : `${block}\r\n`}${size}:${'d'.repeat(size)}\r\n;\r\n`;
  }

  #useYours(xid: number): string {
    const sent = this.seenKept.get(xid);
    if (sent === undefined && this.#dice(20) > 0) return this.#data(xid);
    const from = this.#dice((sent ?? 0) + 1);
    const size = this.#dice((sent ?? 0) - from + 1);
    this.#offsets.set(xid, (this.#offsets.get(xid) ?? 0) + size);
    return `DUY ${xid} ${this.#number(from)} ${size};\r\n`;
  }

  #negotiation(): string {
    const dice = this.#dice;
    const pending = dice(3) === 0 ? '\r\nOffer-Pending: true\r\n' : '';
    return this.#pick([
      `NO ${this.#pick(FEATURES)}${pending};\r\n`,
      `NR${pending};\r\n`,
      'SGC 7 ();\r\n',
      'SGD 7;\r\n',
    ]);
  }

  #xid(): number {
    const last = this.#isProcessor ? this.#lastXid : this.seenXid;
    return Math.max(0, last + (this.#dice(200) === 0 ? 1 : 0) - this.#dice(XIDS));
  }

  /** Mostly the right one. */
  #number(right: number): string {
    return this.#dice(80) === 0 ? this.#pick(NUMBERS) : String(right);
  }

  #pick(list: readonly string[]): string {
    return list[this.#dice(list.length)] ?? '';
  }
}

function mutated(wire: string, dice: Dice): string {
  const at = dice(wire.length);
  switch (dice(4)) {
    case 0:
      return wire.slice(0, at) + wire.slice(at + 1);
    case 1:
      return wire.slice(0, at) + String.fromCharCode(dice(256)) + wire.slice(at + 1);
    case 2:
      return wire.slice(0, at) + wire.slice(dice(wire.length));
    default:
      return wire + wire.slice(0, at);
  }
}

interface Said {
  flow: 'idle' | 'open' | 'ended';
  offset: number;
  isPaused: boolean;
}

/** Reads what an agent says as a strict peer would: valid messages only, each where it may stand. */
export class OutputJudge implements MessageSink {
  readonly #peer: FuzzPeer;
  readonly #isProcessor: boolean;
  readonly #parser: MessageParser;
  readonly #live = new Map<number, Said>();
  readonly #over = new Set<number>();
  messages = 0;
  #isClosed = false;
  #negotiations = 0;

  constructor(peer: FuzzPeer, isProcessor: boolean) {
    this.#peer = peer;
    this.#isProcessor = isProcessor;
    this.#parser = new MessageParser(this, { kept: 'structure' });
  }

  feed(wire: Buffer): void {
    this.#parser.feed(wire);
  }

  onMessage(message: Message): void {
    assert.ok(!this.#isClosed, `${message.name} behind CE`);
    const typed = readMessage(message);
    assert.notEqual(typed.kind, 'broken', JSON.stringify(message));
    if (typed.kind !== 'broken') this.#judge(typed);
    this.messages++;
    if (this.messages === 1) assert.equal(message.name, 'CS');
  }

  onPayloadStart(message: Message): void {
    this.onMessage(message);
  }

  onPayload(): void {}
  onPayloadEnd(): void {}

  onBad(rule: string): void {
    assert.fail(`said what breaks ${rule}`);
  }

  #judge(message: TypedMessage): void {
    switch (message.kind) {
      case 'TS':
        assert.ok(message.xid > this.#peer.seenXid, 'xids grow');
        this.#peer.seenXid = message.xid;
        this.#live.set(message.xid, { flow: 'idle', offset: 0, isPaused: false });
        break;
      case 'AMS':
        assert.equal(this.#of(message.xid).flow, 'idle');
        this.#of(message.xid).flow = 'open';
        break;
      case 'DUM':
        assert.equal(message.offset, this.#of(message.xid).offset);
        if (message.kept !== undefined) this.#peer.seenKept.set(message.xid, message.kept.offset + message.kept.size);
        this.#data(message.xid, message.size);
        break;
      case 'DUY':
        assert.equal(this.#isProcessor, false);
        this.#data(message.xid, message.size);
        break;
      case 'DPM':
        assert.equal(this.#of(message.xid).isPaused, false);
        this.#of(message.xid).isPaused = true;
        break;
      case 'AME':
        this.#of(message.xid).flow = 'ended';
        break;
      case 'TE':
        // A TS that names an ended transaction is refused each time (section 5).
        if (this.#isProcessor) assert.equal(this.#over.has(message.xid), false, `TE ${message.xid} twice`);
        else if (this.#over.has(message.xid)) assert.equal(message.result.code, 400);
        if (this.#live.delete(message.xid)) this.#over.add(message.xid);
        break;
      case 'CE':
        this.#isClosed = true;
        break;
      case 'NO':
      case 'NR':
        this.#negotiations++;
        break;
      case 'unknown':
        assert.fail(message.name);
        break;
      case 'AA':
      case 'AQ':
      case 'CS':
      case 'DPI':
      case 'DSS':
      case 'DWM':
      case 'DWP':
      case 'DWSR':
      case 'DWSS':
      case 'PA':
      case 'PQ':
      case 'PR':
      case 'SGC':
      case 'SGD':
        break;
    }
  }

  /** The peer lifted the pause: data may come again. */
  resumed(xid: number): void {
    const said = this.#live.get(xid);
    if (said !== undefined) said.isPaused = false;
  }

  #data(xid: number, size: number): void {
    const said = this.#of(xid);
    assert.equal(said.flow, 'open');
    // In a later phase a DPM is held back, and may meet the DWM on the way.
    if (this.#negotiations === 1) assert.equal(said.isPaused, false, 'data while paused');
    said.offset += size;
  }

  #of(xid: number): Said {
    assert.equal(this.#over.has(xid), false, `said something of ${xid}, which is over`);
    let said = this.#live.get(xid);
    if (said === undefined) {
      assert.equal(this.#isProcessor, false, `${xid} was not started`);
      said = { flow: 'idle', offset: 0, isPaused: false };
      this.#live.set(xid, said);
    }
    return said;
  }
}
