/** What each act of an operator needs and does: pure steps from a delivery to a change. */
import type { Change, StoredDelivery } from '../../store/index.ts';
import { hasReadableNotes } from '../spool/damage.ts';
import { type DeliveryNotes, isVerdict, notesOf } from '../spool/rows.ts';
import type { QueueAct, Refusal } from './port.ts';

/** Who held it, and why, where it was an operator. */
const BY_OPERATOR = { service: 'operator', reason: 'operator' } as const;

export interface ActTimes {
  readonly nowMs: number;
  readonly lifetimeMs: number;
  readonly keepMs: number;
}

/** Why this may not be done to it; undefined: it may. */
export function refusalOf(
  act: QueueAct,
  only: 'held' | undefined,
  { hold }: Pick<StoredDelivery, 'hold'>,
): Refusal | undefined {
  switch (act) {
    case 'retry':
    case 'hold':
      return hold === undefined ? undefined : 'held';
    case 'release':
      return hold === undefined ? 'not-held' : undefined;
    case 'remove':
      return only === 'held' && hold === undefined ? 'not-held' : undefined;
  }
}

export function changeOf(act: QueueAct, delivery: StoredDelivery, times: ActTimes): Change {
  const { mail, n } = delivery;
  const { nowMs, lifetimeMs, keepMs } = times;
  switch (act) {
    case 'retry':
      return { kind: 'queue', mail, n, nextMs: nowMs };
    case 'hold':
      return { kind: 'hold', mail, n, hold: { ...BY_OPERATOR, heldMs: nowMs }, expiresMs: nowMs + keepMs };
    case 'release':
      return released(delivery, nowMs, nowMs + lifetimeMs);
    case 'remove':
      return { kind: 'end', mail, n, as: 'removed' };
  }
}

/**
 * Its time in the queue begins anew. What a service held is let past the services that may be bypassed, and that service
 * does not hold it again; what an operator held goes on as if nothing had been.
 */
function released(delivery: StoredDelivery, nextMs: number, expiresMs: number): Change {
  const { mail, n, hold } = delivery;
  const change = { kind: 'queue', mail, n, nextMs, expiresMs } as const;
  if (hold?.service === BY_OPERATOR.service && hold.reason === BY_OPERATOR.reason) return change;
  // Of damaged notes nothing is known to add to: no service is asked, and its sender is told when its time is over.
  if (!hasReadableNotes(delivery)) return change;
  return { ...change, notes: releasedNotes(delivery) as unknown as NonNullable<StoredDelivery['notes']> };
}

function releasedNotes(delivery: StoredDelivery): DeliveryNotes {
  const { hold } = delivery;
  // What a service refused when the mail was taken is for the services to say anew, not for the row.
  const { refused: _, because: __, ...before } = notesOf(delivery);
  const notes: DeliveryNotes = { ...before, isReleased: true };
  // Failures and refusals may come again; a verdict that an operator looks at it has had its effect.
  if (hold === undefined || !isVerdict(hold.reason)) return notes;
  const { releasedFrom = [] } = before;
  return releasedFrom.includes(hold.service) ? notes : { ...notes, releasedFrom: [...releasedFrom, hold.service] };
}
