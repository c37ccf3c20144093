/**
 * The last word on each recipient of a mail, where its client hears one for each: over LMTP (RFC 2033, 4.2), or because it
 * asked for that (PRDR). The word that came first stays: who has the mail has it, whatever becomes of the others.
 */
import type { MailCommand, Reply } from '../../smtp/index.ts';
import { isAccepted, type MailRecipient } from './envelope.ts';
import type { Leg } from './leg.ts';
import type { SessionView } from './session-view.ts';
import type { Variant } from './variant.ts';

export function hearsEach({ listener }: SessionView, { params }: MailCommand): boolean {
  return listener.protocol === 'lmtp' || params.has('PRDR');
}

/** One word on several, those left out who have theirs. */
export function settleAll(recipients: readonly MailRecipient[], reply: Reply): void {
  for (const recipient of recipients) recipient.final ??= reply;
}

/** What a hop answered: for each of its recipients (LMTP), or `reply` for all of them. */
export function settleLeg({ recipients }: Leg, reply: Reply, each?: readonly (Reply | undefined)[]): void {
  for (const [i, recipient] of recipients.entries()) if (isAccepted(recipient)) recipient.final ??= each?.[i] ?? reply;
}

/** What the client hears, in the order of its RCPTs, which is that of their tickets; `rest` of whom nothing was said. */
export function closeEach(variants: readonly Variant[], rest: Reply): Reply[] {
  const accepted = variants.flatMap((variant) => variant.accepted);
  settleAll(accepted, rest);
  return accepted.sort((a, b) => a.ticket - b.ticket).map(({ final = rest }) => final);
}
