/** What a try means for the store and for the sender: a pure step from outcomes to changes. */

import type { Reply } from '../../smtp/index.ts';
import type { Change, StoredMail } from '../../store/index.ts';
import { nextTryMs } from './backoff.ts';
import { notesOf, type QueuedDelivery } from './rows.ts';
import type { Blocker, Outcome } from './task.ts';

export interface QueuePlan {
  readonly retryMs: readonly number[];
  /** The sender is told of a delay after this; undefined: never. */
  readonly warnAfterMs: number | undefined;
}

/** One delivery with what came of it. */
export interface Ended {
  readonly delivery: QueuedDelivery;
  readonly reply: Reply;
  /** Of a delivery: the hop reports on success itself, if asked. */
  readonly speaksDsn: boolean;
  /** Of a failure that OPES processing caused. */
  readonly by: Blocker | undefined;
}

export interface Settlement {
  readonly delivered: readonly Ended[];
  /** For good, or for too long. */
  readonly failed: readonly Ended[];
  /** To be tried again. */
  readonly later: readonly Ended[];
  /** Those of them whose sender is to be told that it takes longer. */
  readonly delayed: readonly Ended[];
  /** What the store is told of `later`. */
  readonly retries: readonly Change[];
}

export function settle(
  mail: StoredMail,
  deliveries: readonly QueuedDelivery[],
  outcomes: readonly Outcome[],
  nowMs: number,
  plan: QueuePlan,
  random: () => number,
): Settlement {
  const delivered: Ended[] = [];
  const failed: Ended[] = [];
  const later: Ended[] = [];
  const delayed: Ended[] = [];
  const retries: Change[] = [];
  for (const [i, delivery] of deliveries.entries()) {
    const outcome = outcomes[i] as Outcome;
    const ended: Ended = { delivery, reply: outcome.reply, speaksDsn: false, by: blockerOf(delivery, outcome) };
    if (outcome.kind === 'delivered') delivered.push({ ...ended, speaksDsn: outcome.speaksDsn });
    else if (outcome.kind === 'failed') failed.push(ended);
    else {
      const attempts = delivery.attempts + (outcome.atMs === undefined ? 1 : 0);
      const nextMs =
        outcome.atMs === undefined
          ? nextTryMs(attempts, nowMs, plan, random())
          : Math.min(outcome.atMs, Math.max(delivery.expiresMs, nowMs + 1));
      // One try more would come too late, and the last one was made.
      if (nextMs > delivery.expiresMs) {
        failed.push(ended);
        continue;
      }
      later.push(ended);
      const isLate = plan.warnAfterMs !== undefined && nowMs - mail.acceptedMs >= plan.warnAfterMs;
      if (isLate && !delivery.isWarned) delayed.push(ended);
      retries.push({
        kind: 'retry',
        mail: mail.id,
        n: delivery.n,
        attempts,
        nextMs,
        lastReply: replyText(outcome.reply),
        isWarned: delivery.isWarned || isLate,
      });
    }
  }
  return { delivered, failed, later, delayed, retries };
}

/** What waited for a service until its time was over was stopped by that service (REQ-054). */
function blockerOf(delivery: QueuedDelivery, outcome: Outcome): Blocker | undefined {
  if (outcome.kind === 'failed' || (outcome.kind === 'later' && outcome.by !== undefined)) return outcome.by;
  const { service } = notesOf(delivery);
  if (outcome.kind === 'delivered' || delivery.lane !== 'adapt' || service === undefined) return undefined;
  return { service, because: 'failure', isOnContent: false };
}

export function replyText({ code, enhanced, text }: Reply): string {
  return `${code} ${enhanced === undefined ? '' : `${enhanced} `}${text.join(' / ')}`;
}
