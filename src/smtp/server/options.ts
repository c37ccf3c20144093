/** What a server session is told of its listener: the same frozen object for all sessions of it. */
import { type ServerLimits, serverLimits } from '../limits.ts';

export interface ServerOptions {
  /** LMTP (RFC 2033): LHLO in place of EHLO and HELO, and a reply for each recipient at the end of the data. */
  readonly protocol: 'smtp' | 'lmtp';
  /** Our name in the greeting and the answers to EHLO and HELO. */
  readonly hostname: string;
  /** Octets of content a mail may have; announced with SIZE. */
  readonly maxSize: number;
  /** Announced only where every route of the listener keeps the promise. */
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly chunking: boolean;
  /** RFC 3461: only where somebody makes the reports that are asked for, or passes the wish on. */
  readonly dsn: boolean;
  /** Bypass and trace on request; lines of MAIL and RCPT may be longer for it. */
  readonly opes: boolean;
  /** draft-hall-prdr: clients may ask for a reply for each recipient. Not for LMTP, which has them unasked. */
  readonly prdr: boolean;
  /** `required`: nothing but EHLO, NOOP, STARTTLS and QUIT before TLS (RFC 3207, 4). `implicit`: TLS before the greeting (RFC 8314, 3). */
  readonly tls: 'none' | 'offered' | 'required' | 'implicit';
  /** Whether AUTH is served (RFC 4954); `always` sends passwords in the clear. */
  readonly auth: 'none' | 'over-tls' | 'always';
  /** Whether this client's XCLIENT, or its XFORWARD, is believed; announced to nobody else. */
  readonly xclient: boolean;
  readonly xforward: boolean;
  readonly limits: ServerLimits;
}

export function makeServerOptions(options: Pick<ServerOptions, 'hostname'> & Partial<ServerOptions>): ServerOptions {
  return Object.freeze({
    protocol: 'smtp',
    maxSize: 50 * 1024 * 1024, // what large providers take; base64 makes it about 36 MB of attachments
    eightBitMime: true,
    smtpUtf8: true,
    chunking: true,
    dsn: false,
    opes: false,
    prdr: false,
    tls: 'none',
    auth: 'none',
    xclient: false,
    xforward: false,
    limits: serverLimits,
    ...options,
  });
}
