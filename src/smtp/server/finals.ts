/**
 * The replies behind the end of the data, where there are several: one for each accepted recipient, in the order of their
 * RCPTs.
 *
 *     LMTP (RFC 2033, 4.2)     a reply for each
 *     PRDR (draft-hall-prdr)   353 as soon as the content is there, a reply for each, a reply for the mail
 *
 * What PRDR looks like on the wire is Exim's (src/receive.c, transports/smtp.c), the one that speaks it: with a single
 * recipient accepted, and for content that is refused before anybody looks into it, there is one reply as in SMTP. The
 * reply for the mail decides over those before it there (a 5yz fails everybody), so it is positive if one of them is.
 */
import { replies } from '../replies.ts';
import { isPositive, isTransient, type Reply, withEnhanced } from '../reply.ts';
import type { ServerOptions } from './options.ts';
import type { Envelope } from './state.ts';

/** Of one mail with several replies. */
export interface Finals {
  readonly isPrdr: boolean;
  /** Recipients accepted: at least two. */
  readonly count: number;
}

/** Undefined: there is one reply. */
export function finalsOf({ protocol }: ServerOptions, { prdr, accepted }: Envelope): Finals | undefined {
  if (accepted < 2) return undefined;
  return protocol === 'lmtp' || prdr ? { isPrdr: prdr, count: accepted } : undefined;
}

/** What is written for the handler's word on each recipient; where it said too little, the mail is kept by the client. */
export function finalReplies({ isPrdr, count }: Finals, each: readonly Reply[]): Reply[] {
  const all = Array.from({ length: count }, (_, i) => withEnhanced(each[i] ?? replies.noVerdict));
  if (isPrdr) all.push(overallReply(all));
  return all;
}

/** The same word on everybody, whether it comes before the 353 of PRDR or behind. */
export function sameReplies({ isPrdr, count }: Finals, reply: Reply, isBegun: boolean): Reply[] {
  if (isPrdr && !isBegun) return [reply];
  return Array.from({ length: isPrdr ? count + 1 : count }, () => reply);
}

/** One reply for what became of several recipients: positive if one was accepted, else to come again if one may. */
export function overallReply(each: readonly Reply[]): Reply {
  const [first = replies.noVerdict] = each;
  if (each.every(isPositive)) return first;
  return each.some(isPositive) ? replies.acceptedForSome : (each.find(isTransient) ?? first);
}
