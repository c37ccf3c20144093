/**
 * Every cap and deadline of the client side. Deadlines are shorter than the least ones of RFC 5321 section 4.5.3.2,
 * which are meant for a queue: here an SMTP client waits for our answer, and a queue stands behind it.
 */
import { type ReplyLimits, replyLimits } from '../limits.ts';

export interface NextHopLimits {
  /** Caps of one reply. */
  readonly reply: ReplyLimits;
  /** Connections at once. Postfix's default for one client is 50 (smtpd_client_connection_count_limit). */
  readonly connections: number;
  /** Mails that wait for a connection. Beyond it the hop is far too slow, and waiting would only end later with the same 451. */
  readonly waiting: number;
  /** Mails over one connection; then QUIT. Bounds what a leak or a wrong count at either side can do, and lets a balancer at the hop work. */
  readonly transactions: number;
  /** Content kept for a second try before the final dot. Beyond it a connection that dies fails the mail. */
  readonly replayOctets: number;
  /** Content not yet taken by the socket at which `content()` says false: one write under way, and the next. */
  readonly pendingOctets: number;
  /** The least rate at which a hop must take content, over each write of up to 256 KiB. */
  readonly minOctetsPerSecond: number;

  /** A mail waits this long for a connection. */
  readonly waitMs: number;
  /** TCP. No RFC figure; the system's own is about two minutes. */
  readonly connectMs: number;
  /** The greeting (RFC 5321: 5 minutes). Hops that delay it on purpose do so for less than this. */
  readonly greetingMs: number;
  /** EHLO, HELO, STARTTLS, and RSET between mails. */
  readonly helloMs: number;
  /** The TLS handshake. */
  readonly tlsMs: number;
  /** MAIL and RCPT (RFC 5321: 5 minutes); each reply has its own. Some hops look up much at RCPT. */
  readonly envelopeMs: number;
  /** The 354 (RFC 5321: 2 minutes). */
  readonly dataMs: number;
  /** At least this for a write of content, however small (RFC 5321: 3 minutes for a block). */
  readonly blockMs: number;
  /** The answer to the final dot (RFC 5321: 10 minutes, so as not to send twice). The gateway's own deadline for a mail is 4 minutes. */
  readonly finalMs: number;
  /** A connection nobody uses. Below the 5 minutes after which a hop may close it, so that we rarely meet a dead one. */
  readonly idleMs: number;
  /** The 221 to QUIT: politeness only. */
  readonly quitMs: number;
  /** No new connections for this long after the hop refused one while others live: it has its own cap, and we reached it. */
  readonly holdMs: number;
  /** No new connections for this long after the hop refused our login: every try with a wrong password brings a lock closer. */
  readonly loginHoldMs: number;
  /** How often deadlines are looked at. */
  readonly tickMs: number;
}

export const NEXT_HOP_LIMITS: NextHopLimits = {
  reply: replyLimits,
  connections: 32,
  waiting: 1000,
  transactions: 1000,
  replayOctets: 256 * 1024,
  pendingOctets: 512 * 1024,
  minOctetsPerSecond: 4096,
  waitMs: 30_000,
  connectMs: 30_000,
  greetingMs: 60_000,
  helloMs: 60_000,
  tlsMs: 30_000,
  envelopeMs: 120_000,
  dataMs: 120_000,
  blockMs: 30_000,
  finalMs: 240_000,
  idleMs: 60_000,
  quitMs: 5_000,
  holdMs: 5_000,
  loginHoldMs: 60_000,
  tickMs: 250,
};
