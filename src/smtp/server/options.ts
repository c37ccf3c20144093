/** What a server session is told of its listener: the same frozen object for all sessions of it. */
import { type ServerLimits, serverLimits } from '../limits.ts';

export interface ServerOptions {
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
  /** `required`: nothing but EHLO, NOOP, STARTTLS and QUIT before TLS (RFC 3207, 4). */
  readonly tls: 'none' | 'offered' | 'required';
  readonly limits: ServerLimits;
}

export function makeServerOptions(options: Pick<ServerOptions, 'hostname'> & Partial<ServerOptions>): ServerOptions {
  return Object.freeze({
    maxSize: 50 * 1024 * 1024, // what large providers take; base64 makes it about 36 MB of attachments
    eightBitMime: true,
    smtpUtf8: true,
    chunking: true,
    dsn: false,
    tls: 'none',
    limits: serverLimits,
    ...options,
  });
}
