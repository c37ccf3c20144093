/**
 * One mail transaction on a connection (RFC 5321 section 3.3): which replies are owed, and what each of them means.
 *
 *     envelope --data--> data --354--> content --last--> final --reply--> over
 *         |               | |             |                |
 *         |               | `-354, for nobody-> empty -----+
 *         `-- MAIL refused / DATA refused / refused early -'
 *
 * With PIPELINING (RFC 2920) every MAIL and RCPT leaves at once, and DATA behind them where it is asked for in time; without, each
 * waits for the reply before. Content goes by DATA with dots stuffed, or by BDAT (RFC 3030), one chunk a call. Replies are
 * counted, never matched by their text: a yes too many is found out at the latest at DATA, which nothing but 354 lets pass, and
 * a no too many may be taken for DATA's, so that no content goes. In LMTP the end of content has as many replies as recipients were
 * accepted; otherwise it is the same.
 */
import { isPositive, type Reply } from '../reply.ts';
import type { Hop } from './hop.ts';
import type { FailureReason, Stage } from './outbound.ts';
import { DotStuffer } from './stuffing.ts';

/** The replies of one mail transaction, in the order of the commands. May come from within `recv` only. */
export interface MailEvents {
  onMailReply(reply: Reply): void;
  /** In the order of the recipients. Not called for a recipient behind a refused MAIL. */
  onRcptReply(reply: Reply): void;
  onDataReply(reply: Reply): void;
  /** LMTP: the answer for one accepted recipient, in their order. */
  onEachReply(reply: Reply): void;
  /** The answer to the mail; with LMTP behind the last of `onEachReply`, or in place of them all. */
  onFinalReply(reply: Reply): void;
}

/** Which reply has a deadline running, by what is asked for. */
export type Awaited = 'nothing' | 'greeting' | 'hello' | 'tls' | 'envelope' | 'data' | 'final' | 'quit';

/** What the transaction needs of its session. */
export interface MailHost {
  write(commands: string): void;
  content(parts: Uint8Array[], octets: number): void;
  /** Content has not yet left: what the hop says now is no answer to its end. */
  holdsContent(): boolean;
  /** The deadline for this reply starts now; also where one of the same kind was running. */
  awaits(what: Awaited): void;
  /** The transaction is over and left nothing behind. */
  free(): void;
  /** The transaction is over, but the hop has to be told. */
  reset(): void;
  /** XFORWARD was refused. */
  declined(reply: Reply): void;
  /** The connection is of no use any more. */
  broken(reason: FailureReason, reply?: Reply): void;
}

/** `empty`: the hop wants content though it accepted no recipient, and got none. */
type Phase = 'envelope' | 'data' | 'content' | 'final' | 'empty' | 'over';

const STAGE: Readonly<Record<Phase, Stage>> = {
  envelope: 'envelope',
  data: 'data',
  content: 'data',
  final: 'final',
  empty: 'final',
  over: 'final',
};

export class MailTransaction {
  readonly #hop: Hop;
  readonly #host: MailHost;
  readonly #events: MailEvents;
  #phase: Phase = 'envelope';
  /** Commands, or BDAT chunks, whose reply is still to come. */
  #owed = 0;
  /** Commands that wait for a reply, where the hop has no PIPELINING. */
  #unsent: string[] | undefined;
  #mail: 'asked' | 'accepted' | 'refused' = 'asked';
  /** Absent where content goes by BDAT. */
  #stuffer: DotStuffer | undefined;
  #hasContent = false;
  /** Recipients; in LMTP each of them has its own final reply. */
  #accepted = 0;
  /** DATA was written before the envelope had its replies. */
  #isDataAhead = false;
  readonly #isLmtp: boolean;
  /** The first final reply that is to stand for all: the first, or the first that is no yes. */
  #common: Reply | undefined;
  /** XFORWARD commands whose reply is still to come. */
  #before: number;
  /** The hop knows whose mail it is, and forgets that with the mail or by RSET, not with a MAIL that it refuses. */
  readonly #isForwarded: boolean;

  /** `xforward`: commands that stand before MAIL. */
  constructor(
    argument: string,
    hop: Hop,
    host: MailHost,
    events: MailEvents,
    isLmtp: boolean,
    xforward: readonly string[],
  ) {
    this.#hop = hop;
    this.#host = host;
    this.#events = events;
    this.#isLmtp = isLmtp;
    this.#before = xforward.length;
    this.#isForwarded = xforward.length > 0;
    if (xforward.length > 0) for (const command of xforward) this.#send(`${command}\r\n`);
    this.#send(`MAIL FROM:${argument}\r\n`);
  }

  get stage(): Stage {
    return STAGE[this.#phase];
  }

  /** The final dot or BDAT LAST was written. */
  get isSent(): boolean {
    return this.#phase === 'final';
  }

  get owed(): number {
    return this.#owed;
  }

  /** RSET can still take it back: no content was announced that the hop now waits for. */
  get canReset(): boolean {
    if (this.#phase === 'envelope') return !this.#isDataAhead;
    return this.#phase === 'content' && this.#stuffer === undefined && !this.#hasContent;
  }

  /** Its recipients are refused, and what is still owed ends it: nobody gets a mail. */
  get isForNobody(): boolean {
    return this.#isDataAhead && this.#accepted === 0 && (this.#phase === 'data' || this.#phase === 'empty');
  }

  rcpt(argument: string): void {
    if (this.#phase === 'envelope' && this.#mail !== 'refused') this.#send(`RCPT TO:${argument}\r\n`);
  }

  /**
   * Asks for content to be allowed; with PIPELINING and DATA at any time, else only when no reply is owed and a recipient was
   * accepted. 'go': there is nothing to wait for, as BDAT takes content unasked.
   */
  data(exact: boolean): 'asked' | 'go' {
    if (exact && this.#hop.chunking) {
      this.#phase = 'content';
      return 'go';
    }
    this.#stuffer = new DotStuffer();
    this.#host.write('DATA\r\n');
    this.#isDataAhead = this.#owed > 0;
    if (!this.#isDataAhead) this.#awaitGo();
    return 'asked';
  }

  /** `isDotFree`: see `Outbound`. */
  content(chunks: readonly Uint8Array[], last: boolean, isDotFree: boolean): void {
    if (this.#phase !== 'content') return;
    const parts: Uint8Array[] = [];
    let octets = 0;
    if (this.#stuffer === undefined) {
      for (const chunk of chunks) octets += chunk.length;
      if (octets === 0 && !last) return;
      const head = Buffer.from(last ? `BDAT ${octets} LAST\r\n` : `BDAT ${octets}\r\n`, 'latin1');
      parts.push(head, ...chunks);
      octets += head.length;
      this.#owed++;
    } else {
      for (const chunk of chunks) octets += this.#stuffer.push(chunk, parts, isDotFree);
      if (last) octets += parts[parts.push(this.#stuffer.end()) - 1]?.length ?? 0;
      if (octets === 0) return;
    }
    this.#hasContent = true;
    if (last) {
      this.#phase = 'final';
      // BDAT LAST is counted above, as one.
      if (this.#isLmtp) this.#owed += this.#stuffer === undefined ? this.#accepted - 1 : this.#accepted;
    }
    this.#host.content(parts, octets);
    if (last || this.#owed > 0) this.#host.awaits('final');
  }

  onReply(reply: Reply): void {
    // 421 may answer anything at any time (RFC 5321 section 3.8): the hop is about to hang up.
    if (reply.code === 421) {
      this.#host.broken('closing', reply);
      return;
    }
    const kind = Math.trunc(reply.code / 100);
    switch (this.#phase) {
      case 'envelope':
        this.#onEnvelopeReply(reply, kind);
        return;
      case 'data':
        this.#onDataReply(reply, kind);
        return;
      case 'content':
      case 'final':
        this.#onContentReply(reply, kind);
        return;
      case 'empty':
        if (kind >= 4) this.#leave('free');
        else this.#host.broken('out-of-place', reply);
        return;
      case 'over':
        this.#host.broken('unsolicited', reply);
        return;
    }
  }

  #send(command: string): void {
    if (this.#owed === 0) this.#host.awaits('envelope');
    else if (!this.#hop.pipelining) {
      this.#unsent ??= [];
      this.#unsent.push(command);
      return;
    }
    this.#owed++;
    this.#host.write(command);
  }

  #onEnvelopeReply(reply: Reply, kind: number): void {
    if (this.#owed === 0) {
      this.#host.broken('unsolicited', reply);
      return;
    }
    if (kind === 1 || kind === 3) {
      this.#host.broken('out-of-place', reply);
      return;
    }
    this.#owed--;
    if (this.#before > 0) {
      this.#before--;
      if (kind !== 2) this.#host.declined(reply);
      this.#sendNext();
      return;
    }
    const isMail = this.#mail === 'asked';
    if (isMail) this.#mail = kind === 2 ? 'accepted' : 'refused';
    // Recipients without a mail: a hop that takes them counts otherwise than we do.
    else if (this.#mail === 'refused' && kind === 2) {
      this.#host.broken('out-of-place', reply);
      return;
    } else if (kind === 2) this.#accepted++;
    this.#sendNext();
    if (isMail) this.#events.onMailReply(reply);
    else if (this.#mail !== 'refused') this.#events.onRcptReply(reply);
  }

  #sendNext(): void {
    if (this.#owed > 0) {
      this.#host.awaits('envelope');
      return;
    }
    if (this.#isDataAhead) {
      this.#awaitGo();
      return;
    }
    if (this.#mail === 'refused') {
      this.#leaveRefused();
      return;
    }
    this.#host.awaits('nothing');
    const next = this.#unsent?.shift();
    if (next !== undefined) this.#send(next);
  }

  #awaitGo(): void {
    this.#phase = 'data';
    this.#host.awaits('data');
  }

  #onDataReply(reply: Reply, kind: number): void {
    if (this.isForNobody) {
      this.#onDataReplyForNobody(reply, kind);
      return;
    }
    if (reply.code === 354) {
      this.#phase = 'content';
      this.#host.awaits('nothing');
    } else if (kind === 4 || kind === 5) {
      this.#leave('reset');
    } else {
      this.#host.broken('out-of-place', reply);
      return;
    }
    this.#events.onDataReply(reply);
  }

  /** RFC 2920 section 3.1: a hop that takes content for nobody gets a single dot. In LMTP no reply to that would follow. */
  #onDataReplyForNobody(reply: Reply, kind: number): void {
    if (kind === 4 || kind === 5) {
      if (this.#mail === 'refused') this.#leaveRefused();
      else this.#leave('reset');
    } else if (reply.code === 354 && !this.#isLmtp) {
      this.#phase = 'empty';
      this.#host.write('.\r\n');
      this.#host.awaits('final');
    } else {
      this.#host.broken('out-of-place', reply);
    }
  }

  #onContentReply(reply: Reply, kind: number): void {
    const isOpen = this.#phase === 'content' || this.#host.holdsContent();
    if (!this.#isContentReplyDue(kind, isOpen)) {
      this.#host.broken('unsolicited', reply);
      return;
    }
    if (kind === 1 || kind === 3) {
      this.#host.broken('out-of-place', reply);
      return;
    }
    if (this.#isLmtp && !isOpen && this.#owed <= this.#accepted) {
      this.#onEachReply(reply, kind);
      return;
    }
    if (this.#owed > 0) this.#owed--;
    if (kind === 2) {
      if (this.#phase === 'content' || this.#owed > 0) this.#host.awaits(this.#owed > 0 ? 'final' : 'nothing');
      else this.#end(reply, 'free');
      return;
    }
    // A refusal in the middle of content is the hop's answer to the mail (552, say), but the dialog is out of step.
    if (isOpen || this.#owed > 0) this.#end(reply, 'broken');
    else this.#end(reply, this.#stuffer === undefined ? 'reset' : 'free');
  }

  /**
   * BDAT is answered chunk by chunk; DATA once, and before its end there is at most an early refusal. `isOpen`: the end of the
   * content has not left, so that nothing can be a yes to it.
   */
  #isContentReplyDue(kind: number, isOpen: boolean): boolean {
    if (this.#stuffer !== undefined) return !isOpen || kind >= 4;
    const owedToEnd = this.#phase === 'content' ? 0 : this.#isLmtp ? this.#accepted : 1;
    return this.#owed > (isOpen && kind < 4 ? owedToEnd : 0);
  }

  /** RFC 2033 section 4.2: as many replies as recipients were accepted, whatever became of the others. */
  #onEachReply(reply: Reply, kind: number): void {
    this.#owed--;
    if (this.#common === undefined || (isPositive(this.#common) && kind !== 2)) this.#common = reply;
    this.#events.onEachReply(reply);
    if (this.#owed > 0) this.#host.awaits('final');
    else this.#end(this.#common, 'free');
  }

  /** The connection is given back before the reply is told, so that the next mail, begun from within, finds it. */
  #end(reply: Reply, then: 'free' | 'reset' | 'broken'): void {
    if (then === 'broken') this.#phase = 'over';
    else this.#leave(then);
    this.#events.onFinalReply(reply);
    if (then === 'broken') this.#host.broken('out-of-place', reply);
  }

  /** A MAIL that was refused began nothing. */
  #leaveRefused(): void {
    this.#leave(this.#isForwarded ? 'reset' : 'free');
  }

  #leave(by: 'free' | 'reset'): void {
    this.#phase = 'over';
    if (by === 'free') this.#host.free();
    else this.#host.reset();
  }
}
