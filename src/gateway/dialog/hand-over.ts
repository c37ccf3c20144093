/**
 * What becomes of a mail that one transaction with one next hop cannot serve, or must not: stored whole, with its own end
 * for each recipient, or refused whole. A pure decision over the variants' verdicts.
 *
 * Refused as a whole: when every variant was refused, and when one of them was refused for now: the client keeps the mail
 * and tries again, so that no recipient is told of a fault of ours. What is left are variants that passed beside others
 * that were refused for good. Telling that by a report would hit whoever was named as sender, so only one we know to be
 * the sender gets one; else those recipients' copy is kept aside (design D19).
 */
import { isPositive, type Reply, writePath } from '../../smtp/index.ts';
import type { DataVerdict } from '../callouts/chain.ts';
import type { Content } from '../content/index.ts';
import type { Fate, SpoolRecipient, SpoolVariant } from '../spool/port.ts';
import { type MailRecipient, relayedArgument, relayedPath } from './envelope.ts';
import type { Variant } from './variant.ts';

export type HandOver =
  | { readonly kind: 'refuse'; readonly reply: Reply }
  | { readonly kind: 'store'; readonly variants: readonly SpoolVariant[] };

interface Judged {
  readonly variant: Variant;
  readonly verdict: DataVerdict;
  readonly accepted: readonly MailRecipient[];
}

/** `original`: the message as the client sent it. `isSenderKnown`: it proved to be the one it names. */
export function decideHandOver(variants: readonly Variant[], original: Content, isSenderKnown: boolean): HandOver {
  const judged: Judged[] = [];
  for (const variant of variants) {
    const { verdict, accepted } = variant;
    if (verdict !== undefined && accepted.length > 0) judged.push({ variant, verdict, accepted });
  }
  const refusals = judged.flatMap(({ verdict }) => (verdict.kind === 'refused' ? [verdict.reply] : []));
  const forNow = refusals.find(({ code }) => code < 500);
  const forGood = refusals[0];
  if (forNow !== undefined) return { kind: 'refuse', reply: forNow };
  if (forGood !== undefined && refusals.length === judged.length) return { kind: 'refuse', reply: forGood };
  return { kind: 'store', variants: judged.map((one) => spoolVariant(one, original, isSenderKnown)) };
}

function spoolVariant({ variant, verdict, accepted }: Judged, original: Content, isSenderKnown: boolean): SpoolVariant {
  const { path, hopParameters, rewritten, command } = variant.sender;
  const namedSender = rewritten === undefined ? {} : { namedSender: writePath(command.reversePath) };
  const envelope = { reversePath: path, params: hopParameters, ...namedSender };
  const to = (fate: Fate): SpoolRecipient[] =>
    accepted.map((recipient) => ({
      argument: relayedArgument(recipient),
      domain: domainOf(recipient),
      named: recipient.relayedAs === undefined ? undefined : recipient.command.forwardPath.text,
      fate,
    }));
  switch (verdict.kind) {
    case 'release': {
      const content = variant.release(verdict.base);
      return { ...envelope, content, lane: 'relay', resume: undefined, recipients: to({ kind: 'deliver' }) };
    }
    case 'refused': {
      const service = variant.chain.refusedBy ?? '';
      const fate: Fate = isSenderKnown
        ? { kind: 'refused', service, reply: verdict.reply }
        : { kind: 'hold', service, reason: 'refused' };
      const resume = { service: undefined, via: [] };
      return { ...envelope, content: original, lane: 'adapt', resume, recipients: to(fate) };
    }
    case 'aside': {
      const { action, service, reason, base, via } = verdict;
      // What is held is the mail as it came; what is tried again goes on where it stopped.
      if (action === 'spool')
        return {
          ...envelope,
          content: base,
          lane: 'adapt',
          resume: { service, via },
          recipients: to({ kind: 'deliver' }),
        };
      const resume = { service: undefined, via: [] };
      return {
        ...envelope,
        content: original,
        lane: 'adapt',
        resume,
        recipients: to({ kind: 'hold', service, reason }),
      };
    }
  }
}

function domainOf(recipient: MailRecipient): string {
  return relayedPath(recipient).domain;
}

/** The one reply for a mail none of whose variants can go on; `undefined` where one can. */
export function commonRefusal(replies: readonly (Reply | undefined)[]): Reply | undefined {
  let first: Reply | undefined;
  for (const reply of replies) {
    if (reply === undefined || isPositive(reply)) return undefined;
    if (first === undefined || (first.code >= 500 && reply.code < 500)) first = reply;
  }
  return first;
}
