/** How a transaction of ours fails, as TE says it. */
import { failure, type Result } from '../ocp/index.ts';
import type { Cause, Part } from '../profile/index.ts';

/** What a processor can act on; anything else is a fault of the service, or of what it was sent. */
const CAUSES: ReadonlyMap<string, Cause> = new Map([
  ['no-memory', 'overload'],
  ['time-limit', 'timeout'],
  ['service not here', 'service-unknown'],
]);

/** Verdicts a processor does not take of this service, by the reason its TE gives; the words are for the service's log. */
const NOT_TAKEN = {
  'part-not-adaptive': 'takes neither a refusal nor a change here (opes: see may: of the service)',
  'refusal-not-allowed': 'takes no refusal here (opes: may: [refuse], or [tempfail])',
  'advice-not-allowed': 'has no mail kept aside or put off (opes: may: [quarantine], or [delay])',
} as const;

type NotTaken = keyof typeof NOT_TAKEN;

/** The handler did nothing wrong: what it wants has to be permitted. */
export class VerdictNotTaken extends Error {
  readonly reason: NotTaken;

  constructor(reason: NotTaken, part: Part) {
    super(`${part}: the processor ${NOT_TAKEN[reason]}`);
    this.reason = reason;
  }
}

/** The result of a transaction that failed for `reason`. */
export function failed(reason: string): Result {
  return failure(reason, CAUSES.get(reason));
}
