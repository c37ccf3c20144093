/**
 * One mail, from MAIL to the reply to its content.
 *
 *     envelope --DATA--> content --final dot--> adapting --all services ended--> relaying --hop's answer--> over
 *         |                 |                      |                                |
 *         +---- RSET, client gone, deadline, refusal by a service or a policy ------+----------------------> over
 *
 * Every way to `over` releases the services, gives the hop up or back, frees what was stored and writes one log line.
 */
import { Armed, type Deadline, type Deadlines, type Log, type MonotonicClock } from '../../base/index.ts';
import type { Part } from '../../profile/index.ts';
import { isPositive, type MailCommand, type RcptCommand, type Reply, replies } from '../../smtp/index.ts';
import { Chain, type ChainMail, type CommandVerdict, type DataVerdict } from '../callouts/chain.ts';
import type { Failure } from '../callouts/failure.ts';
import type { ServiceRun } from '../callouts/service-run.ts';
import { Content, FixedOctets, type OctetStore } from '../content/index.ts';
import type { Plan, PlannedCall } from '../dispatch/dispatcher.ts';
import type { MailFacts } from '../dispatch/facts.ts';
import type { MailOutcome } from '../options.ts';
import { MailRelay, type MailRelayEvents } from '../relay/mail-relay.ts';
import type { MessageFacts } from '../rules/index.ts';
import { addTraceToReply, traceReplyLine, type ViaEntry } from '../trace/index.ts';
import { Envelope, type MailRecipient } from './envelope.ts';
import { addressFacts, mailFacts, messageFacts } from './mail-facts.ts';
import { MailHeader } from './mail-header.ts';
import { makeRecord, summarise } from './mail-record.ts';
import { MailStores, type MailStoresEvents } from './mail-stores.ts';
import { gatewayReplies } from './replies.ts';
import type { SessionView } from './session-view.ts';
import type { MailPeer, MailWorld } from './world.ts';

type State = 'envelope' | 'content' | 'adapting' | 'relaying' | 'over';

/** Octets that may wait for a service before the client is held back. */
const MAX_BACKLOG = 1024 * 1024;

export class Mail implements ChainMail, MailStoresEvents, MailRelayEvents, Deadline {
  readonly id: string;
  readonly session: SessionView;
  readonly envelope: Envelope;
  readonly startedMs: number;
  readonly #world: MailWorld;
  readonly #peer: MailPeer;
  readonly #onOver: () => void;
  readonly #facts: MailFacts;
  readonly #header: MailHeader;
  readonly #timer: Armed;
  #state: State = 'envelope';
  #plan: Plan | undefined;
  #chain: Chain | undefined;
  #chainHasMail = false;
  #relay: MailRelay | undefined;
  #lost: Reply | undefined;
  // Content.
  readonly #stores: MailStores;
  #isHeld = false;
  #finalTicket = -1;
  #verdict: Reply | undefined;
  #released: Content | undefined;
  #timesLost = 0;
  #relayStartedMs = 0;

  constructor(
    world: MailWorld,
    session: SessionView,
    peer: MailPeer,
    n: number,
    command: MailCommand,
    onOver: () => void,
  ) {
    this.id = `${session.id}.${n}`;
    this.session = session;
    this.envelope = new Envelope(command);
    this.startedMs = world.clock();
    this.#world = world;
    this.#peer = peer;
    this.#onOver = onOver;
    this.#facts = mailFacts(session, command.reversePath);
    this.#header = new MailHeader(world.headerLimits);
    this.#timer = new Armed(this);
    this.#stores = new MailStores(world, this);
  }

  // --- what the record shows ----------------------------------------------------------------------------------------

  get chain(): Chain {
    this.#chain ??= new Chain(this, []);
    return this.#chain;
  }

  get relay(): MailRelay | undefined {
    return this.#relay;
  }

  /** What the client sent of the content. */
  get original(): OctetStore | undefined {
    return this.#stores.original;
  }

  get released(): Content | undefined {
    return this.#released;
  }

  get relayMs(): number {
    return this.#relayStartedMs === 0 ? 0 : this.#world.clock() - this.#relayStartedMs;
  }

  // --- envelope -----------------------------------------------------------------------------------------------------

  /** Answers MAIL: at once, unless a service has a say in it. */
  begin(ticket: number): void {
    if (this.#world.spill.isFull) {
      this.#refuseMail(ticket, gatewayReplies.storageFull);
      return;
    }
    const steps = this.#world.dispatcher.atMail(this.#facts);
    const asks = steps.some((step) => step.service.lastSelection?.adaptive.has('MAIL'));
    if (!asks) {
      this.#peer.answer(ticket, replies.mailOk);
      return;
    }
    this.#chainHasMail = true;
    this.#chain = new Chain(
      this,
      steps.map((step) => ({ step, isOpen: false })),
    );
    this.chain.mailCommand(this.envelope.mailArgument, (verdict) => {
      if (this.#state === 'over') return;
      if (verdict.kind === 'refused') this.#refuseMail(ticket, this.#traced(verdict.reply));
      else if (this.envelope.rewriteSender(verdict.argument)) this.#peer.answer(ticket, replies.mailOk);
      else this.#refuseMail(ticket, this.#traced(gatewayReplies.badRewrite));
    });
  }

  rcpt(command: RcptCommand, ticket: number): void {
    const recipient = this.envelope.add(command, ticket);
    const plan = this.#world.dispatcher.atRecipient(this.#facts, addressFacts(command.forwardPath));
    if (plan === undefined) this.#answerRcpt(recipient, gatewayReplies.noRoute);
    else if (!this.session.mayRelay(plan.route)) this.#answerRcpt(recipient, gatewayReplies.relayDenied);
    else if (this.#plan !== undefined && this.#plan.key !== plan.key)
      this.#answerRcpt(recipient, gatewayReplies.otherGroup);
    else if (this.#lost !== undefined) this.#answerRcpt(recipient, this.#lost);
    else {
      if (this.#plan === undefined) this.#usePlan(plan);
      if (this.chain.isEmpty) this.#passed(recipient, plan, { kind: 'pass', argument: command.argument });
      else this.#askServices(recipient, plan, command);
    }
  }

  #askServices(recipient: MailRecipient, plan: Plan, command: RcptCommand): void {
    this.chain.rcptCommand(
      command.argument,
      () => this.envelope.mailArgument,
      (verdict) => this.#passed(recipient, plan, verdict),
    );
  }

  /** DATA or the first BDAT. */
  data(ticket: number): void {
    const refusal = this.#lost ?? this.chain.fatal;
    if (refusal !== undefined) {
      this.#answerFinal(ticket, this.#lost === undefined ? this.#traced(refusal) : refusal, outcomeOf(refusal));
      return;
    }
    this.#state = 'content';
    this.#peer.go(ticket);
  }

  #usePlan(plan: Plan): void {
    this.#plan = plan;
    if (this.#chainHasMail) this.chain.extend(plan.calls);
    else this.#chain = new Chain(this, plan.calls);
  }

  #passed(recipient: MailRecipient, plan: Plan, verdict: CommandVerdict): void {
    if (this.#state === 'over') return;
    if (verdict.kind === 'refused') {
      this.#answerRcpt(recipient, this.#traced(verdict.reply));
      return;
    }
    if (verdict.argument !== recipient.command.argument && !this.#takeRecipient(recipient, plan, verdict.argument)) {
      this.#answerRcpt(recipient, this.#traced(gatewayReplies.badRewrite));
      return;
    }
    if (this.#lost !== undefined) {
      this.#answerRcpt(recipient, this.#lost);
      return;
    }
    const { path, hopParameters, relayed } = this.envelope;
    this.#relay ??= new MailRelay(this.#world.relay, plan.route, path, hopParameters, this);
    relayed.push(recipient);
    this.#relay.rcpt(recipient.relayedAs ?? recipient.command.argument);
  }

  /** A rewritten recipient must stay within the mail's group. */
  #takeRecipient(recipient: MailRecipient, plan: Plan, argument: string): boolean {
    const domain = this.envelope.rewriteRecipient(recipient, argument);
    return domain !== undefined && this.#world.dispatcher.routeOf(domain) === plan.route;
  }

  #answerRcpt(recipient: MailRecipient, answer: Reply): void {
    recipient.reply = answer;
    this.#peer.answer(recipient.ticket, answer);
  }

  #refuseMail(ticket: number, answer: Reply): void {
    this.#verdict = answer;
    this.#over(outcomeOf(answer), answer);
    this.#peer.answer(ticket, answer);
  }

  // --- content ------------------------------------------------------------------------------------------------------

  content(octets: Buffer): void {
    if (this.#verdict !== undefined || this.#state === 'over') return;
    this.#stores.append(octets);
    if (this.#header.isKnown) this.chain.grew(octets.length);
    else if (this.#header.feed(octets)) this.#headerKnown();
    if (this.#stores.isBehind || this.chain.backlog > MAX_BACKLOG) this.#holdClient();
  }

  contentEnd(ticket: number, isDotFree: boolean): void {
    this.#stores.ended(isDotFree);
    this.#finalTicket = ticket;
    this.#state = 'adapting';
    if (this.#header.end()) this.#headerKnown();
    if (this.#verdict !== undefined) {
      this.#finish(this.#verdict);
      return;
    }
    this.#world.deadlines.arm(this.#timer, this.#world.deadlineMs);
    this.chain.ended();
  }

  /** The transaction ended without an answer of ours: RSET, a client that went away, content the session refused. */
  reset(cause: string): void {
    this.#over('aborted', undefined, cause);
  }

  #headerKnown(): void {
    if (this.#header.isTooLarge) this.#refuse(gatewayReplies.headerTooLarge);
    else if (this.#header.hops > this.#world.limits.maxHops) this.#refuse(gatewayReplies.loop);
    else {
      const isUtf8 = this.envelope.command.params.has('SMTPUTF8');
      this.#header.receive(this.#world, this.session, this.id, isUtf8, this.envelope.onlyRecipient);
      this.chain.begin(this.#stores.base);
    }
  }

  /** Given at the end of the content; what still comes of it is dropped. */
  #refuse(answer: Reply): void {
    this.#verdict ??= answer;
    this.chain.release({ code: 400, reason: 'refused' });
    this.#resumeClient();
    if (this.#finalTicket >= 0) this.#finish(this.#verdict);
  }

  #holdClient(): void {
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#peer.pauseContent();
  }

  #resumeClient(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#peer.resumeContent();
  }

  // --- for the services ---------------------------------------------------------------------------------------------

  get log(): Log {
    return this.#world.log;
  }

  get deadlines(): Deadlines {
    return this.#world.deadlines;
  }

  get clock(): MonotonicClock {
    return this.#world.clock;
  }

  get facts(): readonly (readonly [Part, string])[] {
    return this.session.parts;
  }

  get inserted(): OctetStore {
    return this.#stores.inserted;
  }

  get maxAdaptedOctets(): number {
    // Banners and headers must fit on a mail of full size; more than that is an attack or a fault.
    return this.session.listener.maxSizeOctets + 1024 * 1024;
  }

  get maxHeaderOctets(): number {
    // Our block and what services added stand on top of what the client sent.
    return this.#world.limits.headerOctets + 64 * 1024;
  }

  get olderTrace(): Buffer {
    return this.#header.olderTrace;
  }

  traceBlock(via: readonly ViaEntry[]): Buffer {
    return this.#header.traceBlock(this.#world, this.id, via);
  }

  isCalledFor(call: PlannedCall): boolean {
    const { dispatcher } = this.#world;
    const message = this.#messageFacts();
    return this.envelope.accepted.some(({ command }) =>
      dispatcher.atData(call.step, this.#facts, addressFacts(command.forwardPath), message),
    );
  }

  #messageFacts(): MessageFacts {
    return messageFacts(this.#stores.base.size, this.#header.octets);
  }

  mayRunAgain(): boolean {
    this.#timesLost++;
    return this.#timesLost === 1;
  }

  whenInsertedCaughtUp(then: () => void): void {
    this.#stores.whenInsertedCaughtUp(then);
  }

  onCaughtUp(): void {
    this.onProgress();
  }

  onFailed(error: Error): void {
    // What the hop is being sent is read back by `MailRelay`, which says so where it cannot: the hop may have the mail.
    if (this.#state !== 'relaying') this.storeFailed(error);
  }

  onProgress(): void {
    if (this.#isHeld && !this.#stores.isBehind && this.chain.backlog < MAX_BACKLOG / 2) this.#resumeClient();
  }

  rewriteSender(run: ServiceRun, argument: string): void {
    const from = this.envelope.mailArgument;
    if (this.envelope.rewriteSender(argument)) this.chain.rewroteSender(run, from, argument);
    else run.declareInvalid('rewrote MAIL to something that is no reverse-path');
  }

  runFailed(run: ServiceRun, failure: Failure): void {
    const action = run.entry.onFailure[failure.reason];
    const fields = { mail: this.id, service: run.service.name, reason: failure.reason, action, detail: failure.detail };
    this.#world.log.warn('callout.failed', fields);
    this.#world.metrics.count('opes_callout_failures_total', {
      service: run.service.name,
      reason: failure.reason,
      action,
    });
  }

  storeFailed(error: Error): void {
    this.#world.log.error('store.failed', { mail: this.id, error: error.message });
    this.#refuse(gatewayReplies.storageFull);
  }

  onData(verdict: DataVerdict): void {
    if (verdict.kind === 'refused') {
      this.#refuse(this.#traced(verdict.reply));
      return;
    }
    const block = new FixedOctets(this.traceBlock(this.chain.via()));
    const content = new Content();
    content.append(block, 0, block.size);
    content.appendRange(verdict.base, 0, verdict.base.size);
    this.#released = content;
    this.#state = 'relaying';
    this.#relayStartedMs = this.#world.clock();
    this.#relay?.send(content);
  }

  // --- the next hop -------------------------------------------------------------------------------------------------

  onRcptReply(index: number, answer: Reply): void {
    const recipient = this.envelope.relayed[index];
    if (recipient !== undefined) this.#answerRcpt(recipient, answer);
  }

  onLost(answer: Reply, why: string): void {
    this.#world.log.warn('relay.lost', { mail: this.id, nextHop: this.#hopName(), why });
    this.#lost = answer;
    for (const recipient of this.envelope.relayed)
      if (recipient.reply === undefined) this.#answerRcpt(recipient, answer);
    if (this.#state === 'content' || this.#state === 'adapting') this.#refuse(answer);
  }

  onRelayed(answer: Reply): void {
    this.#finish(answer);
  }

  onStoreFailed(error: Error): void {
    this.storeFailed(error);
  }

  // --- the end ------------------------------------------------------------------------------------------------------

  onDeadline(): void {
    this.#refuse(this.#traced(gatewayReplies.tooSlow));
  }

  #finish(answer: Reply): void {
    this.#answerFinal(this.#finalTicket, answer, isPositive(answer) ? 'relayed' : outcomeOf(answer));
  }

  #answerFinal(ticket: number, answer: Reply, outcome: MailOutcome): void {
    if (this.#state === 'over') return;
    this.#over(outcome, answer);
    this.#peer.answer(ticket, answer);
  }

  #over(outcome: MailOutcome, answer: Reply | undefined, cause?: string): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#world.deadlines.release(this.#timer);
    this.chain.release(
      answer !== undefined && isPositive(answer)
        ? { code: 200, reason: '' }
        : { code: 400, reason: cause ?? 'mail ended' },
    );
    this.#relay?.abort();
    summarise(this, this.#world, outcome, answer, cause);
    this.#world.keep?.(makeRecord(this, this.#world, outcome, answer));
    this.#stores.dispose();
    this.#isHeld = false;
    this.#onOver();
  }

  #traced(answer: Reply): Reply {
    return addTraceToReply(answer, traceReplyLine(this.#world.system.uri, this.id));
  }

  #hopName(): string | undefined {
    const hop = this.#relay?.route.nextHop;
    return hop === undefined ? undefined : `${hop.host}:${hop.port}`;
  }
}

function outcomeOf(answer: Reply): MailOutcome {
  return answer.code >= 500 ? 'refused' : 'tempfailed';
}
