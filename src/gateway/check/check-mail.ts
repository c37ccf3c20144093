/**
 * `opes check`: one mail through the real dispatcher, rules and services, with a next hop that takes everything and sends
 * nothing on. What is reported is what the mail's own record says, so that the check cannot drift from the real thing.
 */
import {
  isPositive,
  overallReply,
  parseMailArgument,
  parseRcptArgument,
  type Reply,
  replies,
  reply,
} from '../../smtp/index.ts';
import { submissionRefusal } from '../auth/submission.ts';
import { isAccepted } from '../dialog/envelope.ts';
import { Inquiry, type InquiryAnswer } from '../dialog/inquiry.ts';
import { Mail } from '../dialog/mail.ts';
import { addressFacts, mailFacts } from '../dialog/mail-facts.ts';
import { makeSessionView, type SessionOrigin } from '../dialog/session-view.ts';
import type { MailPeer, MailWorld } from '../dialog/world.ts';
import {
  type CheckReport,
  type CheckRequest,
  type DecisionRecord,
  type GatewayOptions,
  type KeptRecord,
  type MailRecord,
  showNextHop,
} from '../options.ts';
import type { Acceptance, SpoolPort, SpoolRecipient, SpoolVariant } from '../spool/port.ts';
import { holdReason } from '../spool/rows.ts';
import { AcceptingRelay } from './accepting-relay.ts';

/** Answers by ticket, and whoever waits for one. */
class Replies implements MailPeer {
  each: readonly Reply[] | undefined;
  readonly #waiting = new Map<number, (answer: Reply) => void>();
  #tickets = 0;

  ask(command: (ticket: number) => void): Promise<Reply> {
    const ticket = ++this.#tickets;
    return new Promise((resolve) => {
      this.#waiting.set(ticket, resolve);
      command(ticket);
    });
  }

  answer(ticket: number, answer: Reply): void {
    const then = this.#waiting.get(ticket);
    this.#waiting.delete(ticket);
    then?.(answer);
  }

  answerEach(ticket: number, each: readonly Reply[]): void {
    this.each = each;
    this.answer(ticket, overallReply(each));
  }

  go(ticket: number): void {
    this.answer(ticket, replies.goAhead);
  }

  pauseContent(): void {}

  resumeContent(): void {}
}

interface Kept extends KeptRecord {
  /** The service that it waits for. */
  readonly failed?: string | undefined;
}

/** A spool that takes every mail and does nothing with it but to say what it would have done. */
class TakesAll implements SpoolPort {
  readonly mode = 'inline';
  readonly isFull = false;
  readonly hasNotice: boolean;
  /** By the recipient as the client named it. */
  readonly kept = new Map<string, Kept>();

  constructor(hasNotice: boolean) {
    this.hasNotice = hasNotice;
  }

  accept(acceptance: Acceptance, done: (error: Error | undefined) => void): void {
    for (const variant of acceptance.variants)
      for (const recipient of variant.recipients)
        this.kept.set(recipient.named ?? recipient.argument.slice(1, -1), becomes(recipient, variant));
    queueMicrotask(() => {
      done(undefined);
      acceptance.dispose();
    });
  }
}

function becomes({ fate }: SpoolRecipient, { resume, lane }: SpoolVariant): Kept {
  switch (fate.kind) {
    case 'hold':
      return { where: 'quarantine', what: `held by ${fate.service} (${holdReason(fate.reason, fate.words)})` };
    case 'delay': {
      const what = `shown to ${resume?.service} again in ${fate.forMs / 1000} s, and passed on when that says so`;
      return { where: 'spool', what };
    }
    case 'refused':
      return { where: 'report', what: `${fate.service} refused it` };
    case 'deliver':
      return lane === 'adapt' ? waitsFor(resume?.service) : { where: 'spool', what: 'delivered from the queue' };
  }
}

function waitsFor(service: string | undefined): Kept {
  return { where: 'spool', what: `waits for ${service}, which failed`, failed: service };
}

/** A service failed before there was any content: what would become of the mail when it came. */
function becomesLater(mail: Mail, kept: Map<string, Kept>): void {
  for (const { chain, accepted } of mail.variants) {
    const aside = chain.asideToCome;
    if (aside === undefined) continue;
    const { service, action, reason } = aside;
    const record: Kept =
      action === 'spool' ? waitsFor(service) : { where: 'quarantine', what: `held by ${service} (${reason})` };
    for (const { command } of accepted) kept.set(command.forwardPath.text, record);
  }
}

export async function checkMail(
  world: MailWorld,
  { listeners, queue }: Pick<GatewayOptions, 'listeners' | 'queue'>,
  request: CheckRequest,
): Promise<CheckReport> {
  const listener =
    request.listener === undefined ? listeners[0] : listeners.find(({ name }) => name === request.listener);
  if (listener === undefined) throw new Error(`there is no listener '${request.listener}'`);
  const decision: DecisionRecord[] = [];
  const presented: SessionOrigin = {
    id: 'check',
    listener,
    clientAddress: request.client,
    verb: 'EHLO',
    helo: request.helo,
    tls: false,
    user: request.user ?? '',
  };
  const { greeting, calls } = await greet(world, presented, decision);
  const session = makeSessionView(world.hostname, { ...presented, greeting });
  let record: MailRecord | undefined;
  const spool = new TakesAll(queue.notice);
  const checked: MailWorld = {
    ...world,
    relay: new AcceptingRelay(),
    spool,
    keep: (kept) => (record = kept),
  };
  const routes: Omit<CheckReport['routes'][number], 'kept'>[] = [];

  const peer = new Replies();
  const from = parseMailArgument(`<${request.from}>`);
  if (from.kind !== 'got')
    throw new Error(`'${request.from}' is no address (${from.kind === 'bad' ? from.rule : 'cut off'})`);
  const sender = { argument: `<${request.from}>`, reversePath: from.value.path, params: new Map() };
  const user = listener.auth?.users.find(({ name }) => name === request.user);
  const submitter = { name: request.user ?? '', user, peerAddress: request.client };
  const refusal = submissionRefusal(listener, submitter, sender.reversePath);
  if (refusal !== undefined) {
    const said = `${refusal.code} ${refusal.enhanced} ${refusal.text[0]}`;
    throw new Error(`MAIL from this client is refused on listener "${listener.name}": ${said}`);
  }
  const mail = new Mail(checked, session, peer, 1, sender, () => {});
  const mailReply = await peer.ask((ticket) => mail.begin(ticket));
  for (const to of isPositive(mailReply) ? request.to : []) {
    const parsed = parseRcptArgument(`<${to}>`);
    if (parsed.kind !== 'got')
      throw new Error(`'${to}' is no address (${parsed.kind === 'bad' ? parsed.rule : 'cut off'})`);
    const path = parsed.value.path;
    const plan = world.dispatcher.atRecipient(mailFacts(session, sender.reversePath), addressFacts(path), decision);
    const answer = await peer.ask((ticket) =>
      mail.rcpt({ argument: `<${to}>`, forwardPath: path, params: new Map() }, ticket),
    );
    const hop = plan?.route.nextHop;
    routes.push({ recipient: to, nextHop: hop === undefined ? undefined : showNextHop(hop), reply: answer });
  }
  const { content } = request;
  let atData: DecisionRecord[] = [];
  if (content === undefined) becomesLater(mail, spool.kept);
  else if (routes.some((route) => route.reply !== undefined && isPositive(asReply(route.reply)))) {
    const go = await peer.ask((ticket) => mail.data(ticket));
    if (go.code === 354) {
      mail.content(Buffer.from(content.buffer, content.byteOffset, content.byteLength));
      await peer.ask((ticket) => mail.contentEnd(ticket, false));
      const { facts, envelope } = mail;
      const message = mail.messageFacts();
      const accepted = envelope.recipients.filter(isAccepted);
      atData = accepted.flatMap(({ command }) =>
        world.dispatcher.decideAtData(facts, addressFacts(command.forwardPath), message),
      );
    }
  }
  mail.reset('checked');
  if (record === undefined) throw new Error('the mail ended without a record');
  // With the message at hand there is an answer to what was left open at the recipients.
  const isJudged = ({ stage }: DecisionRecord): boolean => atData.length > 0 && stage === 'data';
  const all = [...decision.filter((one) => !isJudged(one)), ...atData];
  const whole = {
    ...record,
    calls: [...calls.map((call) => call.record()), ...record.calls],
    edits: [...calls.flatMap((call) => call.editRecords()), ...record.edits],
  };
  const ways = routes.map((route) => ({ ...route, kept: withReason(spool.kept.get(route.recipient), whole.calls) }));
  return { decision: all, routes: ways, each: byRecipient(routes, peer.each), mail: whole };
}

/** The record of the service that failed says why it did. */
function withReason(kept: Kept | undefined, calls: MailRecord['calls']): KeptRecord | undefined {
  if (kept === undefined) return undefined;
  const { where, what, failed } = kept;
  const call = calls.find(({ service, verdict }) => service === failed && verdict === 'failed');
  return { where, what: call === undefined ? what : `${what} (${call.detail})` };
}

/** What services that are asked about EHLO make of it. Rejects where the client would not get as far as a mail. */
async function greet(
  world: MailWorld,
  presented: SessionOrigin,
  decision: DecisionRecord[],
): Promise<Pick<SessionOrigin, 'greeting'> & Pick<Inquiry, 'calls'>> {
  const view = makeSessionView(world.hostname, presented);
  const steps = world.dispatcher.atCommand('EHLO', view.facts, decision);
  if (steps.length === 0) return { greeting: undefined, calls: [] };
  const { promise, resolve } = Promise.withResolvers<InquiryAnswer>();
  const facts = view.parts.filter(([part]) => part === 'IP');
  const inquiry = new Inquiry(world, view, 0, { part: 'EHLO', argument: view.helo, facts }, steps, resolve);
  inquiry.ask();
  const answer = await promise;
  if (answer.kind === 'passed') return { greeting: { helo: answer.argument, via: answer.via }, calls: inquiry.calls };
  const { code, enhanced, text } = answer.reply;
  throw new Error(`EHLO ${presented.helo} from this client is refused: ${code} ${enhanced} ${text.join(' / ')}`);
}

/** The last word on each recipient that was accepted, in their order. */
function byRecipient(
  routes: readonly Pick<CheckReport['routes'][number], 'recipient' | 'reply'>[],
  each: readonly Reply[] | undefined,
): CheckReport['each'] {
  const accepted = routes.filter((route) => route.reply !== undefined && isPositive(asReply(route.reply)));
  return each?.map((said, i) => ({ recipient: accepted[i]?.recipient ?? '', reply: said }));
}

function asReply(from: {
  readonly code: number;
  readonly enhanced: string | undefined;
  readonly text: readonly string[];
}): Reply {
  return reply(from.code, from.enhanced, ...from.text);
}
