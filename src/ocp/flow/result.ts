import type { Result } from '../codec/index.ts';
import type { Rule } from './rules.ts';

export interface ConnectionEnd {
  /** Who ended it: a CE of the peer, a CE of ours, or a transport that went away without one (counts as failure). */
  readonly by: 'peer' | 'us' | 'transport';
  readonly result: Result;
  /** The rule the peer broke, if we ended it for that. */
  readonly rule?: Rule;
}

export interface TransactionEnd {
  readonly by: 'peer' | 'us' | 'connection';
  readonly result: Result;
  /** The rule the peer broke, if we ended it for that. */
  readonly rule?: Rule;
  /** The peer ended it with success although its flow was still open: what it sent is no whole message. */
  readonly incomplete?: true;
}

/** A flow cut short with its owner's consent; means something in AME only (RFC 4037, section 10.10). */
export const PARTIAL: Result = { code: 206, reason: 'partial' };

/** `cause`: what a processor may act on, as the profile names it; the reason is for people. */
export function failure(reason: string, cause?: string): Result {
  return cause === undefined ? { code: 400, reason } : { code: 400, reason, cause };
}

/**
 * Whether the receiver of `result` has to act as for 400. An unknown code counts as failure (section 10.10), and 206 is
 * known in AME only.
 */
export function isFailure(result: Result, where: 'AME' | 'TE' | 'CE'): boolean {
  return result.code !== 200 && !(where === 'AME' && result.code === 206);
}
