/** What a service's run needs to know of its mail: a small window, so that runs and mails can be tested apart. */
import type { Deadlines, Log, MonotonicClock } from '../../base/index.ts';
import type { Part } from '../../profile/index.ts';
import type { OctetStore } from '../content/index.ts';
import type { Failure } from './failure.ts';
import type { ServiceRun } from './service-run.ts';

export interface RunMail {
  readonly id: string;
  readonly log: Log;
  readonly deadlines: Deadlines;
  readonly clock: MonotonicClock;
  /** What is known of the client, in the order of the dialog: IP, then EHLO or HELO. */
  readonly facts: readonly (readonly [Part, string])[];
  /** Where inserted octets go; one store for all services of the mail. */
  readonly inserted: OctetStore;
  /** An answer to the mail data may not be larger. */
  readonly maxAdaptedOctets: number;
  /** MAIL and the accepted RCPTs as they now are, for a service that hears of them late. */
  readonly envelope: { readonly mailArgument: string; readonly rcptArguments: readonly string[] };
  /** A service took some of the data: whoever was held back may go on. */
  onProgress(): void;
  /** A connection was lost with this mail on it; whether it may be tried on another (once a mail). */
  mayRunAgain(): boolean;
  /** Called once when the inserted octets that waited for the disk are written. */
  whenInsertedCaughtUp(then: () => void): void;
  /** MAIL was rewritten by an answer that came when MAIL had been answered already. */
  rewriteSender(run: ServiceRun, argument: string): void;
  runFailed(run: ServiceRun, failure: Failure): void;
  /** Content that we stored cannot be read back. */
  storeFailed(error: Error): void;
  /** An exception out of what a callout server, its connection or a timer brought: the mail fails, and no other. */
  onFault(error: unknown): void;
}
