/**
 * The mail transactions of a session, one after the other: envelope, content, end; the second machine of `state.ts`. DATA's
 * content passes by, cut by its reader; a chunk's octets are counted here. Flaws are looked at as the content grows: what will be
 * refused is taken back from the handler at once.
 */
import { replies } from '../replies.ts';
import { type Reply, writeReply } from '../reply.ts';
import type { Conduct } from './conduct.ts';
import { DataReader } from './data-reader.ts';
import { finalsOf } from './finals.ts';
import type { MailCommand, RcptCommand, ResetCause, ServerHandler } from './handler.ts';
import { flawReply, Intake } from './intake.ts';
import type { ServerOptions } from './options.ts';
import type { ReplyDesk } from './reply-desk.ts';
import type { Place } from './reply-queue.ts';
import * as state from './state.ts';

/** The dialog, as its transactions see it. */
export interface TransactionHost {
  input: state.Input;
  /** Grows with every command and answer. */
  steps: number;
}

export class MailTransaction {
  readonly #host: TransactionHost;
  readonly #options: ServerOptions;
  readonly #handler: ServerHandler;
  readonly #replies: ReplyDesk;
  readonly #conduct: Conduct;
  #state: state.Transaction = state.NONE;

  constructor(
    host: TransactionHost,
    options: ServerOptions,
    handler: ServerHandler,
    desk: ReplyDesk,
    conduct: Conduct,
  ) {
    this.#host = host;
    this.#options = options;
    this.#handler = handler;
    this.#replies = desk;
    this.#conduct = conduct;
  }

  get state(): state.Transaction {
    return this.#state;
  }

  /** Whether the handler is being given content. */
  get isReceiving(): boolean {
    return this.#state.at === 'receiving';
  }

  /** As many recipients were asked as there may be; one of them may be refused yet and leave its place to another. */
  get isFull(): boolean {
    const tx = this.#state;
    return 'envelope' in tx && tx.envelope.asked >= this.#options.limits.recipients;
  }

  // Commands

  onMail(mail: MailCommand): void {
    const { params } = mail;
    const envelope = { smtpUtf8: params.has('SMTPUTF8'), prdr: params.has('PRDR'), asked: 0, accepted: 0 };
    this.#state = { at: 'opening', envelope };
    this.#handler.onMail(mail, this.#replies.take('mail').ticket);
  }

  onRcpt(rcpt: RcptCommand): void {
    const tx = this.#state;
    if (tx.at === 'opening' || tx.at === 'open') tx.envelope.asked++;
    this.#handler.onRcpt(rcpt, this.#replies.take('rcpt').ticket);
  }

  onData(): void {
    this.#host.input = state.WAITING_ALONE;
    this.#ask(this.#replies.take('data'));
  }

  /** RFC 3030, 2: the handler is asked at the first chunk; those behind it go where the first went. */
  onBdat(size: number, isLast: boolean): void {
    const tx = this.#state;
    const place = this.#replies.take('data');
    if (tx.at === 'receiving') {
      this.startChunk({ left: size, isLast, place, fate: tx.intake });
    } else {
      this.#host.input = { at: 'waiting', behind: { left: size, isLast, place, fate: replies.badSequence } };
      this.#ask(place);
    }
  }

  /** A BDAT that is refused: its octets come all the same. */
  drop(refusal: Reply, size: number, isLast: boolean): void {
    const tx = this.#state;
    if (tx.at !== 'receiving')
      this.#replies.finals = tx.at === 'open' ? finalsOf(this.#options, tx.envelope) : undefined;
    if (refusal === replies.tooBig) this.reset('TOO_BIG');
    this.startChunk({ left: size, isLast, place: this.#replies.take('ours'), fate: this.#replies.counted(refusal) });
  }

  #ask(place: Place): void {
    const tx = this.#state;
    this.#replies.finals = tx.at === 'open' ? finalsOf(this.#options, tx.envelope) : undefined;
    this.#state = state.ASKED;
    this.#handler.onData(place.ticket);
  }

  // Answers

  /** Returns the chunk of a BDAT, whose octets are still to come and to be dropped. */
  onAnswer(place: Place, isYes: boolean): state.Chunk | undefined {
    const tx = this.#state;
    switch (place.asked) {
      case 'mail':
        if (isYes && tx.at === 'opening') this.#state = { at: 'open', envelope: tx.envelope };
        if (!isYes) this.#onMailRefused();
        return undefined;
      case 'rcpt':
        if (tx.at !== 'opening' && tx.at !== 'open') return undefined;
        if (isYes) tx.envelope.accepted++;
        else tx.envelope.asked--;
        return undefined;
      case 'data': {
        const { input } = this.#host;
        const behind = input.at === 'waiting' ? input.behind : 'anything';
        this.#state = state.NONE;
        this.#host.input = state.COMMANDS;
        return typeof behind === 'object' ? behind : undefined;
      }
      case 'end':
        this.#state = state.NONE;
        this.#host.input = state.COMMANDS;
        if (isYes) this.#conduct.onAcceptedMail();
        return undefined;
      case 'hello':
      case 'verify':
      case 'auth':
      case 'ours':
        return undefined;
    }
  }

  /** The RCPTs behind it were sent in hope (RFC 2920): whatever was or will be answered to them, they had no MAIL. */
  #onMailRefused(): void {
    this.#state = state.NONE;
    this.#replies.settleRecipients(writeReply(replies.needMail));
  }

  /** The handler wants the content: DATA's, or the chunk that stands behind its BDAT. */
  go(place: Place, behind: 'anything' | 'nothing' | state.Chunk): void {
    const intake = new Intake(this.#options, this.#handler);
    this.#state = { at: 'receiving', intake };
    if (typeof behind === 'object') {
      this.startChunk({ ...behind, fate: intake });
    } else {
      this.#host.input = { at: 'content', reader: new DataReader(intake), intake };
      this.#replies.settle(place, replies.goAhead);
    }
  }

  // Content

  /** DATA's content grew. */
  onContent(intake: Intake): void {
    this.#resetIfFlawed(intake);
    if (intake.isFlood) this.#replies.hangUp(replies.tooBig);
  }

  /** The final dot was read. */
  onContentEnd(intake: Intake, isDotFree: boolean): void {
    intake.end();
    const refusal = this.#resetIfFlawed(intake);
    this.#host.input = state.COMMANDS;
    if (refusal !== undefined)
      this.#replies.settleEnd(this.#replies.take('ours'), this.#replies.counted(refusal), false);
    else this.#askForEnd(this.#replies.take('end'), isDotFree);
  }

  startChunk(chunk: state.Chunk): void {
    chunk.place.asked = 'ours';
    this.#host.input = { at: 'chunk', chunk };
    if (chunk.left === 0) this.#onChunkEnd(chunk);
  }

  /** `buf[from, to)` are the next octets of the chunk, perhaps its last. */
  onChunk(chunk: state.Chunk, buf: Buffer, from: number, to: number): void {
    chunk.left -= to - from;
    if (!('code' in chunk.fate)) {
      chunk.fate.take(buf, from, to, false);
      chunk.fate = this.#resetIfFlawed(chunk.fate) ?? chunk.fate;
    }
    if (chunk.left === 0) this.#onChunkEnd(chunk);
  }

  #onChunkEnd({ fate, isLast, place }: state.Chunk): void {
    this.#host.input = state.COMMANDS;
    if (isLast && !('code' in fate)) fate.end();
    const refusal = 'code' in fate ? fate : this.#resetIfFlawed(fate);
    if (refusal !== undefined && isLast) this.#replies.settleEnd(place, refusal, false);
    else if (refusal !== undefined) this.#replies.settle(place, refusal);
    else if (isLast) this.#askForEnd(place, false);
    else this.#replies.settle(place, replies.chunkOk);
  }

  #askForEnd(place: Place, isDotFree: boolean): void {
    this.#host.steps++;
    place.asked = 'end';
    this.#replies.beginEnd();
    this.#state = state.ENDED;
    this.#host.input = state.WAITING;
    this.#handler.onContentEnd(place.ticket, isDotFree);
  }

  // The end

  /** The handler need not keep what will be refused, even if the rest of it takes an hour to come. */
  #resetIfFlawed(intake: Intake): Reply | undefined {
    if (intake.flaw === undefined) return undefined;
    this.reset(intake.flaw === 'too-big' ? 'TOO_BIG' : 'BAD_CONTENT');
    return flawReply(intake.flaw);
  }

  /** It is over, and not by the handler's word. */
  reset(cause: ResetCause): void {
    if (this.#state.at === 'none') return;
    this.#state = state.NONE;
    this.#handler.onReset(cause);
  }
}
