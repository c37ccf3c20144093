/**
 * One mail's transaction with its next hop (design, section 2, step 7): recipients go there before the client has its
 * 250 for them, so the hop's own refusals are the client's; content goes when every service has ended; the hop's answer
 * to it is the client's. So the gateway owns nothing that a crash could lose.
 *
 * Once the final dot has left, a lost connection is never tried again here: the hop may have the mail, and the client,
 * told 451, is the one to ask again.
 */
import { CR, LF } from '../../base/index.ts';
import type { DataOptions, Outbound, OutboundEvents, OutboundFailure, Parameters, Reply } from '../../smtp/index.ts';
import { mapNextHopReply, replyToFailure } from '../../smtp/index.ts';
import { type Content, ContentReader } from '../content/index.ts';
import type { RouteOptions } from '../options.ts';
import type { OpenRelay, RelayEnvelope } from './open-relay.ts';

/** All replies are as the client may hear them (`mapNextHopReply`, design D13). */
export interface MailRelayEvents {
  onRcptReply(index: number, reply: Reply): void;
  /**
   * The mail's own end at the hop: its answer, or the reply that stands for there being none. `each`: where the hop answers
   * for each recipient (LMTP), by the order of `rcpt()`.
   */
  onRelayed(reply: Reply, each?: readonly (Reply | undefined)[]): void;
  /** Before the content was asked for: no recipient can be had there any more. */
  onLost(reply: Reply, why: string): void;
  /** Content that we stored cannot be read back. */
  onStoreFailed(error: Error): void;
  /** An exception out of the handling of one of these, or of ours. The hop was given up before; nothing follows. */
  onFault(error: unknown): void;
}

/** One write to the hop: what its socket takes at once. */
const PORTION = 256 * 1024;

export class MailRelay implements OutboundEvents {
  readonly route: RouteOptions;
  readonly #events: MailRelayEvents;
  readonly #outbound: Outbound;
  #content: Content | undefined;
  #reader: ContentReader | undefined;
  #hasRoom = false;
  #isOver = false;

  constructor(relay: OpenRelay, route: RouteOptions, envelope: RelayEnvelope, events: MailRelayEvents) {
    this.route = route;
    this.#events = events;
    this.#outbound = relay.open(route, envelope, this);
  }

  /** Whether the hop is told what senders want to hear of (DSN); undefined before its first answer. */
  get passesDsn(): boolean | undefined {
    return this.#outbound.passesDsn;
  }

  /** `params`: those of DSN and others, left out where the hop does not offer them. */
  rcpt(path: string, params?: Parameters): void {
    if (!this.#isOver) this.#outbound.rcpt(path, params);
  }

  /**
   * Every service has ended: `content` goes as it is. `request`: makes the field that goes on top of it where the hop has not been told
   * by parameters what the mail asks for (REQ-091); asked when every recipient has its answer, and again where the content is begun anew
   * on another connection.
   */
  send(content: Content, request?: () => string | undefined): void {
    if (this.#isOver) return;
    this.#content = content;
    const withoutOpes = request && ((): Uint8Array | undefined => this.#made(request));
    endsWithCrlf(content, (error, ends) => {
      try {
        this.#ask(error, ends, withoutOpes);
      } catch (fault) {
        this.#fault(fault);
      }
    });
  }

  #ask(error: Error | undefined, endsWithCrlf: boolean, withoutOpes: DataOptions['withoutOpes']): void {
    if (this.#isOver) return;
    if (error !== undefined) this.#events.onStoreFailed(error);
    else this.#outbound.data({ exact: !endsWithCrlf, withoutOpes });
  }

  /** Asked for in the middle of what a connection does, which other mails share. */
  #made(request: () => string | undefined): Uint8Array | undefined {
    try {
      return asOctets(request());
    } catch (error) {
      this.#fault(error);
      return undefined;
    }
  }

  /** Given up; no event follows. */
  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#outbound.abort();
  }

  // What the hop says comes in here, on a connection that other mails share: an exception behind these is this mail's alone.

  onRcptReply(index: number, reply: Reply): void {
    if (this.#isOver) return;
    try {
      // A refusal of MAIL is told of each recipient.
      this.#events.onRcptReply(index, mapNextHopReply('rcpt', reply));
    } catch (error) {
      this.#fault(error);
    }
  }

  onDataReply(reply: Reply): void {
    if (this.#isOver) return;
    try {
      if (reply.code === 354) this.#begin();
      else this.#over(mapNextHopReply('data', reply));
    } catch (error) {
      this.#fault(error);
    }
  }

  onDrain(): void {
    this.#hasRoom = true;
    this.#wake();
  }

  onFinalReply(reply: Reply, each?: readonly (Reply | undefined)[]): void {
    if (this.#isOver) return;
    try {
      this.#over(
        mapNextHopReply('final', reply),
        each?.map((one) => one && mapNextHopReply('final', one)),
      );
    } catch (error) {
      this.#fault(error);
    }
  }

  onFailed(failure: OutboundFailure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    try {
      this.#failed(failure);
    } catch (error) {
      this.#fault(error);
    }
  }

  #wake(): void {
    try {
      this.#pump();
    } catch (error) {
      this.#fault(error);
    }
  }

  /** A connection that has half a mail ends with it. */
  #fault(error: unknown): void {
    this.#isOver = true;
    this.#reader = undefined;
    this.#outbound.abort();
    this.#events.onFault(error);
  }

  #failed(failure: OutboundFailure): void {
    const reply = replyToFailure(failure);
    const why = `${failure.stage}: ${failure.reason}${failure.detail === undefined ? '' : ` (${failure.detail})`}`;
    if (this.#content === undefined) this.#events.onLost(reply, why);
    else this.#events.onRelayed(reply);
  }

  #begin(): void {
    this.#reader = new ContentReader(this.#content as Content, () => this.#wake());
    this.#hasRoom = true;
    this.#pump();
  }

  #over(reply: Reply, each?: readonly (Reply | undefined)[]): void {
    this.#isOver = true;
    this.#events.onRelayed(reply, each);
  }

  #pump(): void {
    const reader = this.#reader;
    while (reader !== undefined && this.#hasRoom && !this.#isOver) {
      if (reader.left === 0) {
        // Only an empty mail comes here: any other has had its last portion marked as such.
        this.#outbound.content([], true);
        this.#reader = undefined;
        return;
      }
      const portion = reader.nextAlike(PORTION);
      if (portion.kind === 'wait') return;
      if (portion.kind === 'failed') {
        this.#isOver = true;
        this.#outbound.abort();
        this.#events.onStoreFailed(portion.error);
        return;
      }
      const isLast = reader.left === 0;
      if (isLast) this.#reader = undefined;
      this.#hasRoom = this.#outbound.content(portion.octets, isLast, portion.isDotFree);
      if (isLast) return;
    }
  }
}

function asOctets(field: string | undefined): Buffer | undefined {
  return field === undefined ? undefined : Buffer.from(field, 'latin1');
}

/** DATA cannot carry a message that does not end with CRLF as it is; BDAT can. */
function endsWithCrlf(content: Content, done: (error: Error | undefined, ends: boolean) => void): void {
  if (content.size < 2) {
    done(undefined, content.size === 0);
    return;
  }
  const views = content.view(content.size - 2, 2);
  if (views !== undefined) {
    done(undefined, isCrlf(views));
    return;
  }
  content.load(content.size - 2, 2, (error, octets) => done(error, error === undefined && isCrlf(octets)));
}

/** The two octets may lie in two buffers. */
function isCrlf(octets: readonly Buffer[]): boolean {
  const last = octets.at(-1) as Buffer;
  const before = last.length > 1 ? last[last.length - 2] : octets.at(-2)?.at(-1);
  return before === CR && last[last.length - 1] === LF;
}
