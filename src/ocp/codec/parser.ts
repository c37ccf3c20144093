/**
 * The incremental parser of OCP messages (RFC 4037, section 3.1): a machine that stops and goes on at any octet, so that
 * the answer never depends on how the octets were cut and work is linear in them. Heads become values, payloads are told
 * as views into the chunk. What it is fed may be wrong in any way: it never throws, and `onBad` is the last thing told.
 *
 *     START -> NAME -> AFTER -+-> VALUE (BARE, QUOTED) -> AFTER                        anonymous: a blank before each
 *                             +-> LINE_LF -> LINE -+-> KEY -> COLON -> SPACE -> VALUE  named: a line each
 *                             |                    +-> (BLOCK_LF -> DIGITS ->) SIZE -> PAYLOAD -> CLOSING -> START
 *                             +-> CLOSING -> START
 *
 * Lists and structures run through the same states, and the builder says what is open: AFTER and LINE ask it what may
 * follow. A method per state reads what the state is about and says which comes next.
 */
import { COLON, CR, DQUOTE, LF, SEMICOLON, SP } from '../../base/index.ts';
import { LIST, MESSAGE, MessageBuilder, STRUCTURE } from './builder.ts';
import { KnownBlocks } from './known-blocks.ts';
import { type CodecLimits, DEFAULT_CODEC_LIMITS } from './limits.ts';
import { ALPHA, CLASSES, DIGIT, SAFE } from './octet-classes.ts';
import type { CodecRule } from './rules.ts';
import type { MessageSink } from './sink.ts';
import { TokenReader } from './tokens.ts';
import type { Message, Value } from './values.ts';

const S_START = 0;
const S_NAME = 1;
const S_AFTER = 2;
const S_LINE_LF = 3;
const S_LINE = 4;
const S_KEY = 5;
const S_COLON = 6;
const S_SPACE = 7;
const S_VALUE = 8;
const S_STRUCTURE = 9;
const S_LIST = 10;
const S_BARE = 11;
const S_QUOTED = 12;
const S_BLOCK_LF = 13;
const S_DIGITS = 14;
const S_SIZE = 15;
const S_PAYLOAD = 16;
const S_CLOSING = 17;
const S_DEAD = 18;

const PAREN_OPEN = 0x28;
const PAREN_CLOSE = 0x29;
const COMMA = 0x2c;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;

/** What stands behind a payload; a message without one ends with the last two octets of it. */
const CLOSE: Uint8Array = Buffer.from('\r\n;\r\n');
const BEHIND_SEMICOLON = 3;

export interface ParserOptions {
  readonly limits?: CodecLimits;
  /**
   * `structure`: the grammar as it is, `Kept: {0 5}`. `pair`: a DUM may also say `Kept: 0 5`, as RFC 4236 prints it; it
   * is told as the structure.
   */
  readonly kept: 'structure' | 'pair';
}

export class MessageParser {
  readonly #sink: MessageSink;
  readonly #limits: CodecLimits;
  readonly #in: TokenReader;
  #builder: MessageBuilder;
  #state = S_START;
  /** The message whose head is complete. */
  #message: Message | undefined = undefined;
  #payloadLeft = 0;
  /** Octets of `CLOSE` seen. */
  #closed = 0;
  readonly #known = new KnownBlocks();
  /** Where in the chunk the block at hand began, while it may be worth remembering; else -1. */
  #blockFrom = -1;
  /** Where what was known of it ended. */
  #knownTo = 0;
  #valuesBefore = 0;

  constructor(sink: MessageSink, { limits = DEFAULT_CODEC_LIMITS, kept }: ParserOptions) {
    this.#sink = sink;
    this.#limits = limits;
    this.#in = new TokenReader(limits);
    this.#builder = new MessageBuilder(limits, kept === 'pair');
  }

  /** Reads `chunk` and tells the sink what it completes. After `onBad` or `stop` it is ignored. */
  feed(chunk: Uint8Array): void {
    if (this.#state === S_DEAD) return;
    this.#in.load(chunk);
    this.#blockFrom = -1;
    let isDone = false;
    try {
      this.#run();
      isDone = true;
    } finally {
      // A sink that throws leaves the place in the stream unknown; going on would read content as messages.
      if (!isDone) this.stop();
    }
    this.#in.unload();
  }

  /** Ignores everything from now on, the rest of the chunk at hand included: for an owner that ended the connection. */
  stop(): void {
    this.#state = S_DEAD;
    this.#message = undefined;
    this.#builder = new MessageBuilder(this.#limits, false);
    this.#in.drop();
  }

  #run(): void {
    const input = this.#in;
    let state = this.#state;
    // Most steps come behind a value: those need not be looked up among all.
    while (input.at < input.end) state = state === S_AFTER ? this.#after() : this.#step(state);
    // Whoever stops the parser from within also ends the chunk.
    if (this.#state !== S_DEAD) this.#state = state;
  }

  #step(state: number): number {
    switch (state) {
      case S_START:
        return this.#start();
      case S_NAME:
        return this.#name();
      case S_AFTER:
        return this.#after();
      case S_LINE_LF:
        return this.#expect(LF, S_LINE, 'line-end');
      case S_LINE:
        return this.#line();
      case S_KEY:
        return this.#key();
      case S_COLON:
        return this.#expect(COLON, S_SPACE, 'parameter-colon');
      case S_SPACE:
        return this.#expect(SP, S_VALUE, 'parameter-space');
      case S_VALUE:
        return this.#value();
      case S_STRUCTURE:
        return this.#structure();
      case S_LIST:
        return this.#next() === PAREN_CLOSE ? this.#close() : S_VALUE;
      case S_BARE:
        return this.#atom(S_BARE, this.#in.bare());
      case S_QUOTED:
        return this.#atom(S_QUOTED, this.#in.quoted());
      case S_BLOCK_LF:
        return this.#expect(LF, S_DIGITS, 'line-end');
      case S_DIGITS:
        return (this.#classOfNext() & DIGIT) !== 0 ? S_SIZE : this.#bad('line-start');
      case S_SIZE:
        return this.#size();
      case S_PAYLOAD:
        return this.#payload();
      case S_CLOSING:
        return this.#closing();
      default:
        return S_DEAD;
    }
  }

  #start(): number {
    if ((this.#classOfNext() & ALPHA) === 0) return this.#bad('name-start');
    this.#in.startHead();
    return this.#name();
  }

  #name(): number {
    const name = this.#in.name();
    if (name === undefined) return this.#unfinished(S_NAME);
    this.#builder.start(name);
    return S_AFTER;
  }

  /** Behind a name or value: what may follow depends on what is open. */
  #after(): number {
    const { kind, hasBlock } = this.#builder;
    const octet = this.#next();
    if (kind === LIST) {
      if (octet === COMMA) return this.#pass(S_VALUE);
      if (octet === PAREN_CLOSE) return this.#close();
    } else if (octet === CR) {
      return this.#newLine();
    } else if (!hasBlock) {
      if (octet === SP) return this.#nextValue(1);
      if (octet === SEMICOLON && kind === MESSAGE) return this.#endHead();
      if (octet === BRACE_CLOSE && kind === STRUCTURE) return this.#close();
    } else if (octet === SP && this.#builder.startPair()) {
      return this.#pass(S_VALUE);
    }
    return this.#bad('after-value');
  }

  /** At a CR. Here and below: what is whole in the chunk is passed at once, what is cut goes octet by octet. */
  #newLine(): number {
    const { buf, at, end } = this.#in;
    if (at + 2 >= end || buf[at + 1] !== LF) return this.#pass(S_LINE_LF);
    this.#in.at = at + 2;
    return this.#line();
  }

  /** At the beginning of a line: a letter, a digit or the closing octet tells which it is. */
  #line(): number {
    const { kind, hasBlock } = this.#builder;
    const octet = this.#next();
    const octetClass = this.#classOfNext();
    if ((octetClass & ALPHA) !== 0) return kind === MESSAGE && !hasBlock ? this.#block() : this.#key();
    if (kind === MESSAGE) this.#remember(this.#in.at);
    if (kind === STRUCTURE) {
      if (octet === BRACE_CLOSE && hasBlock) return this.#close();
    } else if (hasBlock) {
      if (octet === SEMICOLON) return this.#endHead();
      if (octet === CR) return this.#pass(S_BLOCK_LF);
    } else if ((octetClass & DIGIT) !== 0) {
      return this.#size();
    }
    return this.#bad('line-start');
  }

  /** At the first line of the message's block. */
  #block(): number {
    const input = this.#in;
    const from = input.at;
    this.#valuesBefore = this.#builder.values;
    const block = this.#known.find(input.buf, from, input.end);
    this.#blockFrom = from;
    this.#knownTo = from;
    if (block === undefined || !input.mayPass(block.octets.length) || !this.#builder.use(block)) return this.#key();
    input.at = from + block.octets.length;
    this.#knownTo = input.at;
    return S_LINE;
  }

  /** The lines of the block up to `to` may come again. */
  #remember(to: number): void {
    const from = this.#blockFrom;
    this.#blockFrom = -1;
    if (from < 0 || this.#knownTo === to) return;
    const lines = this.#in.buf.subarray(from, to);
    const named = this.#builder.share();
    if (named !== undefined) this.#known.learn(lines, named, this.#builder.values - this.#valuesBefore);
  }

  #key(): number {
    const lineStart = this.#in.at;
    const key = this.#in.name();
    if (key === undefined) return this.#unfinished(S_KEY);
    // What is kept is another range with each message.
    if (key === 'Kept' && this.#builder.kind === MESSAGE) this.#remember(lineStart);
    this.#builder.key(key);
    const { buf, at } = this.#in;
    return buf[at] === COLON && buf[at + 1] === SP ? this.#nextValue(2) : S_COLON;
  }

  /** A value begins behind the next `count` octets. */
  #nextValue(count: number): number {
    this.#in.at += count;
    return this.#in.at < this.#in.end ? this.#value() : S_VALUE;
  }

  #value(): number {
    if (!this.#builder.mayAdd()) return this.#bad('values-limit');
    if ((this.#classOfNext() & SAFE) !== 0) return this.#atom(S_BARE, this.#in.bare());
    switch (this.#next()) {
      case DQUOTE:
        this.#blockFrom = -1; // quoted text is rarely seen twice
        return this.#pass(S_QUOTED);
      case BRACE_OPEN:
        return this.#builder.open(STRUCTURE) ? this.#pass(S_STRUCTURE) : this.#bad('depth-limit');
      case PAREN_OPEN:
        return this.#builder.open(LIST) ? this.#pass(S_LIST) : this.#bad('depth-limit');
      default:
        return this.#bad('value-start');
    }
  }

  /** Behind the opening brace. */
  #structure(): number {
    const octet = this.#next();
    if (octet === BRACE_CLOSE) return this.#close();
    return octet === CR ? this.#pass(S_LINE_LF) : S_VALUE;
  }

  #atom(state: number, atom: Value | undefined): number {
    return atom === undefined ? this.#unfinished(state) : this.#added(this.#builder.add(atom));
  }

  /** At the octet that closes what is open innermost. */
  #close(): number {
    this.#in.at++;
    return this.#added(this.#builder.close());
  }

  #added(rule: CodecRule | undefined): number {
    return rule === undefined ? S_AFTER : this.#bad(rule);
  }

  /** At the semicolon of a message without payload. */
  #endHead(): number {
    this.#in.at++;
    this.#message = this.#builder.message(undefined);
    this.#closed = BEHIND_SEMICOLON;
    return S_CLOSING;
  }

  #size(): number {
    const size = this.#in.size();
    if (size < 0) return this.#unfinished(S_SIZE);
    if (size > this.#limits.maxPayloadOctets) return this.#bad('payload-limit');
    const message = this.#builder.message(size);
    this.#message = message;
    this.#payloadLeft = size;
    this.#closed = 0;
    this.#sink.onPayloadStart(message, size);
    return size > 0 ? S_PAYLOAD : S_CLOSING;
  }

  #payload(): number {
    const { buf, at, end } = this.#in;
    const taken = Math.min(this.#payloadLeft, end - at);
    this.#in.at = at + taken;
    this.#payloadLeft -= taken;
    if (this.#sink.onPayloadIn !== undefined) this.#sink.onPayloadIn(buf, at, at + taken);
    else this.#sink.onPayload(taken === buf.length ? buf : buf.subarray(at, at + taken));
    return this.#payloadLeft > 0 ? S_PAYLOAD : S_CLOSING;
  }

  #closing(): number {
    const { buf, end } = this.#in;
    let at = this.#in.at;
    let closed = this.#closed;
    while (at < end && closed < CLOSE.length) {
      if (buf[at++] !== CLOSE[closed++]) return this.#bad('message-end');
    }
    this.#in.at = at;
    this.#closed = closed;
    return closed === CLOSE.length ? this.#endMessage() : S_CLOSING;
  }

  #endMessage(): number {
    const message = this.#message;
    this.#message = undefined;
    if (message === undefined) return S_START;
    if (message.payloadSize === undefined) this.#sink.onMessage(message);
    else this.#sink.onPayloadEnd(message);
    return S_START;
  }

  #next(): number {
    return this.#in.buf[this.#in.at] as number;
  }

  #classOfNext(): number {
    return CLASSES[this.#next()] as number;
  }

  #pass(next: number): number {
    this.#in.at++;
    return next;
  }

  #expect(octet: number, next: number, rule: CodecRule): number {
    return this.#next() === octet ? this.#pass(next) : this.#bad(rule);
  }

  /** A token did not come whole: it goes on with the next chunk, unless a rule broke. */
  #unfinished(state: number): number {
    const rule = this.#in.broken;
    return rule === undefined ? state : this.#bad(rule);
  }

  #bad(rule: CodecRule): number {
    this.stop();
    this.#sink.onBad(rule);
    return S_DEAD;
  }
}
