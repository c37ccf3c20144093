/** How a transaction of ours fails, as TE says it. */
import { failure, type Result } from '../ocp/index.ts';
import type { Cause } from '../profile/index.ts';

/** What a processor can act on; anything else is a fault of the service, or of what it was sent. */
const CAUSES: ReadonlyMap<string, Cause> = new Map([
  ['no-memory', 'overload'],
  ['time-limit', 'timeout'],
  ['service not here', 'service-unknown'],
]);

/** The result of a transaction that failed for `reason`. */
export function failed(reason: string): Result {
  return failure(reason, CAUSES.get(reason));
}
