import type { ChannelTimeouts } from './types.ts';

/** Milliseconds; 0 switches one off (RFC 4037, section 2.7: what makes no progress is ended). */
export const DEFAULT_TIMEOUTS: Required<ChannelTimeouts> = {
  /** TCP and TLS handshake: a server that needs longer is of no use to a mail that waits. */
  connectMs: 5_000,
  /** From connection to the end of the first phase, and for any later phase: some round trips. */
  negotiationMs: 10_000,
  /** No input: ask (PQ), and after as long again give up. Well below what an SMTP client waits. */
  silenceMs: 30_000,
  /** A transaction nothing is sent or received for: longer than the 10 minutes an SMTP client may take over its data. */
  stallMs: 15 * 60_000,
  /** A connection without transactions: kept, so that the next mail finds it. */
  idleMs: 0,
  /** From our CE to the end of the socket: time for the peer to read it and close. */
  closeMs: 2_000,
};
