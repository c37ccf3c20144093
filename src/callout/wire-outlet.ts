/**
 * The answer to the message as OCP: untouched ranges by reference (DUY), new octets as data (DUM) in their turn, fields
 * to add on the first of them. Where the processor keeps no copy, the octets we held are sent back instead.
 */
import type { Log } from '../base/index.ts';
import type { CalloutTransaction } from '../ocp/index.ts';
import { type Advice, type Allow, answerBlock } from '../profile/index.ts';
import { failed, VerdictNotTaken } from './failed.ts';
import type { Held } from './held.ts';
import { ORIGINAL, type Outlet, type Source } from './outlet.ts';
import { append, dropFirst } from './short-lists.ts';

/** What the processor takes, and where its message begins. */
export interface MessagePart {
  /** Offset of the message in the original flow, behind the commands. */
  readonly base: number;
  readonly isAdaptive: boolean;
  readonly allow: Allow;
}

/** What the outlet needs of its transaction. */
export interface Wire {
  readonly transaction: CalloutTransaction;
  readonly held: Held;
  readonly log: Log;
  /** Whether held octets are needed by nobody else: they are let go as they are sent. */
  readonly isOnly: boolean;
  /** AMS, once, before the first answer. */
  startMessage(): void;
  /** The original need not be held any more. */
  stopHolding(): void;
  /** Something left: a producer that waited may go on. */
  onRoom(): void;
}

const NO_FIELDS: readonly string[] = [];

type Item =
  | { readonly kind: 'use'; readonly start: number; end: number }
  /** `heldEnd`: where these octets end in the original, if they were held for it. */
  | { readonly kind: 'data'; readonly octets: Uint8Array; readonly heldEnd: number | undefined };

/** One data message's worth: what turns and the protocol's other users are reckoned by. */
const DUM_OCTETS = 64 * 1024;
/** New octets that may wait for their turn before a producer has to. */
const HIGH_OCTETS = 256 * 1024;

export class WireOutlet implements Outlet {
  readonly #wire: Wire;
  readonly #part: MessagePart;
  readonly #source: Source;
  #queue: Item[] = [];
  #queued = 0;
  #fields: readonly string[] = NO_FIELDS;
  #state: 'open' | 'finishing' | 'over' = 'open';
  #hasAnswered = false;
  #isAsking = false;

  constructor(wire: Wire, part: MessagePart, source: Source) {
    this.#wire = wire;
    this.#part = part;
    this.#source = source;
  }

  get isFull(): boolean {
    return this.#queued >= HIGH_OCTETS;
  }

  addFields(fields: readonly string[]): void {
    if (fields.length > 0 && !this.#part.isAdaptive) this.#notTaken('part-not-adaptive');
    this.#fields = fields;
  }

  use(start: number, end: number): void {
    if (this.#state !== 'open' || !this.#part.isAdaptive) return;
    if (this.#source === ORIGINAL) {
      this.#useOriginal(start, end);
      return;
    }
    this.#source.walk(
      start,
      end,
      (from, to) => this.#useOriginal(from, to),
      (octets) => this.#pushData(octets, undefined),
    );
  }

  data(octets: Uint8Array): void {
    if (!this.#part.isAdaptive) this.#notTaken('part-not-adaptive');
    if (this.#state === 'open') this.#pushData(octets, undefined);
  }

  useNothing(): void {
    if (!this.#wire.isOnly || !this.#part.isAdaptive) return;
    this.#wire.stopHolding();
    this.#wire.transaction.disposeOutside(0, 0);
  }

  flush(): void {
    for (let item = this.#queue[0]; item !== undefined; item = this.#queue[0]) {
      if (item.kind === 'data') {
        if (this.#isAsking) return;
        this.#isAsking = true;
        this.#wire.transaction.requestTurn();
        return;
      }
      dropFirst(this.#queue);
      this.#sendUse(item.start, item.end);
    }
    if (this.#state === 'finishing') this.#end();
  }

  finish(): void {
    if (this.#state !== 'open') return;
    this.#state = 'finishing';
    this.flush();
  }

  refuse(reply: string): void {
    if (!this.#part.isAdaptive) this.#notTaken('part-not-adaptive');
    if (!this.#part.allow.smtpError) this.#notTaken('refusal-not-allowed');
    this.#conclude(answerBlock('RAWDATA', { smtpError: reply }));
  }

  /** As with a refusal: where the processor would not follow it, the mail must not pass, so it fails. */
  advise(advice: Advice): void {
    if (!this.#part.isAdaptive) this.#notTaken('part-not-adaptive');
    if (!this.#part.allow.advice) this.#notTaken('advice-not-allowed');
    this.#conclude(answerBlock('RAWDATA', { advice }));
  }

  /** Says this one thing and nothing else. */
  #conclude(block: string): void {
    if (this.#state !== 'open') return;
    this.#state = 'over';
    const { transaction } = this.#wire;
    this.#wire.startMessage();
    transaction.sendData(block, [], 0);
    transaction.endMessage();
    transaction.end();
  }

  /** Told here as well: who reads the service's log would look in vain for a handler that threw. */
  #notTaken(reason: VerdictNotTaken['reason']): void {
    const { transaction, log } = this.#wire;
    const { message } = new VerdictNotTaken(reason, 'RAWDATA');
    if (this.#state !== 'over') log.error('service-failed', { xid: transaction.xid, error: message });
    this.fail(reason);
  }

  fail(reason: string): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#queue = [];
    this.#wire.transaction.end(failed(reason));
  }

  /** Our turn: one data message. */
  onTurn(): void {
    this.#isAsking = false;
    const payload: Uint8Array[] = [];
    let size = 0;
    for (let item = this.#queue[0]; item?.kind === 'data' && size < DUM_OCTETS; item = this.#queue[0]) {
      const octets = item.octets.subarray(0, DUM_OCTETS - size);
      payload.push(octets);
      size += octets.length;
      if (octets.length === item.octets.length) dropFirst(this.#queue);
      else this.#queue[0] = { ...item, octets: item.octets.subarray(octets.length) };
      if (octets.length === item.octets.length && item.heldEnd !== undefined) this.#wire.held.release(item.heldEnd);
    }
    if (size > 0) this.#sendData(payload, size);
    this.flush();
  }

  #sendData(payload: readonly Uint8Array[], size: number): void {
    const wasFull = this.isFull;
    this.#queued -= size;
    this.#wire.startMessage();
    this.#wire.transaction.sendData(this.#block('RAWDATA'), payload, size);
    if (wasFull && !this.isFull) this.#wire.onRoom();
  }

  #sendUse(start: number, end: number): void {
    // Asked again: data may have gone out since, and with it the processor's copy.
    if (!this.#canUse(start, end)) this.fail('octets-not-kept');
    if (this.#state === 'over') return;
    this.#wire.startMessage();
    this.#wire.transaction.useYours(this.#part.base + start, end - start, this.#block(undefined));
  }

  #end(): void {
    this.#state = 'over';
    const { transaction } = this.#wire;
    this.#wire.startMessage();
    // An adaptive part left unanswered is no answer, even where there was nothing in it, or nothing is left of it.
    if (!this.#hasAnswered && this.#part.isAdaptive) transaction.sendData(this.#block('RAWDATA'), [], 0);
    transaction.endMessage();
    transaction.end();
  }

  /** The named lines of the next answer; fields to add ride on the first one. */
  #block(part: 'RAWDATA' | undefined): string {
    const fields = this.#fields;
    this.#hasAnswered = true;
    if (fields.length === 0) return part === undefined ? '' : RAWDATA_BLOCK;
    this.#fields = NO_FIELDS;
    return answerBlock(part, { addHeaders: fields });
  }

  #useOriginal(start: number, end: number): void {
    if (this.#canUse(start, end)) {
      this.#pushUse(start, end);
      return;
    }
    let at = start;
    const isAll = this.#wire.held.walk(
      start,
      end,
      (octets) => {
        at += octets.length;
        this.#pushData(octets, this.#wire.isOnly ? at : undefined);
        return true;
      },
      (from, to) => {
        at = to;
        if (!this.#canUse(from, to)) return false;
        this.#pushUse(from, to);
        return true;
      },
    );
    // The processor announced a copy and took it back: what we did not hold is lost.
    if (!isAll) this.fail('octets-not-kept');
  }

  #canUse(start: number, end: number): boolean {
    return this.#wire.transaction.canUseYours(this.#part.base + start, end - start);
  }

  #pushUse(start: number, end: number): void {
    const last = this.#queue.at(-1);
    if (last?.kind === 'use' && last.end === start) last.end = end;
    else this.#queue = append<Item>(this.#queue, { kind: 'use', start, end });
  }

  #pushData(octets: Uint8Array, heldEnd: number | undefined): void {
    if (octets.length === 0) return;
    this.#queue = append<Item>(this.#queue, { kind: 'data', octets, heldEnd });
    this.#queued += octets.length;
  }
}

const RAWDATA_BLOCK = answerBlock('RAWDATA', {});
