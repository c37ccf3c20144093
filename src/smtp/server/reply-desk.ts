/**
 * What a session says: a place for each reply owed, in the order of the commands (`reply-queue.ts`), and the word that goes
 * there. Several replies at the end of a mail are written here (`finals.ts`); so is the last word of a session, behind which
 * nothing is said.
 */
import { replies } from '../replies.ts';
import { type Reply, withEnhanced, writeReply } from '../reply.ts';
import { isInnocent } from './check.ts';
import type { Conduct } from './conduct.ts';
import { type Finals, finalReplies, overallReply, sameReplies } from './finals.ts';
import type { ServerOut } from './handler.ts';
import { type Place, ReplyQueue } from './reply-queue.ts';

/** The dialog, as its replies see it. */
export interface DeskHost {
  /** The last word of the session is settled, and waits for what is owed before it. */
  onFarewell(): void;
  /** It was written. */
  onLastWord(): void;
  /** Something was said, and the session goes on. */
  onSaid(): void;
}

export class ReplyDesk extends ReplyQueue {
  /** Of the mail under way, where its end has more than one reply. */
  finals: Finals | undefined;
  readonly #host: DeskHost;
  readonly #out: ServerOut;
  readonly #conduct: Conduct;

  constructor(host: DeskHost, out: ServerOut, conduct: Conduct) {
    super();
    this.#host = host;
    this.#out = out;
    this.#conduct = conduct;
  }

  say(r: Reply): void {
    this.settle(this.take('ours'), r);
  }

  refuse(refusal: Reply): void {
    this.say(this.counted(refusal));
  }

  /** The refusal, unless there were too many. */
  counted(refusal: Reply): Reply {
    return isInnocent(refusal) || this.#conduct.onError() ? refusal : replies.tooManyErrors;
  }

  /** Says so, behind what else is owed, and ends the session. */
  hangUp(farewell: Reply): void {
    const place = this.take('ours');
    place.isFinal = true;
    this.settle(place, farewell);
  }

  settle(place: Place, r: Reply): void {
    if (r.code === 421) place.isFinal = true; // RFC 5321, 3.8: who says 421 closes
    if (place.isFinal) this.#host.onFarewell();
    this.settleText(place, writeReply(r));
  }

  /** Writes what is settled at the front of the queue. */
  settleText(settled: Place, text: string): void {
    settled.text = text;
    for (let place = this.shift(); place !== undefined; place = this.shift()) {
      this.#out.write(place.text ?? '');
      if (place.isFinal) {
        this.#host.onLastWord();
        return;
      }
    }
    this.#host.onSaid();
  }

  // The end of a mail. Nothing is owed before it, so what is written at once is in its place.

  /** All content is there, and clean; the handler is asked now. */
  beginEnd(): void {
    if (this.finals?.isPrdr === true) this.#out.write(writeReply(replies.analysing));
  }

  /** One word on the mail and all of its recipients. `isBegun`: the handler was asked for it. */
  settleEnd(place: Place, r: Reply, isBegun: boolean): void {
    const { finals } = this;
    if (finals === undefined || r.code === 421) this.settle(place, r);
    else this.#settleAll(place, sameReplies(finals, r, isBegun));
  }

  /** A word on each accepted recipient, in the order of the RCPTs. */
  settleEach(place: Place, each: readonly Reply[]): void {
    const { finals } = this;
    if (finals === undefined) this.settle(place, withEnhanced(overallReply(each)));
    else this.#settleAll(place, finalReplies(finals, each));
  }

  #settleAll(place: Place, all: readonly Reply[]): void {
    const last = all.length - 1;
    for (const [i, one] of all.entries()) {
      if (i === last) this.settle(place, one);
      else this.#out.write(writeReply(one));
    }
  }
}
