/**
 * One mail on its way to a next hop, whatever connections that takes. It remembers what was asked and what the hop said,
 * so that a transaction whose connection dies before the final dot can be made again, once, on a new connection: hops close
 * idle connections without a word, and an open transaction may have to wait long for its callouts. Whoever relays the mail
 * learns nothing of it, unless the hop now answers otherwise than what was passed on already: then the mail fails.
 *
 * After the final dot or BDAT LAST nothing is ever repeated: the hop may have the mail.
 */
import { Armed, type Deadline } from '../../base/index.ts';
import { type Hop, mailArgument, rcptArgument } from '../client/hop.ts';
import { type IdentityMode, identityKey, xforwardCommands } from '../client/identity.ts';
import type { MailEvents } from '../client/mail-transaction.ts';
import { replyToFailure } from '../client/map-reply.ts';
import type { DataOptions, Outbound, OutboundEnvelope, OutboundEvents, OutboundFailure } from '../client/outbound.ts';
import { isPositive, type Reply, reply } from '../reply.ts';
import type { NextHopConnection } from './next-hop-connection.ts';

/** What an outbound asks of the pool. */
export interface OutboundOwner {
  readonly replayOctets: number;
  readonly roomOctets: number;
  readonly identity: IdentityMode;
  /** Final replies come one a recipient. */
  readonly isLmtp: boolean;
  /** Find a connection: `bind` or `fail` follows, perhaps at once. */
  serve(outbound: NextHopOutbound): void;
  /** Open a new connection for it. */
  serveAnew(outbound: NextHopOutbound): void;
  /** It does not wait any more. */
  forget(outbound: NextHopOutbound): void;
  /** It waited too long. */
  onWaitedTooLong(outbound: NextHopOutbound): void;
}

type Verdict = 'owed' | 'yes' | 'no';

const GO_AHEAD = reply(354, undefined, 'Go ahead');
const NO_RECIPIENTS = reply(554, '5.5.1', 'No valid recipients');
/** A command is one line whatever the caller believes; the engines never make such text, so it is a bug of ours. */
const BREAKS_LINE = /[\r\n\0]/;

export class NextHopOutbound implements Outbound, MailEvents, Deadline {
  readonly envelope: OutboundEnvelope;
  /** What a connection must have in common with it; see `identityKey`. */
  readonly key: string;
  readonly #events: OutboundEvents;
  readonly #owner: OutboundOwner;
  readonly #rcpts: string[] = [];
  /** Parameters given apart, by index. */
  #params: (ReadonlyMap<string, string | true> | undefined)[] | undefined;
  readonly #verdicts: Verdict[] = [];
  /** Recipients asked for on this connection and not yet answered, in order. */
  #asked: number[] = [];
  #accepted = 0;
  #isMailAccepted = false;
  #mailRefusal: Reply | undefined;
  #data: 'no' | 'data' | 'exact' = 'no';
  #withoutOpes: DataOptions['withoutOpes'];
  /** 354 was told. */
  #isGo = false;
  /** Content so far, for a second try; undefined once it is too much. */
  #kept: Uint8Array[] | undefined = [];
  #keptOctets = 0;
  #isLastGiven = false;
  #isRoomOwed = false;
  #wasRetried = false;
  #isOver = false;
  #armed: Armed | undefined;
  #passesDsn: boolean | undefined;
  /** LMTP: the final replies so far, of accepted recipients only. */
  #each: Reply[] | undefined;

  #connection: NextHopConnection | undefined;
  // Of this connection only:
  #isReused = false;
  #isMailAcceptedHere = false;
  #isDataAsked = false;
  #isContentOpen = false;
  /** Goes in front of the first content. */
  #ahead: Uint8Array | undefined;

  constructor(envelope: OutboundEnvelope, events: OutboundEvents, owner: OutboundOwner) {
    if (BREAKS_LINE.test(envelope.mail)) throw new TypeError('a reverse-path with a line end');
    this.envelope = envelope;
    this.key = owner.identity === 'none' ? '' : identityKey(owner.identity, envelope.client);
    this.#events = events;
    this.#owner = owner;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get passesDsn(): boolean | undefined {
    return this.#passesDsn;
  }

  /** Its deadline while it waits in the pool's queue; few mails ever do. */
  get armed(): Armed {
    this.#armed ??= new Armed(this);
    return this.#armed;
  }

  rcpt(argument: string, params?: ReadonlyMap<string, string | true>): void {
    if (BREAKS_LINE.test(argument)) throw new TypeError('a recipient with a line end');
    if (params !== undefined) checkParams(params);
    if (this.#data !== 'no') throw new Error('rcpt() after data()');
    if (this.#isOver) return;
    const index = this.#rcpts.push(argument) - 1;
    this.#verdicts.push('owed');
    if (params !== undefined) {
      this.#params ??= [];
      this.#params[index] = params;
    }
    if (this.#mailRefusal !== undefined) process.nextTick(tellRefusal, this, index);
    else if (index === 0) this.#owner.serve(this);
    else this.#ask(index);
  }

  data(options?: DataOptions): void {
    if (this.#data !== 'no') throw new Error('data() twice');
    this.#data = options?.exact === true ? 'exact' : 'data';
    this.#withoutOpes = options?.withoutOpes;
    if (this.#isOver) return;
    if (this.#mailRefusal !== undefined || this.#rcpts.length === 0) process.nextTick(tellNoRecipients, this);
    else this.#sendData();
  }

  content(chunks: readonly Uint8Array[], last: boolean, isDotFree = false): boolean {
    if (this.#isOver) return true;
    if (!this.#isGo || this.#isLastGiven) throw new Error('content() before 354, or behind the last');
    this.#isLastGiven = last;
    const isOpen = this.#isContentOpen && this.#connection !== undefined;
    // What leaves together with its end is never sent again.
    if (!(isOpen && last)) this.#keep(chunks, isOpen);
    if (!isOpen) {
      const hasRoom = this.#keptOctets < this.#owner.roomOctets;
      if (!hasRoom) this.#isRoomOwed = true;
      return hasRoom;
    }
    if (last) this.#kept = undefined;
    this.#give(chunks, last, isDotFree);
    return this.#connection?.hasRoom() ?? true;
  }

  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const connection = this.#detach();
    if (connection === undefined) this.#owner.forget(this);
    else connection.session.abort();
  }

  // What the pool and the connection tell.

  /** Begins, or begins again, on `connection`. False where the connection was not needed. */
  bind(connection: NextHopConnection): boolean {
    const { hop } = connection.session;
    const { mail, params } = this.envelope;
    const argument = mailArgument(hop, mail, params);
    if (typeof argument !== 'string') {
      const failure = { stage: 'envelope', reason: 'cannot-carry', reply: argument, sent: false } as const;
      process.nextTick(tellFailure, this, failure);
      return false;
    }
    this.#connection = connection;
    this.#isReused = connection.transactions > 0;
    this.#isMailAcceptedHere = false;
    this.#isDataAsked = false;
    this.#isContentOpen = false;
    connection.outbound = this;
    connection.transactions++;
    this.#passesDsn = hop.dsn;
    connection.session.mail(argument, this, this.#owner.identity === 'xforward' ? this.#xforward(hop) : undefined);
    this.#asked = [];
    for (let i = 0; i < this.#rcpts.length; i++) if (this.#verdicts[i] !== 'no') this.#ask(i);
    if (this.#data !== 'no') this.#sendData();
    return true;
  }

  /** The connection is the pool's again. */
  release(): void {
    this.#connection = undefined;
  }

  /** The connection that was being made ready for it died. */
  onNotBegun(failure: OutboundFailure, isReused: boolean): void {
    this.#isReused = isReused;
    this.#isMailAcceptedHere = false;
    this.onLost(failure);
  }

  onLost(failure: OutboundFailure): void {
    this.#connection = undefined;
    if (this.#isOver) return;
    if (this.#each !== undefined) {
      this.#endPartly(replyToFailure(failure), this.#each);
      return;
    }
    // A new connection that dies before it took MAIL would do so again.
    const mayRetry = !this.#wasRetried && !failure.sent && (this.#isReused || this.#isMailAcceptedHere);
    const isDeath = failure.reason === 'lost' || failure.reason === 'closing';
    if (!mayRetry || !isDeath || this.#kept === undefined) {
      this.fail(failure);
      return;
    }
    this.#wasRetried = true;
    this.#owner.serveAnew(this);
  }

  fail(failure: OutboundFailure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.onFailed(failure);
  }

  failSoon(failure: OutboundFailure): void {
    process.nextTick(tellFailure, this, failure);
  }

  onRoom(): void {
    if (!this.#isOver && !this.#isLastGiven) this.#events.onDrain();
  }

  onDeadline(): void {
    this.#owner.onWaitedTooLong(this);
  }

  onMailReply(answer: Reply): void {
    if (isTwo(answer)) {
      this.#isMailAcceptedHere = true;
      this.#isMailAccepted = true;
      return;
    }
    // The session reads on until the replies to the recipients have come; that needs us no more.
    this.#detach();
    if (this.#isMailAccepted) {
      this.#failChanged('envelope', answer);
      return;
    }
    this.#mailRefusal = answer;
    this.#events.onMailRefused?.(answer);
    for (let i = 0; i < this.#rcpts.length; i++) this.tellRefusal(i);
    if (this.#data !== 'no') this.tellNoRecipients();
  }

  onRcptReply(answer: Reply): void {
    const index = this.#asked.shift();
    if (index === undefined || this.#isOver) return;
    const isNew = this.#verdicts[index] === 'owed';
    if (!isNew && !isTwo(answer)) {
      this.#failChanged('envelope', answer);
      return;
    }
    if (isNew) {
      this.#verdicts[index] = isTwo(answer) ? 'yes' : 'no';
      if (isTwo(answer)) this.#accepted++;
      this.#events.onRcptReply(index, answer);
    }
    if (this.#data !== 'no') this.#sendData();
  }

  onDataReply(answer: Reply): void {
    if (answer.code === 354) {
      this.#openContent();
      return;
    }
    if (this.#isGo) {
      this.#failChanged('data', answer);
      return;
    }
    this.#detach();
    this.#isOver = true;
    this.#events.onDataReply(answer);
  }

  onFinalReply(answer: Reply): void {
    this.#detach();
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#owner.isLmtp) this.#events.onFinalReply(answer, this.#byRecipient(this.#each ?? [], answer));
    else this.#events.onFinalReply(answer);
  }

  onEachReply(answer: Reply): void {
    if (this.#isOver) return;
    this.#each ??= [];
    this.#each.push(answer);
  }

  /** Later events: see `Outbound`. */
  tellRefusal(index: number): void {
    if (this.#isOver || this.#verdicts[index] !== 'owed' || this.#mailRefusal === undefined) return;
    this.#verdicts[index] = 'no';
    this.#events.onRcptReply(index, this.#mailRefusal);
  }

  tellNoRecipients(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#detach()?.session.abort();
    this.#events.onDataReply(NO_RECIPIENTS);
  }

  tellGo(): void {
    if (this.#isOver || this.#isGo) return;
    this.#isGo = true;
    this.#events.onDataReply(GO_AHEAD);
  }

  #ask(index: number): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#asked.push(index);
    connection.session.rcpt(rcptArgument(connection.session.hop, this.#rcpts[index] as string, this.#params?.[index]));
  }

  #xforward(hop: Hop): string[] | undefined {
    const { client, ident } = this.envelope;
    return client === undefined ? undefined : xforwardCommands(hop, client, ident);
  }

  /** Lost between two final replies of LMTP: what was told is true, and `missing` stands for the rest. */
  #endPartly(missing: Reply, each: readonly Reply[]): void {
    this.#isOver = true;
    const refusal = each.find((one) => !isPositive(one));
    this.#events.onFinalReply(refusal ?? missing, this.#byRecipient(each, missing));
  }

  /** The final replies by the index of `rcpt()`; `rest` for those that have none of their own. */
  #byRecipient(each: readonly Reply[], rest: Reply): (Reply | undefined)[] {
    let next = 0;
    return this.#verdicts.map((verdict) => (verdict === 'yes' ? (each[next++] ?? rest) : undefined));
  }

  /** Once every recipient has its answer; before that where DATA may follow them in one pipeline (RFC 2920 section 3.1). */
  #sendData(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const isAnswered = this.#asked.length === 0;
    if (isAnswered && this.#accepted === 0) {
      process.nextTick(tellNoRecipients, this);
      return;
    }
    if (this.#isDataAsked || !(isAnswered || this.#mayGoAhead(connection.session.hop))) return;
    this.#isDataAsked = true;
    if (connection.session.data(this.#data === 'exact') === 'go') {
      if (this.#isGo) this.#openContent();
      else {
        this.#setContentOpen();
        process.nextTick(tellGo, this);
      }
    }
  }

  #mayGoAhead({ pipelining, chunking }: Hop): boolean {
    return pipelining && !(this.#data === 'exact' && chunking);
  }

  /** The hop takes content: for the first time, or again. */
  #openContent(): void {
    this.#setContentOpen();
    if (!this.#isGo) {
      this.#isGo = true;
      this.#events.onDataReply(GO_AHEAD);
      return;
    }
    const kept = this.#kept ?? [];
    this.#kept = undefined; // there is no third try
    this.#give(kept, this.#isLastGiven, false);
    if (!this.#isRoomOwed) return;
    this.#isRoomOwed = false;
    this.onRoom();
  }

  #setContentOpen(): void {
    this.#isContentOpen = true;
    const isTold = this.#withoutOpes === undefined || this.#connection?.session.hop.opes === true;
    this.#ahead = isTold ? undefined : this.#withoutOpes?.();
  }

  /** What goes ahead is kept for no second try: there it may be another, or none. */
  #give(chunks: readonly Uint8Array[], last: boolean, isDotFree: boolean): void {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    this.#connection?.session.content(ahead === undefined ? chunks : [ahead, ...chunks], last, isDotFree);
  }

  #keep(chunks: readonly Uint8Array[], isOpen: boolean): void {
    if (this.#kept === undefined) return;
    for (const chunk of chunks) {
      this.#kept.push(chunk);
      this.#keptOctets += chunk.length;
    }
    // While no connection takes it there is nowhere else to leave it; `content` says false then.
    if (isOpen && this.#keptOctets > this.#owner.replayOctets) this.#kept = undefined;
  }

  #failChanged(stage: 'envelope' | 'data', answer: Reply): void {
    this.#detach()?.session.abort();
    this.fail({ stage, reason: 'changed', reply: answer, sent: false });
  }

  /** From here on nothing the connection does concerns us. */
  #detach(): NextHopConnection | undefined {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) connection.outbound = undefined;
    return connection;
  }
}

function checkParams(params: ReadonlyMap<string, string | true>): void {
  for (const [name, value] of params) {
    if (BREAKS_LINE.test(name) || (value !== true && BREAKS_LINE.test(value)))
      throw new TypeError('a parameter with a line end');
  }
}

function isTwo(answer: Reply): boolean {
  return answer.code >= 200 && answer.code < 300;
}

// Functions, not closures: `process.nextTick` takes the arguments.
function tellRefusal(outbound: NextHopOutbound, index: number): void {
  outbound.tellRefusal(index);
}

function tellNoRecipients(outbound: NextHopOutbound): void {
  outbound.tellNoRecipients();
}

function tellGo(outbound: NextHopOutbound): void {
  outbound.tellGo();
}

function tellFailure(outbound: NextHopOutbound, failure: OutboundFailure): void {
  outbound.fail(failure);
}
