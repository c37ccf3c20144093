/**
 * The `Cause` of a transaction that a callout server ends with a failure (docs/spec/opes-smtp.md, section 8.3), or of an ability it
 * has not (section 5.6): what a processor can act on. The reason beside it is for people, and no program reads it (RFC 4037, section 10.10).
 */
import type { Result } from '../ocp/index.ts';

/**
 * - `overload`: no room or no time for it now; it may come again
 * - `timeout`: the service took longer than the server gives it
 * - `service-unknown`: the group, or the query, names a service that the server does not have
 */
export type Cause = 'overload' | 'timeout' | 'service-unknown';

const CAUSES: readonly string[] = ['overload', 'timeout', 'service-unknown'] satisfies readonly Cause[];

/** The cause; `undefined` where there is none, or none we know. */
export function causeOf({ cause }: Pick<Result, 'cause'>): Cause | undefined {
  return cause !== undefined && CAUSES.includes(cause) ? (cause as Cause) : undefined;
}
