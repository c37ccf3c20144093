/** Rows of the store as an operator is shown them. */
import type { ListedDelivery, StoredMail } from '../../store/index.ts';
import { traceOf } from '../spool/damage.ts';
import type { QueuedRecipient, QueueEntry } from './port.ts';

export function deliveryId({ mail, n }: { readonly mail: string; readonly n: number }): string {
  return `${mail}#${n}`;
}

export function queueEntry(delivery: ListedDelivery, mail: StoredMail): QueueEntry {
  const { forwardPath, destination, lane, hold, attempts, nextMs, expiresMs, lastReply, isClaimed } = delivery;
  return {
    id: deliveryId(delivery),
    trace: traceOf(mail),
    state: isClaimed ? 'active' : hold === undefined ? 'queued' : 'held',
    acceptedMs: mail.acceptedMs,
    from: mail.reversePath,
    to: forwardPath,
    destination,
    lane,
    attempts,
    nextMs,
    expiresMs,
    lastReply,
    held: hold === undefined ? undefined : { service: hold.service, reason: hold.reason, sinceMs: hold.heldMs },
  };
}

export function queuedRecipient(delivery: ListedDelivery, mail: StoredMail): QueuedRecipient {
  const { params, content, notes } = delivery;
  return { ...queueEntry(delivery, mail), params, content, notes };
}
