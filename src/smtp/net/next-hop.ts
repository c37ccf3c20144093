/**
 * A next hop: where mails of a route go by SMTP. Keeps its connections and hides them; see `client/outbound.ts` for what
 * a mail looks like from outside.
 *
 *     const hop = new NextHop({ host: '10.0.0.5', port: 25, tls: 'may', helo: 'mx1.example.com', log });
 *     const out = hop.open({ mail: '<a@example.org>', params: new Map() }, events);
 *     out.rcpt('<b@example.com>');   // then onRcptReply(0, 250 ...)
 *     out.data();                    // then onDataReply(354 ...)
 *     out.content([octets], true);   // then onFinalReply(250 ...)
 */
import { type Log, silentLog } from '../../base/index.ts';
import { NEXT_HOP_LIMITS, type NextHopLimits } from '../client/limits.ts';
import type { Outbound, OutboundEnvelope, OutboundEvents, OutboundFailure } from '../client/outbound.ts';
import { NextHopOutbound } from './next-hop-outbound.ts';
import { NextHopPool, type NextHopStats } from './next-hop-pool.ts';

export interface NextHopOptions {
  /** A name or an address; a name's addresses are tried in turn. */
  readonly host: string;
  readonly port: number;
  /** `may`: STARTTLS where offered, any certificate, and clear text where TLS fails. `none`: never. */
  readonly tls: 'none' | 'may';
  /** Our name in EHLO. */
  readonly helo: string;
  readonly limits?: Partial<NextHopLimits>;
  readonly log?: Log;
  /** Told of each connection that failed before its mail, or with it. */
  readonly onFailed?: (failure: OutboundFailure) => void;
}

export class NextHop {
  readonly host: string;
  readonly port: number;
  readonly #pool: NextHopPool;

  constructor(options: NextHopOptions) {
    const { host, port, tls, helo } = options;
    this.host = host;
    this.port = port;
    const limits = { ...NEXT_HOP_LIMITS, ...options.limits };
    this.#pool = new NextHopPool({ host, port, tls, helo, limits }, options.log ?? silentLog, options.onFailed);
  }

  /** Begins a mail. Nothing is sent before its first recipient. */
  open(envelope: OutboundEnvelope, events: OutboundEvents): Outbound {
    return new NextHopOutbound(envelope, events, this.#pool);
  }

  /** What the hop offers, by keyword, as it said last; undefined before the first connection. */
  get offers(): ReadonlyMap<string, string> | undefined {
    return this.#pool.offers;
  }

  get stats(): NextHopStats {
    return this.#pool.stats;
  }

  /** Mails begun go on for at most `drainMs`; resolves when the last connection is gone. */
  close(drainMs: number): Promise<void> {
    return this.#pool.close(drainMs);
  }
}
