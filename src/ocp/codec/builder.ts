/**
 * Puts a message together out of its tokens. It knows what is open (the message, and the lists and structures inside each
 * other), where a value belongs, and the caps on depth and number of values (RFC 4037, section 13).
 */
import type { KnownBlock } from './known-blocks.ts';
import type { CodecLimits } from './limits.ts';
import type { CodecRule } from './rules.ts';
import { type Message, NO_NAMED, type Value } from './values.ts';

export const MESSAGE = 0;
export const STRUCTURE = 1;
export const LIST = 2;

/** Of whatever has none; never changed. */
const NO_ITEMS: readonly Value[] = [];

/** Places for values kept between messages: what usual ones have at once. */
const KEEP_VALUES = 32;

/** A message, structure or list being put together. One frame serves one depth for the life of a parser. */
class Frame {
  kind = MESSAGE;
  /** Where its anonymous values, or the items of a list, begin among all that are open. */
  from = 0;
  /** Set once a named block is open; no anonymous value can follow then. */
  members: Map<string, Value> | undefined = undefined;
  /** Named parameters that other messages have too: copied before more are added. */
  shared: ReadonlyMap<string, Value> | undefined = undefined;
  /** The named parameter whose value comes next. */
  key = '';
}

export class MessageBuilder {
  readonly #limits: CodecLimits;
  readonly #pairs: boolean;
  readonly #frames: Frame[] = [];
  /** What is open innermost. */
  #frame = new Frame();
  #depth = 0;
  /** Anonymous values and items of all that is open, outermost first: handed out as copies of just the right size. */
  #open: Value[] = [];
  #openCount = 0;
  #values = 0;
  #name = '';
  #broken: string | undefined = undefined;
  /** The number a bare `Kept` pair may have begun with, or -1; whether its second is awaited. */
  #pairFirst = -1;
  #inPair = false;

  constructor(limits: CodecLimits, pairs: boolean) {
    this.#limits = limits;
    this.#pairs = pairs;
    this.#frames.push(this.#frame);
  }

  /** What is open innermost: MESSAGE, STRUCTURE or LIST. */
  get kind(): number {
    return this.#frame.kind;
  }

  /** Is a named block open in it? */
  get hasBlock(): boolean {
    return this.#frame.members !== undefined || this.#frame.shared !== undefined;
  }

  start(name: string): void {
    this.#name = name;
    this.#values = 0;
    this.#broken = undefined;
  }

  /** A named parameter begins, and with the first of them the block. */
  key(key: string): void {
    const frame = this.#frame;
    frame.key = key;
    if (frame.members !== undefined) return;
    frame.members = new Map();
    if (frame.shared !== undefined) for (const [name, value] of frame.shared) frame.members.set(name, value);
    frame.shared = undefined;
  }

  /** Opens the block of the message with lines that were read before. False: too many values. */
  use({ named, values }: KnownBlock): boolean {
    if (this.#values + values > this.#limits.maxValues) return false;
    this.#values += values;
    this.#frame.shared = named;
    this.#pairFirst = -1;
    return true;
  }

  /** Values so far. */
  get values(): number {
    return this.#values;
  }

  /** The block of the message as it is now, for others to share; nothing where a rule is broken. */
  share(): ReadonlyMap<string, Value> | undefined {
    const frame = this.#frame;
    if (this.#broken !== undefined || frame.members === undefined) return undefined;
    frame.shared = frame.members;
    frame.members = undefined;
    return frame.shared;
  }

  /** Is one more value within the cap? Asked before any of it is read. */
  mayAdd(): boolean {
    return ++this.#values <= this.#limits.maxValues;
  }

  /** Opens a list or structure. False: too deep. */
  open(kind: number): boolean {
    if (this.#depth === this.#limits.maxDepth) return false;
    const depth = ++this.#depth;
    let frame = this.#frames[depth];
    if (frame === undefined) {
      frame = new Frame();
      this.#frames.push(frame);
    }
    frame.kind = kind;
    frame.from = this.#openCount;
    this.#frame = frame;
    return true;
  }

  /** Closes the list or structure open innermost: it is a value of what is around it. */
  close(): CodecRule | undefined {
    const closed = this.#frame;
    this.#frame = this.#frames[--this.#depth] ?? closed;
    const items = this.#takeItems(closed.from);
    const value = closed.kind === LIST ? items : { anonymous: items, named: closed.members ?? NO_NAMED };
    closed.members = undefined;
    return this.add(value);
  }

  /** A value takes its place. */
  add(value: Value): CodecRule | undefined {
    const { members } = this.#frame;
    if (members === undefined) this.#open[this.#openCount++] = value;
    else if (this.#inPair && this.#depth === 0) return this.#addPair(members, value);
    else this.#addNamed(members, value);
    return undefined;
  }

  /** May a second number follow the value just added, in spite of the grammar? If so it is awaited from now on. */
  startPair(): boolean {
    this.#inPair = this.#pairFirst >= 0;
    return this.#inPair;
  }

  /** The head is complete. */
  message(payloadSize: number | undefined): Message {
    const { members, shared } = this.#frame;
    const anonymous = this.#takeItems(0);
    this.#frame.members = undefined;
    this.#frame.shared = undefined;
    return { name: this.#name, anonymous, named: members ?? shared ?? NO_NAMED, payloadSize, broken: this.#broken };
  }

  /** What was added since `from`. Nothing of it stays here, so that a quiet connection holds on to nothing. */
  #takeItems(from: number): readonly Value[] {
    const to = this.#openCount;
    if (from === to) return NO_ITEMS;
    const open = this.#open;
    const count = to - from;
    const first = open[from] as Value;
    // Messages of OCP Core have up to three: a literal is made faster than a copy of a range.
    const items =
      count === 1
        ? [first]
        : count === 2
          ? [first, open[from + 1] as Value]
          : count === 3
            ? [first, open[from + 1] as Value, open[from + 2] as Value]
            : open.slice(from, to);
    this.#openCount = from;
    if (to > KEEP_VALUES) open.length = from;
    else for (let i = from; i < to; i++) open[i] = 0;
    return items;
  }

  #addNamed(members: Map<string, Value>, value: Value): void {
    const { key } = this.#frame;
    // Framing is whole, so this ends a transaction at most (sections 5 and 11); the first value stays.
    if (members.has(key)) this.#broken = 'duplicate-name';
    else members.set(key, value);
    const mayBePair = this.#pairs && key === 'Kept' && this.#depth === 0 && this.#name === 'DUM';
    this.#pairFirst = mayBePair && typeof value === 'number' ? value : -1;
  }

  #addPair(members: Map<string, Value>, value: Value): CodecRule | undefined {
    if (typeof value !== 'number') return 'kept-pair';
    if (members.get('Kept') === this.#pairFirst) {
      members.set('Kept', { anonymous: [this.#pairFirst, value], named: NO_NAMED });
    }
    this.#inPair = false;
    this.#pairFirst = -1;
    return undefined;
  }
}
