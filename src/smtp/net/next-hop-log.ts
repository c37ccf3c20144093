/** What the operator is told of one next hop: what failed, and what can be done where only he can do it. */
import { type Log, printable, stackOf } from '../../base/index.ts';
import type { FailureReason, OutboundFailure } from '../client/outbound.ts';
import type { HopAddress } from './next-hop-connection.ts';

const FIXES: ReadonlyMap<FailureReason, string> = new Map([
  ['auth', 'check auth: of the route (user and passwordFile), and that the hop offers AUTH to us'],
  ['identity', 'let the hop trust us (Postfix: smtpd_authorized_xclient_hosts), or write identity: none for the route'],
  ['no-tls', 'let the hop offer STARTTLS to us, or write tls: may for the route'],
  [
    'untrusted',
    "correct the hop's certificate, or name who vouches for it (tlsCa) or what it is called there (tlsName)",
  ],
]);

export class HopLog {
  readonly #log: Log;
  readonly #place: { readonly path: string } | { readonly host: string; readonly port: number };
  #isIdentityNoted = false;

  constructor(address: HopAddress, log: Log) {
    this.#log = log;
    this.#place = address.kind === 'lmtp-unix' ? { path: address.path } : { host: address.host, port: address.port };
  }

  retry(): void {
    this.#log.debug('next-hop.retry', this.#place);
  }

  failed(failure: OutboundFailure, name: string): void {
    const { stage, reason, detail, sent, reply } = failure;
    this.#log.warn('next-hop.failed', {
      ...this.#place,
      stage,
      reason,
      sent,
      ...(detail !== undefined && { detail }),
      name,
      ...(reply && { code: reply.code, text: printable(reply.text.join(' ')) }),
      fix: FIXES.get(reason),
    });
  }

  fault(error: unknown): void {
    this.#log.error('next-hop.fault', { ...this.#place, error: stackOf(error) });
  }

  /** Once: each mail would say the same. */
  identity(why: string): void {
    if (this.#isIdentityNoted) return;
    this.#isIdentityNoted = true;
    const fix =
      'let the hop trust us (Postfix: smtpd_authorized_xforward_hosts), or write identity: none for the route';
    this.#log.warn('next-hop.identity', { ...this.#place, why, fix });
  }
}
