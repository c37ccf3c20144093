/**
 * Mail that a service of the slow lane had wait: stored with what the services before it made, so that only that service and
 * those behind it run again.
 */
import type { Change, Json, StoredMail, Unit } from '../../store/index.ts';
import type { ViaEntry } from '../trace/index.ts';
import type { Intake } from './intake.ts';
import { type DeliveryNotes, notesOf, type QueuedDelivery } from './rows.ts';
import type { Progress } from './world.ts';

/** For the unit that says when the deliveries come again. */
export interface PutOff {
  readonly contents: NonNullable<Unit['contents']>;
  /** The same retry, going on from there. */
  goingOn(retry: Change): readonly Change[];
}

/** Writes what the earlier services made, where they made something. `id` of the content: nobody's so far. */
export async function storeProgress(
  intake: Intake,
  mail: StoredMail,
  deliveries: readonly QueuedDelivery[],
  { service, content, via, judged, rewritten }: Progress,
  id: string,
): Promise<PutOff> {
  const stored = content && (await intake.take(id, content));
  const notes = new Map(
    deliveries.map((one): readonly [number, Json] => {
      const before = notesOf(one);
      const made = rewritten.get(one.n);
      const said = judged.get(one.n);
      const after: DeliveryNotes = {
        ...before,
        service,
        via: withoutRepeats(via),
        ...(said && { judged: said }),
        ...(made && { rewritten: { ...before.rewritten, ...made } }),
      };
      return [one.n, after as unknown as Json];
    }),
  );
  return {
    contents: stored === undefined ? [] : [{ mail: mail.id, content: stored }],
    goingOn(retry) {
      if (retry.kind !== 'retry') return [retry];
      const { n, nextMs } = retry;
      const next: Change = { ...retry, notes: notes.get(n) ?? {} };
      return stored === undefined ? [next] : [next, { kind: 'queue', mail: mail.id, n, nextMs, content: id }];
    },
  };
}

/** A service that puts a mail off again and again has one entry for it: the trace has a cap, and others have their place in it. */
function withoutRepeats(via: readonly ViaEntry[]): readonly ViaEntry[] {
  return via.filter(
    (one, i) => one.outcome !== 'delayed' || via[i - 1]?.outcome !== 'delayed' || via[i - 1]?.uri !== one.uri,
  );
}
