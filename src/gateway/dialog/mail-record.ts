/** What is told of a mail when it is over: one log line, and one record for the console. */
import { printable } from '../../base/index.ts';
import { type Reply, replies } from '../../smtp/index.ts';
import type { Content, Source } from '../content/index.ts';
import { type MailOutcome, type MailRecord, type ReplyRecord, showNextHop } from '../options.ts';
import type { MailRecipient } from './envelope.ts';
import type { Mail } from './mail.ts';
import type { Variant } from './variant.ts';
import type { MailWorld } from './world.ts';

const NONE: MailRecord['deliveries'] = [];

/** What the client heard of a recipient last. */
function lastWord({ final, reply }: MailRecipient): Reply | undefined {
  return final ?? reply;
}

function toText(one: MailRecipient): string {
  return `${printable(one.command.forwardPath.text, 400)} ${lastWord(one)?.code ?? '-'}`;
}

/** The operator's one line a mail (design, section 9). */
export function summarise(
  mail: Mail,
  world: MailWorld,
  outcome: MailOutcome,
  reply: Reply | undefined,
  cause?: string,
): void {
  const { variants, envelope, session, bypassText } = mail;
  const allVariants = variants.everMade;
  const ms = world.clock() - mail.startedMs;
  countMail(mail, world, outcome, ms);
  const relayedSender = variants.all[0]?.sender.rewritten;
  const services = allVariants.length === 1 ? allVariants[0]?.chain.summary() : allVariants.map(variantSummary);
  // One shape of object for every mail; the log leaves out what is undefined.
  world.log.info('mail', {
    mail: mail.id,
    client: session.clientAddress,
    helo: session.printableHelo,
    heloAs: session.greeting === undefined ? undefined : printable(session.greeting.helo),
    listener: session.listener.name,
    user: session.user === '' ? undefined : printable(session.user),
    from: printable(envelope.command.reversePath?.text ?? '<>', 400),
    relayedFrom: relayedSender === undefined ? undefined : printable(relayedSender, 400),
    to: envelope.recipients.map(toText),
    moreRecipients: envelope.unlisted === 0 ? undefined : envelope.unlisted,
    size: mail.original?.size ?? 0,
    relayedSize: mail.handOver.released?.size ?? 0,
    bypass: bypassText === undefined ? undefined : printable(bypassText, 400),
    services: services === undefined || services.length === 0 ? undefined : services,
    nextHop: nextHopOf(mail, outcome),
    outcome,
    cause,
    reply: reply === undefined ? undefined : printable(`${reply.code} ${reply.enhanced ?? ''} ${reply.text[0] ?? ''}`),
    ms: Math.round(ms),
  });
}

function countMail(mail: Mail, world: MailWorld, outcome: MailOutcome, ms: number): void {
  const { counts } = world;
  counts.ended(mail.id, outcome, ms, mail.original?.size ?? 0, mail.handOver.released?.size ?? 0);
  for (const one of mail.envelope.recipients) counts.recipient(lastWord(one)?.code ?? 0);
  for (const { chain } of mail.variants.everMade) chain.count();
}

export function makeRecord(mail: Mail, world: MailWorld, outcome: MailOutcome, reply: Reply | undefined): MailRecord {
  const tookMs = world.clock() - mail.startedMs;
  const { variants, envelope, session, handOver } = mail;
  const { released } = handOver;
  const allVariants = variants.everMade;
  const nextHop = nextHopOf(mail, outcome);
  const first = variants.all[0];
  return {
    id: mail.id,
    atMs: world.wallClock() - tookMs,
    tookMs,
    listener: session.listener.name,
    side: session.listener.side,
    client: { address: session.clientAddress, helo: session.helo, tls: session.tls },
    sender: envelope.command.reversePath?.text ?? '',
    relayedSender: first?.sender.rewritten,
    recipients: envelope.recipients.map((one) => ({
      address: one.command.forwardPath.text,
      relayedAs: one.relayedAs,
      reply: lastWord(one),
    })),
    sizeBefore: mail.original?.size ?? 0,
    sizeAfter: released?.size ?? 0,
    before: copyStart(mail.original, world.keepOctets),
    after: copyStart(released, world.keepOctets),
    calls: allVariants.flatMap(({ chain }) => chain.callRecords()),
    edits: allVariants.flatMap(({ chain }) => chain.editRecords()),
    trace: released === undefined || first === undefined ? [] : traceLines(first.traceBlock(first.chain.via())),
    nextHop:
      nextHop === undefined
        ? undefined
        : {
            address: nextHop,
            wasSent: handOver.wasRelayed,
            reply: nextHopReply(outcome, reply),
            tookMs: handOver.relayMs,
          },
    reply,
    outcome,
    deliveries: NONE,
  };
}

function variantSummary({ chain, accepted }: Variant): string {
  return `${accepted.length} to: ${chain.summary().join(', ')}`;
}

/** Only what is still in memory: a record is worth a copy, not a read from the disk. */
function copyStart(from: Source | Content | undefined, max: number): Uint8Array | undefined {
  // None is kept where none is to be shown.
  if (from === undefined || max === 0) return undefined;
  const views = from.view(0, Math.min(from.size, max));
  return views === undefined ? undefined : new Uint8Array(Buffer.concat(views));
}

/** Where it was to go; several, where they had it each and the client heard of each. */
function nextHopOf({ variants: { all, onlyLeg } }: Mail, outcome: MailOutcome): string | undefined {
  if (onlyLeg !== undefined) return onlyLeg.wasAsked ? showNextHop(onlyLeg.route.nextHop) : undefined;
  if (outcome !== 'relayed') return undefined;
  const sent = all.filter(({ verdict }) => verdict?.kind === 'release').flatMap(({ legs }) => legs);
  return [...new Set(sent.map(({ route }) => showNextHop(route.nextHop)))].join(', ');
}

/** Where recipients fared differently, the reply for all is ours. */
function nextHopReply(outcome: MailOutcome, reply: Reply | undefined): ReplyRecord | undefined {
  return outcome === 'relayed' && reply !== replies.acceptedForSome ? reply : undefined;
}

/** The fields of our block, unfolded. */
function traceLines(block: Buffer): string[] {
  const text = block.toString('latin1').trimEnd();
  return text.replace(/\r\n[ \t]+/g, ' ').split('\r\n');
}

/** Of a mail that was not taken. */
export function outcomeOf(answer: Reply): MailOutcome {
  return answer.code >= 500 ? 'refused' : 'tempfailed';
}
