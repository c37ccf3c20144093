/** The operator's line for each try of the spool. */
import { type Log, printable } from '../../base/index.ts';
import type { StoredMail } from '../../store/index.ts';
import { mailNotes, type QueuedDelivery } from './rows.ts';
import { type Ended, replyText, type Settlement } from './settle.ts';

interface About {
  readonly mail: StoredMail;
  readonly deliveries: readonly QueuedDelivery[];
  readonly nextHop: string | undefined;
}

/** Recipients one line names. */
const MAX_LISTED = 200;

export function logDeliveries(log: Log, about: About, settlement: Settlement, nowMs: number): void {
  const { mail, deliveries, nextHop } = about;
  const { delivered, failed, later } = settlement;
  log.info('delivery', {
    mail: mailNotes(mail).mail,
    from: printable(mail.reversePath === '' ? '<>' : mail.reversePath, 400),
    nextHop,
    delivered: lines(delivered),
    failed: lines(failed),
    later: lines(later),
    attempt: (deliveries[0]?.attempts ?? 0) + 1,
    ageMs: nowMs - mail.acceptedMs,
  });
}

function lines(ended: readonly Ended[]): readonly string[] | undefined {
  if (ended.length === 0) return undefined;
  return ended.slice(0, MAX_LISTED).map(toLine);
}

function toLine({ delivery, reply }: Ended): string {
  return `${printable(delivery.forwardPath, 400)} ${printable(replyText(reply), 400)}`;
}
