/** A next hop that takes every mail and does nothing with it. */
import { type Outbound, type OutboundEnvelope, type OutboundEvents, replies } from '../../smtp/index.ts';
import type { RouteOptions } from '../options.ts';
import type { OpenRelay } from '../relay/open-relay.ts';

export class AcceptingRelay implements OpenRelay {
  open(_route: RouteOptions, _envelope: OutboundEnvelope, events: OutboundEvents): Outbound {
    return new AcceptingOutbound(events);
  }
}

/** Events come later, as those of a real hop do. */
class AcceptingOutbound implements Outbound {
  readonly passesDsn = true;
  readonly #events: OutboundEvents;
  #recipients = 0;
  #isOver = false;

  constructor(events: OutboundEvents) {
    this.#events = events;
  }

  rcpt(): void {
    const index = this.#recipients++;
    this.#later(() => this.#events.onRcptReply(index, replies.rcptOk));
  }

  data(): void {
    this.#later(() => this.#events.onDataReply(replies.goAhead));
  }

  content(_octets: readonly Uint8Array[], last: boolean): boolean {
    this.#later(() => (last ? this.#events.onFinalReply(replies.accepted) : this.#events.onDrain()));
    return false;
  }

  abort(): void {
    this.#isOver = true;
  }

  #later(event: () => void): void {
    queueMicrotask(() => {
      if (!this.#isOver) event();
    });
  }
}
