/**
 * How a callout can fail, and what the operator said shall follow (design D6). A failure never lets a mail through
 * unscanned in silence: `skip` is marked in the trace, counted and logged.
 */
import type { Result } from '../../ocp/index.ts';
import { type Advice, causeOf } from '../../profile/index.ts';
import type { Reply } from '../../smtp/index.ts';
import { reply } from '../../smtp/index.ts';
import type { FailureAction, FailureReason } from '../options.ts';

export interface Failure {
  readonly reason: FailureReason;
  /** For the log and the console, never for the peer. */
  readonly detail: string;
}

/** What a server's failure of a transaction counts as: a `crash`, unless it gives a cause (decision 0062). */
export function reasonOf(result: Result): FailureReason {
  switch (causeOf(result)) {
    case 'overload':
      return 'overload';
    case 'timeout':
      return 'timeout';
    case 'service-unknown':
      // To no service of that name leads any connection: for the mail it is as if nobody listened.
      return 'unreachable';
    case undefined:
      return 'crash';
  }
}

/** What our own callout servers mean by their words, and what an operator can do about it. */
const EXPLAINED: ReadonlyMap<string, string> = new Map([
  ['service-failed', 'its handler failed, and its own log says how'],
  ['part-not-adaptive', 'it wants to refuse or change what it is only shown: permit it (may), or mend it'],
  ['refusal-not-allowed', 'it wants to refuse: permit it (may: [refuse], or [tempfail]), or mend it'],
  [
    'advice-not-allowed',
    'it wants the mail kept aside or put off: permit it (may: [quarantine], or [delay]), or mend it',
  ],
]);

/** The end of a transaction in the server's words. */
export function detailOf(message: 'AME' | 'TE', { code, reason }: Result): string {
  const explained = EXPLAINED.get(reason);
  return `${message} ${code} ${reason}${explained === undefined ? '' : `: ${explained}`}`;
}

/** Actions by which the gateway takes the mail although a service failed: it goes to the store, unscanned, and not on. */
export type AsideAction = Extract<FailureAction, 'quarantine' | 'spool'>;

/** Why a mail is put aside: its service failed, or advised it. */
export type AsideCause = { readonly kind: 'failure'; readonly reason: FailureReason } | Advice;

export function isAside(action: FailureAction): action is AsideAction {
  return action === 'quarantine' || action === 'spool';
}

/** What the client is told when a failure ends its mail. The text names no service: who filters here is not the peer's business. */
export function failureReply(action: Exclude<FailureAction, 'skip' | AsideAction>): Reply {
  switch (action) {
    case 'tempfail':
      return reply(451, '4.7.1', 'Message content or envelope could not be checked now; try again later');
    case 'reject':
      return reply(554, '5.7.1', 'Message content or envelope could not be checked; not accepted');
  }
}
