/**
 * One mail, from MAIL to the reply to its content.
 *
 *     envelope --DATA--> content --final dot--> adapting --all services ended--> relaying --hop's answer--> over
 *         |                 |                      |                    `------> storing --durable--------> over
 *         +---- RSET, client gone, deadline, refusal by a service or a policy ------+----------------------> over
 *
 * Its recipients are divided into variants by the services they meet (`variant.ts`), and those into legs by their next hop
 * (`leg.ts`). One variant with one leg is relayed inline; anything else is stored before the client has its 250. A client
 * that hears each recipient (`each-reply.ts`) has every leg relayed inline, and hears who was refused. Which of these it is, and
 * what is done for it, is `mail-hand-over.ts`'s.
 *
 * Every way to `over` releases the services, gives the hops up or back, frees what was stored and writes one log line.
 */
import { Armed, type Deadline } from '../../base/index.ts';
import { isPositive, type MailCommand, overallReply, type RcptCommand, type Reply, replies } from '../../smtp/index.ts';
import {
  type CommandRequest,
  type HeaderRequest,
  MailBypass,
  partMail,
  partRcpt,
  requesterOf,
} from '../bypass/index.ts';
import type { DataVerdict } from '../callouts/chain.ts';
import type { OctetStore } from '../content/index.ts';
import type { MailFacts } from '../dispatch/facts.ts';
import { type MailOutcome, showNextHop } from '../options.ts';
import type { MessageFacts } from '../rules/index.ts';
import { addTraceToReply, traceReplyLine, type ViaEntry } from '../trace/index.ts';
import { closeEach } from './each-reply.ts';
import { Envelope, type MailRecipient, wantsSuccess } from './envelope.ts';
import { commonRefusal } from './hand-over.ts';
import type { Leg } from './leg.ts';
import { MailClient } from './mail-client.ts';
import { addressFacts, mailFacts, messageFacts } from './mail-facts.ts';
import { MailFault } from './mail-fault.ts';
import { type HandedMail, MailHandOver } from './mail-hand-over.ts';
import { MailHeader } from './mail-header.ts';
import { makeRecord, outcomeOf, summarise } from './mail-record.ts';
import { MailStores, type MailStoresEvents } from './mail-stores.ts';
import { MailVariants, type VariedMail } from './mail-variants.ts';
import { gatewayReplies } from './replies.ts';
import { Sender } from './sender.ts';
import type { SessionView } from './session-view.ts';
import type { Variant } from './variant.ts';
import type { MailPeer, MailWorld } from './world.ts';

type State = 'envelope' | 'content' | 'adapting' | 'relaying' | 'storing' | 'over';

/** Octets that may wait for a service before the client is held back. */
const MAX_BACKLOG = 1024 * 1024;

export class Mail implements VariedMail, HandedMail, MailStoresEvents, Deadline {
  readonly id: string;
  readonly world: MailWorld;
  readonly session: SessionView;
  readonly envelope: Envelope;
  readonly facts: MailFacts;
  readonly header: MailHeader;
  readonly startedMs: number;
  readonly variants: MailVariants;
  readonly handOver: MailHandOver;
  readonly earlierVia: readonly ViaEntry[] = NOTHING;
  readonly judged = undefined;
  readonly #client: MailClient;
  readonly #onOver: () => void;
  readonly #timer: Armed;
  #state: State = 'envelope';
  // Content.
  readonly #stores: MailStores;
  #refusal: Reply | undefined;
  #timesLost = 0;
  /** What is asked of OPES processors, where something is. */
  readonly #request: CommandRequest | undefined;
  #bypass: MailBypass | undefined;

  constructor(
    world: MailWorld,
    session: SessionView,
    peer: MailPeer,
    n: number,
    command: MailCommand,
    onOver: () => void,
  ) {
    this.id = `${session.id}.${n}`;
    this.world = world;
    this.session = session;
    const parted = partMail(command);
    this.#request = parted?.request;
    this.envelope = new Envelope(parted?.command ?? command);
    this.facts = mailFacts(session, command.reversePath);
    this.header = new MailHeader(world.headerLimits);
    this.startedMs = world.clock();
    this.variants = new MailVariants(this);
    this.#client = new MailClient(peer, session, command);
    this.#onOver = onOver;
    this.#timer = new Armed(this);
    this.#stores = new MailStores(world, this);
    this.handOver = new MailHandOver(this, this.#client, this.#stores);
    if (this.#request !== undefined) this.#bypass = this.#bypassing();
  }

  // --- what the record shows ----------------------------------------------------------------------------------------

  /** What the client sent of the content. */
  get original(): OctetStore | undefined {
    return this.#stores.original;
  }

  /** Who asked for services to be left out; undefined where nobody did. */
  get bypassText(): string | undefined {
    return this.#bypass?.text;
  }

  get mayChangeRoute(): boolean {
    return this.world.spool !== undefined;
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  // --- envelope -----------------------------------------------------------------------------------------------------

  /** Answers MAIL: at once, unless a service has a say in it. */
  begin(ticket: number): void {
    this.#client.asked(ticket);
    const { spill, spool, dispatcher } = this.world;
    if (spill.isFull || spool?.isFull === true) {
      this.#refuseAsked(gatewayReplies.storageFull);
      return;
    }
    const all = dispatcher.atMail(this.facts);
    const steps = this.#bypass === undefined ? all : this.#bypass.remaining(all);
    if (!steps.some((step) => step.service.lastSelection?.adaptive.has('MAIL'))) {
      this.#client.accept(replies.mailOk);
      return;
    }
    const variant = this.variants.add(steps.map((step) => ({ step, isOpen: false })));
    variant.askMail((verdict) => {
      if (this.#state === 'over') return;
      if (verdict.kind === 'refused') this.#refuseAsked(this.traced(verdict.reply));
      else if (variant.sender.rewrite(verdict.argument)) this.#client.accept(replies.mailOk);
      else this.#refuseAsked(this.traced(gatewayReplies.badRewrite));
    });
  }

  rcpt(command: RcptCommand, ticket: number): void {
    const parted = partRcpt(command);
    const request = parted?.request;
    const recipient = this.envelope.add(parted?.command ?? command, ticket, request);
    if (this.#refusal !== undefined) {
      this.onRcptAnswer(recipient, this.#refusal);
      return;
    }
    // The spool sees to a report on success, whatever the hop can (RFC 3461 section 5.2).
    if (wantsSuccess(command)) this.handOver.storeFirst();
    const found = this.world.dispatcher.atRecipient(this.facts, addressFacts(command.forwardPath));
    if (request?.asked !== undefined) this.#bypass ??= this.#bypassing();
    const plan = found && this.#bypass !== undefined ? this.#bypass.plan(found, request?.asked) : found;
    if (plan === undefined) this.onRcptAnswer(recipient, gatewayReplies.noRoute);
    else if (!this.session.mayRelay(plan.route)) this.onRcptAnswer(recipient, gatewayReplies.relayDenied);
    else {
      const variant = this.variants.for(plan);
      if (variant === undefined) this.onRcptAnswer(recipient, gatewayReplies.otherGroup);
      else {
        if (request?.asked !== undefined && this.#bypass?.requester.isAuthorised === true) variant.sender.vouch();
        variant.rcpt(recipient, plan);
      }
    }
  }

  newSender(): Sender {
    const sender = new Sender(this.envelope.command, this.#request?.params);
    if (this.#bypass?.requester.isAuthorised === true) sender.vouch();
    return sender;
  }

  #bypassing(): MailBypass {
    const { session, world } = this;
    const requester = requesterOf(session, this.#request?.isVouchedFor === true);
    return new MailBypass(world.system.uri, world.dispatcher, requester, this.#request?.asked);
  }

  /** DATA or the first BDAT. */
  data(ticket: number): void {
    this.#client.asked(ticket);
    this.variants.prune();
    const { all } = this.variants;
    const fatal = commonRefusal(all.map(({ chain }) => chain.fatal));
    const refusal = this.#refusal ?? this.handOver.lostHops ?? (fatal && this.traced(fatal));
    if (refusal !== undefined) {
      this.#refuseAsked(refusal);
      return;
    }
    this.#state = 'content';
    this.#client.go();
  }

  onRcptAnswer(recipient: MailRecipient, answer: Reply): void {
    recipient.reply = answer;
    this.#client.answerRcpt(recipient, answer);
  }

  onRcptRefused(recipient: MailRecipient, answer: Reply): void {
    this.onRcptAnswer(recipient, this.traced(answer));
  }

  /** Instead of MAIL's 250, or DATA's 354. */
  #refuseAsked(answer: Reply): void {
    if (this.#state === 'over') return;
    this.#refusal = answer;
    this.#over(outcomeOf(answer), answer);
    this.#client.refuse(answer);
  }

  // --- content ------------------------------------------------------------------------------------------------------

  content(octets: Buffer): void {
    if (this.#refusal !== undefined || this.#state === 'over') return;
    this.#stores.append(octets);
    if (this.header.isKnown) this.variants.grew(octets.length);
    else if (this.header.feed(octets)) this.#headerKnown();
    if (this.#stores.isBehind || this.variants.backlog > MAX_BACKLOG) this.#client.hold();
  }

  contentEnd(ticket: number, isDotFree: boolean): void {
    this.#stores.ended(isDotFree);
    this.#client.ended(ticket);
    this.#state = 'adapting';
    if (this.#refusal === undefined && this.header.end()) this.#headerKnown();
    if (this.#refusal !== undefined) {
      this.finish(this.#refusal);
      return;
    }
    this.world.deadlines.arm(this.#timer, this.world.deadlineMs);
    this.variants.ended();
  }

  /** The transaction ended without an answer of ours: RSET, a client that went away, content the session refused. */
  reset(cause: string): void {
    // All that was named was refused: the client leaves for that, and whoever looks for what was refused must find it.
    const { recipients, unlisted } = this.envelope;
    const isKnown = this.#state === 'envelope' && unlisted === 0;
    const refusal = isKnown ? commonRefusal(recipients.map(({ reply: answer }) => answer)) : undefined;
    this.#over(refusal === undefined ? 'aborted' : outcomeOf(refusal), undefined, cause);
  }

  #headerKnown(): void {
    if (this.header.isTooLarge) this.refuse(gatewayReplies.headerTooLarge);
    else if (this.header.hops > this.world.limits.maxHops) this.refuse(gatewayReplies.loop);
    else {
      const isUtf8 = this.envelope.command.params.has('SMTPUTF8');
      // Only the one recipient may be named: of several each would learn of the others.
      const only = this.variants.onlyRecipient?.command.forwardPath.text;
      this.header.receive(this.session, this.id, isUtf8, only, this.world.wallClock());
      const request = this.header.bypass;
      if (request !== undefined) this.#askedInHeader(request);
      this.variants.begin(this.#stores.base);
    }
  }

  /** Before any service is shown the content (REQ-085). */
  #askedInHeader({ asked, unreadable }: HeaderRequest): void {
    if (unreadable > 0) this.world.log.info('bypass.unreadable', { mail: this.id, fields: unreadable });
    if (asked === undefined) return;
    this.#bypass ??= this.#bypassing();
    const { judge, by } = this.#bypass.addHeader(asked);
    for (const { chain, sender } of this.variants.all) {
      chain.askedAway(judge, by);
      if (this.#bypass.requester.isAuthorised) sender.vouch();
    }
  }

  /** Given at the end of the content; what still comes of it is dropped. */
  refuse(answer: Reply): void {
    this.#refusal ??= answer;
    this.variants.releaseServices({ code: 400, reason: 'refused' });
    this.#client.resume();
    if (this.#client.isAtEnd) this.finish(this.#refusal);
  }

  // --- for the variants ---------------------------------------------------------------------------------------------

  messageFacts(): MessageFacts {
    return messageFacts(this.#stores.base.size, this.header.octets);
  }

  get maySplit(): boolean {
    return this.world.spool !== undefined && !this.variants.isFull;
  }

  onSplit(variant: Variant): void {
    // One transaction with their hop has together who was taken apart: it must not have the content of either.
    this.handOver.storeFirst();
    this.variants.all.push(variant);
    variant.chain.goOn();
  }

  mayRunAgain(): boolean {
    this.#timesLost++;
    return this.#timesLost === 1;
  }

  openInserted(onCaughtUp: () => void): OctetStore {
    return this.#stores.openInserted(onCaughtUp);
  }

  onCaughtUp(): void {
    this.onProgress();
  }

  onFailed(error: Error): void {
    // What the hop is being sent is read back by `MailRelay`, which says so where it cannot: the hop may have the mail.
    if (this.#state !== 'relaying') this.storeFailed(error);
  }

  onProgress(): void {
    if (this.#client.isHeld && !this.#stores.isBehind && this.variants.backlog < MAX_BACKLOG / 2) this.#client.resume();
  }

  storeFailed(error: Error): void {
    this.world.log.error('store.failed', { mail: this.id, error: error.message });
    this.refuse(gatewayReplies.storageFull);
  }

  onVerdict(variant: Variant, verdict: DataVerdict): void {
    if (this.#refusal === undefined && this.#state !== 'over') this.handOver.onVerdict(variant, verdict);
  }

  // --- for the legs -------------------------------------------------------------------------------------------------

  onLegLost(leg: Leg, answer: Reply, why: string): void {
    this.world.log.warn('relay.lost', { mail: this.id, nextHop: showNextHop(leg.route.nextHop), why });
    if (this.#state !== 'content' && this.#state !== 'adapting') return;
    if (this.handOver.lostHops !== undefined) this.refuse(answer);
  }

  onRelayed(leg: Leg, answer: Reply, each?: readonly (Reply | undefined)[]): void {
    this.handOver.onRelayed(leg, answer, each);
  }

  onStoreFailed(error: Error): void {
    this.storeFailed(error);
  }

  // --- the end ------------------------------------------------------------------------------------------------------

  onDeadline(): void {
    this.refuse(this.traced(gatewayReplies.tooSlow));
  }

  /**
   * An exception out of something that came from elsewhere (a timer, the disk, a callout server, a next hop, the store): a bug
   * of ours, and this mail's alone. The hop is given up, so nothing of it is delivered that was not; the client hears 451 for
   * whatever it waits for, and for all it may still ask. Once a hop has answered for the content, or the store has it, the
   * client hears that all the same: told 451 it would send again what somebody has (decision 0038). Where it hears each
   * recipient, who had a last word keeps it.
   */
  onFault(error: unknown): void {
    const fault = new MailFault(this.world.log, this.id, error);
    const reply = this.handOver.word ?? gatewayReplies.fault;
    if (this.#state !== 'over') this.#refusal = reply;
    fault.attempt(() => this.variants.releaseServices({ code: 400, reason: 'internal fault' }));
    for (const { legs } of this.variants.all) for (const leg of legs) fault.attempt(() => leg.abort());
    // Otherwise the client is still at it, and hears of it at its next command or at the end of its content.
    const { isAtEnd, isWaiting } = this.#client;
    if (isAtEnd) fault.attempt(() => this.finish(reply));
    if (isWaiting) fault.attempt(() => this.#over('tempfailed', reply));
    fault.attempt(() => this.#client.resume());
    if (this.#state === 'over') {
      // The end itself may be what failed.
      fault.attempt(() => this.#stores.end());
      fault.attempt(() => this.#onOver());
    }
    // Answers that are not owed any more are ignored by the session.
    if (this.#client.isAsking) fault.attempt(() => this.#client.refuse(reply));
    for (const recipient of this.envelope.unanswered)
      fault.attempt(() => this.onRcptAnswer(recipient, gatewayReplies.fault));
    if (this.#client.isAtEnd) fault.attempt(() => this.#client.answerEnd(this.variants.all, reply));
  }

  enter(state: 'relaying' | 'storing'): void {
    this.#state = state;
  }

  finish(answer: Reply): void {
    if (this.#state === 'over') return;
    const { all } = this.variants;
    const common = this.#client.hearsEach ? overallReply(closeEach(all, answer)) : answer;
    const taken: MailOutcome = this.#state === 'storing' ? 'stored' : 'relayed';
    this.#over(isPositive(common) ? taken : outcomeOf(common), common);
    this.#client.answerEnd(all, common);
  }

  #over(outcome: MailOutcome, answer: Reply | undefined, cause?: string): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.world.deadlines.release(this.#timer);
    const isDone = answer !== undefined && isPositive(answer);
    this.variants.releaseServices(isDone ? { code: 200, reason: '' } : { code: 400, reason: cause ?? 'mail ended' });
    for (const { legs } of this.variants.all) for (const leg of legs) leg.abort();
    summarise(this, this.world, outcome, answer, cause);
    this.world.keep?.(makeRecord(this, this.world, outcome, answer));
    this.#stores.end();
    this.#client.over();
    this.#onOver();
  }

  traced(answer: Reply): Reply {
    return addTraceToReply(answer, traceReplyLine(this.world.system.uri, this.id));
  }
}

const NOTHING: readonly ViaEntry[] = [];
