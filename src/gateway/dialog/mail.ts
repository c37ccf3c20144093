/**
 * One mail, from MAIL to the reply to its content.
 *
 *     envelope --DATA--> content --final dot--> adapting --all services ended--> relaying --hop's answer--> over
 *         |                 |                      |                    `------> storing --durable--------> over
 *         +---- RSET, client gone, deadline, refusal by a service or a policy ------+----------------------> over
 *
 * Its recipients are divided into variants by the services they meet (`variant.ts`), and those into legs by their next hop
 * (`leg.ts`). One variant with one leg is relayed inline; anything else is stored before the client has its 250.
 *
 * Every way to `over` releases the services, gives the hops up or back, frees what was stored and writes one log line.
 */
import { Armed, type Deadline } from '../../base/index.ts';
import {
  isPositive,
  type MailCommand,
  parseDsnRcpt,
  type RcptCommand,
  type Reply,
  replies,
  reply,
} from '../../smtp/index.ts';
import type { DataVerdict } from '../callouts/chain.ts';
import type { Content, OctetStore } from '../content/index.ts';
import type { Plan } from '../dispatch/dispatcher.ts';
import type { MailFacts } from '../dispatch/facts.ts';
import { type MailOutcome, showNextHop } from '../options.ts';
import type { MessageFacts } from '../rules/index.ts';
import type { SpoolVariant } from '../spool/port.ts';
import { addTraceToReply, traceReplyLine, type ViaEntry } from '../trace/index.ts';
import { Envelope, type MailRecipient } from './envelope.ts';
import { commonRefusal, decideHandOver } from './hand-over.ts';
import type { Leg } from './leg.ts';
import { addressFacts, mailFacts, messageFacts } from './mail-facts.ts';
import { MailHeader } from './mail-header.ts';
import { makeRecord, summarise } from './mail-record.ts';
import { MailStores, type MailStoresEvents } from './mail-stores.ts';
import { gatewayReplies } from './replies.ts';
import { type SessionView, spooledSession } from './session-view.ts';
import { Variant, type VariantMail } from './variant.ts';
import type { MailPeer, MailWorld } from './world.ts';

type State = 'envelope' | 'content' | 'adapting' | 'relaying' | 'storing' | 'over';

/** Octets that may wait for a service before the client is held back. */
const MAX_BACKLOG = 1024 * 1024;

export class Mail implements VariantMail, MailStoresEvents, Deadline {
  readonly id: string;
  readonly world: MailWorld;
  readonly session: SessionView;
  readonly envelope: Envelope;
  readonly facts: MailFacts;
  readonly header: MailHeader;
  readonly startedMs: number;
  readonly variants: Variant[] = [];
  readonly earlierVia: readonly ViaEntry[] = NOTHING;
  readonly #pruned: Variant[] = [];
  readonly #peer: MailPeer;
  readonly #onOver: () => void;
  readonly #timer: Armed;
  #state: State = 'envelope';
  // Content.
  readonly #stores: MailStores;
  #isHeld = false;
  #finalTicket = -1;
  #refusal: Reply | undefined;
  #released: Content | undefined;
  #timesLost = 0;
  /** A report on success is asked for: the spool sees to it, whatever the hop can (RFC 3461 section 5.2). */
  #wantsSuccess = false;
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
    this.world = world;
    this.session = session;
    this.envelope = new Envelope(command);
    this.facts = mailFacts(session, command.reversePath);
    this.header = new MailHeader(world.headerLimits);
    this.startedMs = world.clock();
    this.#peer = peer;
    this.#onOver = onOver;
    this.#timer = new Armed(this);
    this.#stores = new MailStores(world, this);
  }

  // --- what the record shows ----------------------------------------------------------------------------------------

  /** What the client sent of the content. */
  get original(): OctetStore | undefined {
    return this.#stores.original;
  }

  /** What left, of the first variant that did. */
  get released(): Content | undefined {
    return this.#released;
  }

  get relayMs(): number {
    return this.#relayStartedMs === 0 ? 0 : this.world.clock() - this.#relayStartedMs;
  }

  /** Also those that all recipients were refused for: their services were asked. */
  get allVariants(): readonly Variant[] {
    return this.#pruned.length === 0 ? this.variants : [...this.variants, ...this.#pruned];
  }

  /** The one leg of a mail that has only one. */
  get onlyLeg(): Leg | undefined {
    const variant = this.variants.length === 1 ? this.variants[0] : undefined;
    return variant?.legs.length === 1 ? variant.legs[0] : undefined;
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
    const { spill, spool, dispatcher } = this.world;
    if (spill.isFull || spool?.isFull === true) {
      this.#refuseMail(ticket, gatewayReplies.storageFull);
      return;
    }
    const steps = dispatcher.atMail(this.facts);
    if (!steps.some((step) => step.service.lastSelection?.adaptive.has('MAIL'))) {
      this.#peer.answer(ticket, replies.mailOk);
      return;
    }
    const variant = this.#addVariant(steps.map((step) => ({ step, isOpen: false })));
    variant.askMail((verdict) => {
      if (this.#state === 'over') return;
      if (verdict.kind === 'refused') this.#refuseMail(ticket, this.#traced(verdict.reply));
      else if (variant.sender.rewrite(verdict.argument)) this.#peer.answer(ticket, replies.mailOk);
      else this.#refuseMail(ticket, this.#traced(gatewayReplies.badRewrite));
    });
  }

  rcpt(command: RcptCommand, ticket: number): void {
    const recipient = this.envelope.add(command, ticket);
    if (wantsSuccess(command)) this.#wantsSuccess = true;
    const plan = this.world.dispatcher.atRecipient(this.facts, addressFacts(command.forwardPath));
    if (plan === undefined) this.onRcptAnswer(recipient, gatewayReplies.noRoute);
    else if (!this.session.mayRelay(plan.route)) this.onRcptAnswer(recipient, gatewayReplies.relayDenied);
    else {
      const variant = this.#variantFor(plan);
      if (variant === undefined) this.onRcptAnswer(recipient, gatewayReplies.otherGroup);
      else variant.rcpt(recipient, plan);
    }
  }

  /** Without a spool a mail has one variant and one next hop. */
  #variantFor(plan: Plan): Variant | undefined {
    const first = this.variants[0];
    if (first === undefined) return this.#addVariant(plan.calls);
    if (this.world.spool === undefined) {
      const route = first.legs[0]?.route ?? first.firstRoute;
      return first.serves(plan) && (route === undefined || route === plan.route) ? first : undefined;
    }
    for (const variant of this.variants) if (variant.serves(plan)) return variant;
    return this.variants.length < MAX_VARIANTS ? this.#addVariant(plan.calls) : undefined;
  }

  #addVariant(calls: Plan['calls']): Variant {
    const { relay, spool } = this.world;
    const variant = new Variant(this, this.envelope.command, calls, spool?.mode === 'spool' ? undefined : relay);
    this.variants.push(variant);
    return variant;
  }

  /** DATA or the first BDAT. */
  data(ticket: number): void {
    if (this.variants.length > 1 || this.onlyLeg === undefined) this.#prune();
    const lost = this.#isInline ? this.onlyLeg?.lost : undefined;
    const refusal = lost ?? commonRefusal(this.variants.map(({ chain }) => chain.fatal));
    if (refusal !== undefined) {
      this.#answerFinal(ticket, lost === undefined ? this.#traced(refusal) : refusal, outcomeOf(refusal));
      return;
    }
    this.#state = 'content';
    this.#peer.go(ticket);
  }

  /** What all recipients were refused for is not run; a single leg that is left is relayed inline. */
  #prune(): void {
    for (const variant of this.variants.splice(0)) {
      variant.prune();
      if (variant.legs.length > 0) this.variants.push(variant);
      else {
        variant.chain.release({ code: 400, reason: 'no recipients' });
        this.#pruned.push(variant);
      }
    }
  }

  onRcptAnswer(recipient: MailRecipient, answer: Reply): void {
    recipient.reply = answer;
    this.#peer.answer(recipient.ticket, answer);
  }

  onRcptRefused(recipient: MailRecipient, answer: Reply): void {
    this.onRcptAnswer(recipient, this.#traced(answer));
  }

  #refuseMail(ticket: number, answer: Reply): void {
    this.#refusal = answer;
    this.#over(outcomeOf(answer), answer);
    this.#peer.answer(ticket, answer);
  }

  // --- content ------------------------------------------------------------------------------------------------------

  content(octets: Buffer): void {
    if (this.#refusal !== undefined || this.#state === 'over') return;
    this.#stores.append(octets);
    if (this.header.isKnown) for (const { chain } of this.variants) chain.grew(octets.length);
    else if (this.header.feed(octets)) this.#headerKnown();
    if (this.#stores.isBehind || this.#backlog > MAX_BACKLOG) this.#holdClient();
  }

  contentEnd(ticket: number, isDotFree: boolean): void {
    this.#stores.ended(isDotFree);
    this.#finalTicket = ticket;
    this.#state = 'adapting';
    if (this.header.end()) this.#headerKnown();
    if (this.#refusal !== undefined) {
      this.#finish(this.#refusal);
      return;
    }
    this.world.deadlines.arm(this.#timer, this.world.deadlineMs);
    for (const { chain } of this.variants) chain.ended();
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
    if (this.header.isTooLarge) this.#refuse(gatewayReplies.headerTooLarge);
    else if (this.header.hops > this.world.limits.maxHops) this.#refuse(gatewayReplies.loop);
    else {
      const isUtf8 = this.envelope.command.params.has('SMTPUTF8');
      this.header.receive(this.session, this.id, isUtf8, this.#onlyRecipient, this.world.wallClock());
      for (const { chain } of this.variants) chain.begin(this.#stores.base);
    }
  }

  /** The one accepted recipient, where there is exactly one: only then may a trace name it. */
  get #onlyRecipient(): string | undefined {
    let only: MailRecipient | undefined;
    for (const { accepted } of this.variants) {
      if (accepted.length > 1 || (accepted.length > 0 && only !== undefined)) return undefined;
      only ??= accepted[0];
    }
    return only?.command.forwardPath.text;
  }

  /** Given at the end of the content; what still comes of it is dropped. */
  #refuse(answer: Reply): void {
    this.#refusal ??= answer;
    this.#releaseServices({ code: 400, reason: 'refused' });
    this.#resumeClient();
    if (this.#finalTicket >= 0) this.#finish(this.#refusal);
  }

  get #backlog(): number {
    let backlog = 0;
    for (const { chain } of this.variants) backlog = Math.max(backlog, chain.backlog);
    return backlog;
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

  // --- for the variants ---------------------------------------------------------------------------------------------

  messageFacts(): MessageFacts {
    return messageFacts(this.#stores.base.size, this.header.octets);
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
    if (this.#isHeld && !this.#stores.isBehind && this.#backlog < MAX_BACKLOG / 2) this.#resumeClient();
  }

  storeFailed(error: Error): void {
    this.world.log.error('store.failed', { mail: this.id, error: error.message });
    this.#refuse(gatewayReplies.storageFull);
  }

  onVerdict(variant: Variant, verdict: DataVerdict): void {
    if (this.#refusal !== undefined || this.#state === 'over') return;
    const leg = this.#isInline ? this.onlyLeg : undefined;
    if (leg !== undefined && verdict.kind === 'release') {
      this.#relay(leg, variant.release(verdict.base));
      return;
    }
    const refusal = commonRefusal(this.variants.map(refusalOf));
    if (refusal !== undefined) this.#refuse(this.#traced(refusal));
    else if (this.#finalTicket >= 0 && this.variants.every((one) => one.verdict !== undefined)) this.#handOver();
    // The client may be held for this variant, which takes no more.
    else this.onProgress();
  }

  /** Whether one transaction with one next hop can serve it, as far as is known. */
  get #isInline(): boolean {
    const { spool } = this.world;
    const leg = this.onlyLeg;
    if (leg === undefined || spool === undefined) return leg !== undefined;
    return spool.mode !== 'spool' && !this.#wantsSuccess && leg.hasOneAnswer;
  }

  // --- the next hop -------------------------------------------------------------------------------------------------

  #relay(leg: Leg, content: Content): void {
    this.#released = content;
    this.#state = 'relaying';
    this.#relayStartedMs = this.world.clock();
    leg.send(content);
  }

  onLegLost(leg: Leg, answer: Reply, why: string): void {
    this.world.log.warn('relay.lost', { mail: this.id, nextHop: showNextHop(leg.route.nextHop), why });
    const isOnly = this.#isInline && this.onlyLeg === leg;
    if (isOnly && (this.#state === 'content' || this.#state === 'adapting')) this.#refuse(answer);
  }

  onRelayed(answer: Reply): void {
    this.#finish(answer);
  }

  onStoreFailed(error: Error): void {
    this.storeFailed(error);
  }

  // --- the spool ----------------------------------------------------------------------------------------------------

  /** Durable first, then 250 (design, section 2, step 7). */
  #handOver(): void {
    const { spool } = this.world;
    const isSenderKnown = this.session.facts.session.authenticated;
    const decision = decideHandOver(this.variants, this.#stores.base, isSenderKnown);
    if (decision.kind === 'refuse' || spool === undefined) {
      this.#refuse(decision.kind === 'refuse' ? this.#traced(decision.reply) : gatewayReplies.storageFull);
      return;
    }
    this.#state = 'storing';
    this.#released = decision.variants.find(({ lane }) => lane === 'relay')?.content;
    const stores = this.#stores;
    stores.keep();
    spool.accept(
      {
        id: this.id,
        acceptedMs: this.world.wallClock(),
        session: spooledSession(this.session),
        variants: decision.variants,
        dispose: () => stores.dispose(),
      },
      (error) => {
        if (error === undefined) this.#finish(this.#storedReply(decision.variants));
        else {
          this.storeFailed(error);
          stores.dispose();
        }
      },
    );
  }

  #storedReply(variants: readonly SpoolVariant[]): Reply {
    const isAllHeld = variants.every(({ recipients }) => recipients.every(({ fate }) => fate.kind === 'hold'));
    if (isAllHeld && this.world.spool?.hasNotice === false) return this.#traced(gatewayReplies.keptAside);
    return reply(250, '2.0.0', `OK, message accepted as ${this.id}`);
  }

  // --- the end ------------------------------------------------------------------------------------------------------

  onDeadline(): void {
    this.#refuse(this.#traced(gatewayReplies.tooSlow));
  }

  #finish(answer: Reply): void {
    const taken: MailOutcome = this.#state === 'storing' ? 'stored' : 'relayed';
    this.#answerFinal(this.#finalTicket, answer, isPositive(answer) ? taken : outcomeOf(answer));
  }

  #answerFinal(ticket: number, answer: Reply, outcome: MailOutcome): void {
    if (this.#state === 'over') return;
    this.#over(outcome, answer);
    this.#peer.answer(ticket, answer);
  }

  #over(outcome: MailOutcome, answer: Reply | undefined, cause?: string): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.world.deadlines.release(this.#timer);
    const isDone = answer !== undefined && isPositive(answer);
    this.#releaseServices(isDone ? { code: 200, reason: '' } : { code: 400, reason: cause ?? 'mail ended' });
    for (const { legs } of this.variants) for (const leg of legs) leg.abort();
    summarise(this, this.world, outcome, answer, cause);
    this.world.keep?.(makeRecord(this, this.world, outcome, answer));
    this.#stores.end();
    this.#isHeld = false;
    this.#onOver();
  }

  #releaseServices(why: { readonly code: number; readonly reason: string }): void {
    for (const { chain } of this.variants) chain.release(why);
  }

  #traced(answer: Reply): Reply {
    return addTraceToReply(answer, traceReplyLine(this.world.system.uri, this.id));
  }
}

function wantsSuccess({ params }: RcptCommand): boolean {
  return params.has('NOTIFY') && parseDsnRcpt(params)?.notify?.includes('SUCCESS') === true;
}

const NOTHING: readonly ViaEntry[] = [];

/** Each variant is a chain of callouts over the whole mail: what one client may make us do has a bound. */
const MAX_VARIANTS = 16;

function refusalOf({ verdict }: Variant): Reply | undefined {
  return verdict?.kind === 'refused' ? verdict.reply : undefined;
}

function outcomeOf(answer: Reply): MailOutcome {
  return answer.code >= 500 ? 'refused' : 'tempfailed';
}
