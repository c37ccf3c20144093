/** The way to the mail hosts of any domain (`nextHop: mx`): one for all mails. */
import type { Log, MonotonicClock } from '../../../base/index.ts';
import type { MailDns, Self } from '../../../dns/index.ts';
import type { OutboundEnvelope, OutboundEvents } from '../../../smtp/index.ts';
import { findDestination } from './find.ts';
import { MxOutbound, type OpenHost } from './mx-outbound.ts';
import type { Destination, RouteTls } from './plan.ts';

export interface MxRelayOptions {
  readonly dns: MailDns;
  /** Our names and addresses: a domain whose best host is one of them is a loop. */
  readonly self: Self;
  readonly openHost: OpenHost;
  readonly clock: MonotonicClock;
  readonly log: Log;
  readonly tryForMs?: number;
}

/** A client waits at least 5 minutes for the reply to its RCPT (RFC 5321 section 4.5.3.2.3); the last host tried needs some of it. */
const TRY_FOR_MS = 120_000;

export class MxRelay {
  readonly #options: MxRelayOptions;

  constructor(options: MxRelayOptions) {
    this.#options = options;
  }

  /** `domain`: of the recipients, as it stands in the envelope, one character an octet (UTF-8 where it is Unicode). All recipients are of it. */
  open(domain: string, tls: RouteTls, envelope: OutboundEnvelope, events: OutboundEvents): MxOutbound {
    const { dns, self, openHost, clock, log, tryForMs = TRY_FOR_MS } = this.#options;
    const unicode = Buffer.from(domain, 'latin1').toString('utf8');
    return new MxOutbound(findDestination(dns, self, unicode, tls), envelope, events, {
      openHost,
      clock,
      tryForMs,
      onFound: (found) => logFound(log, domain, found),
      onNextHost({ host, address }, why) {
        const reason = 'code' in why ? `MAIL ${why.code}` : `${why.stage}: ${why.reason}`;
        log.info('mx.next-host', { domain, host, address, reason, detail: 'code' in why ? undefined : why.detail });
      },
    });
  }
}

function logFound(log: Log, domain: string, found: Destination): void {
  if (found.kind === 'refused') {
    log.info('mx.no-host', { domain, why: found.why, reply: found.reply.code });
    return;
  }
  for (const { host, why, detail } of found.skipped) log.warn('mx.host-skipped', { domain, host, why, detail });
  for (const note of found.notes) log.warn('mx.note', { domain, note });
}
