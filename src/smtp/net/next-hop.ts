/**
 * A next hop: where mails of a route go by SMTP or LMTP. Keeps its connections and hides them; see `client/outbound.ts` for what
 * a mail looks like from outside.
 *
 *     const address = { kind: 'smtp', host: '10.0.0.5', port: 25 };
 *     const hop = new NextHop({ address, tls: { policy: 'may' }, helo: 'mx1.example.com', log });
 *     const out = hop.open({ mail: '<a@example.org>', params: new Map() }, events);
 *     out.rcpt('<b@example.com>');   // then onRcptReply(0, 250 ...)
 *     out.data();                    // then onDataReply(354 ...)
 *     out.content([octets], true);   // then onFinalReply(250 ...)
 */
import { type Log, silentLog } from '../../base/index.ts';
import type { IdentityMode } from '../client/identity.ts';
import { NEXT_HOP_LIMITS, type NextHopLimits } from '../client/limits.ts';
import type { Outbound, OutboundEnvelope, OutboundEvents, OutboundFailure } from '../client/outbound.ts';
import type { Credentials } from '../sasl/client.ts';
import type { HopAddress } from './next-hop-connection.ts';
import { SaltedPassword } from './next-hop-login.ts';
import { NextHopOutbound } from './next-hop-outbound.ts';
import { NextHopPool, type NextHopStats } from './next-hop-pool.ts';
import { HopSecurity, type HopTls } from './next-hop-tls.ts';

export interface NextHopOptions {
  /** A name or an address (a name's addresses are tried in turn), or a Unix socket. */
  readonly address: HopAddress;
  /** With `smtps`: TLS there is in any case, and `policy` says only whose certificate will do (`require`: anybody's). */
  readonly tls: HopTls;
  /** How the hop learns whose mail it is. */
  readonly identity?: IdentityMode;
  /** Our login there. The password goes over TLS, loopback or a Unix socket only. */
  readonly auth?: Credentials | undefined;
  /** Our name in EHLO. */
  readonly helo: string;
  readonly limits?: Partial<NextHopLimits>;
  readonly log?: Log;
  /** Told of each connection that failed before its mail, or with it. */
  readonly onFailed?: (failure: OutboundFailure) => void;
}

export class NextHop {
  readonly address: HopAddress;
  readonly #pool: NextHopPool;

  constructor(options: NextHopOptions) {
    const { address, tls, identity = 'none', auth, helo } = options;
    this.address = address;
    const security = new HopSecurity(tls, address.kind === 'lmtp-unix' ? '' : address.host, address.kind === 'smtps');
    const limits = { ...NEXT_HOP_LIMITS, ...options.limits };
    const shared = { address, helo, security, identity, auth, salted: new SaltedPassword(), limits };
    this.#pool = new NextHopPool(shared, options.log ?? silentLog, options.onFailed);
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
