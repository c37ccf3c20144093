/**
 * What becomes of a mail that one transaction with one next hop cannot serve, or must not: stored whole, with its own end
 * for each recipient, or refused whole. A pure decision over the variants' verdicts.
 *
 * Refused as a whole: when every variant was refused, and when one of them was refused for now: the client keeps the mail
 * and tries again, so that no recipient is told of a fault of ours. What is left are variants that passed beside others
 * that were refused for good. Telling that by a report would hit whoever was named as sender, so only one we know to be
 * the sender gets one; else those recipients' copy is kept aside (design D19). Where the client hears a reply for each
 * recipient, variants that were refused do not come here: it was told.
 */
import { isPositive, type Reply, writePath } from '../../smtp/index.ts';
import type { DataVerdict } from '../callouts/chain.ts';
import type { AsideCause } from '../callouts/failure.ts';
import type { Content } from '../content/index.ts';
import type { Fate, SpoolRecipient, SpoolVariant } from '../spool/port.ts';
import { type MailRecipient, relayedPath, storedArgument } from './envelope.ts';
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
  const to = (fate: Fate, content = original): SpoolRecipient[] =>
    accepted.map((recipient) => ({
      argument: storedArgument(recipient),
      domain: domainOf(recipient),
      named: recipient.relayedAs === undefined ? undefined : recipient.command.forwardPath.text,
      // Rules are judged on the message as the client sent it, and what goes on later is another one.
      judged: content === original ? undefined : variant.judge(recipient),
      fate,
    }));
  switch (verdict.kind) {
    case 'release': {
      const content = variant.release(verdict.base);
      return { ...envelope, content, lane: 'relay', resume: undefined, recipients: to({ kind: 'deliver' }) };
    }
    case 'refused': {
      const { service, because } = variant.chain.stoppedBy ?? { service: '', because: 'verdict' };
      // A failure is no verdict on what somebody may have written in another's name.
      const fate: Fate =
        isSenderKnown || because === 'failure'
          ? { kind: 'refused', service, because, reply: verdict.reply }
          : { kind: 'hold', service, reason: 'refused' };
      const resume = { service: undefined, via: [] };
      return { ...envelope, content: original, lane: 'adapt', resume, recipients: to(fate) };
    }
    case 'aside': {
      const { action, service, cause, base, via, late } = verdict;
      // What is held is the mail as it came; what is tried again, or put off, goes on where it stopped.
      if (action === 'spool') {
        const fate: Fate =
          cause.kind === 'delay' ? { kind: 'delay', forMs: cause.seconds * 1000 } : { kind: 'deliver' };
        return {
          ...envelope,
          content: base,
          lane: 'adapt',
          resume: { service, via, late },
          recipients: to(fate, base),
        };
      }
      const resume = { service: undefined, via: [] };
      const recipients = to(holdOf(service, cause));
      return { ...envelope, content: original, lane: 'adapt', resume, recipients };
    }
  }
}

function holdOf(service: string, cause: AsideCause): Fate {
  if (cause.kind === 'failure') return { kind: 'hold', service, reason: cause.reason };
  return { kind: 'hold', service, reason: 'verdict', words: cause.reason };
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

export function refusalOf({ verdict }: Variant): Reply | undefined {
  return verdict?.kind === 'refused' ? verdict.reply : undefined;
}

/** `open`: a verdict is still to come. `aside`: there is something to store. `passed`: no other than released and refused. */
export function standingOf(variants: readonly Variant[]): 'open' | 'refused' | 'aside' | 'passed' {
  let standing: 'refused' | 'aside' | 'passed' = 'refused';
  for (const { verdict } of variants) {
    if (verdict === undefined) return 'open';
    if (verdict.kind === 'aside') standing = 'aside';
    else if (verdict.kind === 'release' && standing === 'refused') standing = 'passed';
  }
  return standing;
}

/** Set aside for an operator. */
export function isHeld({ verdict }: Variant): boolean {
  return verdict?.kind === 'aside' && verdict.action === 'quarantine';
}

/** Why no hop takes content any more, where none does. */
export function lostHops(variants: readonly Variant[]): Reply | undefined {
  let first: Reply | undefined;
  for (const { legs } of variants) {
    for (const { lost } of legs) {
      if (lost === undefined) return undefined;
      first ??= lost;
    }
  }
  return first;
}
