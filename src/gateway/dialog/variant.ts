/**
 * One variant of a mail: the recipients that meet the same services, the chain of those services, and the content they
 * made. Most mails have one. Where recipients differ in what is done for them, each variant runs its own chain over the
 * same original (design D4), has its own sender and its own result, and no octet of one reaches another's recipients.
 */
import type { Deadlines, Log, MonotonicClock } from '../../base/index.ts';
import type { Part } from '../../profile/index.ts';
import type { Reply } from '../../smtp/index.ts';
import { Chain, type ChainMail, type CommandVerdict, type DataVerdict } from '../callouts/chain.ts';
import type { Failure } from '../callouts/failure.ts';
import type { ServiceRun } from '../callouts/service-run.ts';
import { Content, FixedOctets, type OctetStore } from '../content/index.ts';
import type { Judged, Plan, PlannedCall } from '../dispatch/dispatcher.ts';
import type { MailFacts } from '../dispatch/facts.ts';
import type { OpenRelay } from '../relay/open-relay.ts';
import type { MessageFacts } from '../rules/index.ts';
import type { ViaEntry } from '../trace/index.ts';
import { type Envelope, isAccepted, type MailRecipient, relayedArgument, relayedPath } from './envelope.ts';
import { Leg, type LegEvents } from './leg.ts';
import { addressFacts } from './mail-facts.ts';
import type { MailHeader } from './mail-header.ts';
import { gatewayReplies } from './replies.ts';
import type { Sender } from './sender.ts';
import { clientIdentity, type SessionView } from './session-view.ts';
import type { MailWorld } from './world.ts';

/** The mail as its variants see it. */
export interface VariantMail extends LegEvents {
  readonly id: string;
  readonly world: MailWorld;
  readonly session: SessionView;
  readonly facts: MailFacts;
  readonly header: MailHeader;
  readonly isOver: boolean;
  readonly envelope: Envelope;
  /** Whether a service may send a recipient another way: without a spool a mail has one next hop. */
  readonly mayChangeRoute: boolean;
  /** What services did before those of the chain, in an earlier run. */
  readonly earlierVia: readonly ViaEntry[];
  messageFacts(): MessageFacts;
  /** What rules on the message said when it came in, where it is another one now. */
  readonly judged: Judged | undefined;
  /** A store of its own for what the services of one variant insert. */
  openInserted(onCaughtUp: () => void): OctetStore;
  /** A refusal by OPES processing: our trace goes into the reply. */
  onRcptRefused(recipient: MailRecipient, reply: Reply): void;
  onVerdict(variant: Variant, verdict: DataVerdict): void;
  onProgress(): void;
  /** Whether there may be another variant: only what is stored may have several. */
  readonly maySplit: boolean;
  /** Recipients of a variant go on as one of their own. */
  onSplit(variant: Variant): void;
  mayRunAgain(): boolean;
  storeFailed(error: Error): void;
}

export class Variant implements ChainMail {
  readonly sender: Sender;
  readonly legs: Leg[] = [];
  readonly #mail: VariantMail;
  readonly #relay: OpenRelay | undefined;
  /** The route of the first recipient: its leg may still wait for the services. */
  firstRoute: Plan['route'] | undefined;
  #services: string | undefined;
  #chain: Chain;
  #verdict: DataVerdict | undefined;
  #inserted: OctetStore | undefined;
  #whenCaughtUp: (() => void)[] = [];
  /** What services did for these recipients before they were split off. */
  #before: readonly ViaEntry[] = NOTHING;

  /** `calls`: those that may answer MAIL, where there are any; the first recipient's plan decides on all. */
  constructor(mail: VariantMail, sender: Sender, calls: readonly PlannedCall[], relay: OpenRelay | undefined) {
    this.#mail = mail;
    this.#relay = relay;
    this.sender = sender;
    this.#chain = new Chain(this, calls);
  }

  get chain(): Chain {
    return this.#chain;
  }

  get verdict(): DataVerdict | undefined {
    return this.#verdict;
  }

  /** Whether recipients with this plan belong here. A variant without recipients takes the first plan that comes. */
  serves(plan: Plan): boolean {
    return this.#services === undefined || this.#services === plan.services;
  }

  /** MAIL for the services that may answer it before there is a recipient. */
  askMail(done: (verdict: CommandVerdict) => void): void {
    this.#chain.mailCommand(this.sender.argument, done);
  }

  rcpt(recipient: MailRecipient, plan: Plan): void {
    if (this.#services === undefined) {
      this.#services = plan.services;
      this.firstRoute = plan.route;
      this.#chain.extend(plan.calls);
    } else this.#chain.marked(plan.calls);
    const { argument } = recipient.command;
    if (this.#chain.isEmpty) this.#passed(recipient, plan, { kind: 'pass', argument });
    else
      this.#chain.rcptCommand(
        argument,
        () => this.sender.argument,
        (verdict) => this.#passed(recipient, plan, verdict),
      );
  }

  #passed(recipient: MailRecipient, plan: Plan, verdict: CommandVerdict): void {
    if (this.#mail.isOver) return;
    if (verdict.kind === 'refused') {
      this.#mail.onRcptRefused(recipient, verdict.reply);
      return;
    }
    let { route } = plan;
    if (verdict.argument !== recipient.command.argument) {
      const domain = this.#mail.envelope.rewrite(recipient, verdict.argument);
      const other = domain === undefined ? undefined : this.#mail.world.dispatcher.routeOf(domain);
      const { mayChangeRoute, session } = this.#mail;
      // A service may send a mail elsewhere, and not where its client may not (design D14).
      if (other === undefined || (other !== route && !(mayChangeRoute && session.mayRelay(other)))) {
        this.#mail.onRcptRefused(recipient, gatewayReplies.badRewrite);
        return;
      }
      route = other;
    }
    this.#leg(route, relayedPath(recipient).domain).add(recipient);
  }

  /** By MX each domain has hosts of its own. */
  #leg(route: Plan['route'], domain: string): Leg {
    const isByDomain = route.nextHop.kind === 'mx';
    for (const leg of this.legs) if (leg.route === route && (!isByDomain || leg.domain === domain)) return leg;
    const client = route.identity === 'none' ? undefined : clientIdentity(this.#mail.session);
    const leg = new Leg(route, domain, this.sender, client, this.#relay, this.#mail);
    this.legs.push(leg);
    return leg;
  }

  /** Legs without an accepted recipient are given up. */
  prune(): void {
    for (const leg of this.legs.splice(0)) {
      if (leg.recipients.some(isAccepted)) this.legs.push(leg);
      else leg.abort();
    }
  }

  /** What goes to the next hop: our trace block with every outcome, and what the services made. */
  release(base: Content): Content {
    const block = new FixedOctets(this.traceBlock(this.#chain.via()));
    const content = new Content();
    content.append(block, 0, block.size);
    content.appendRange(base, 0, base.size);
    return content;
  }

  get accepted(): readonly MailRecipient[] {
    return this.legs.length === 1 ? (this.legs[0] as Leg).accepted : this.legs.flatMap((leg) => leg.accepted);
  }

  // --- for the services ---------------------------------------------------------------------------------------------

  get id(): string {
    return this.#mail.id;
  }

  get log(): Log {
    return this.#mail.world.log;
  }

  get deadlines(): Deadlines {
    return this.#mail.world.deadlines;
  }

  get clock(): MonotonicClock {
    return this.#mail.world.clock;
  }

  get facts(): readonly (readonly [Part, string])[] {
    return this.#mail.session.parts;
  }

  get envelope(): { readonly mailArgument: string; readonly rcptArguments: readonly string[] } {
    return { mailArgument: this.sender.argument, rcptArguments: this.accepted.map(relayedArgument) };
  }

  get inserted(): OctetStore {
    this.#inserted ??= this.#mail.openInserted(() => {
      for (const then of this.#whenCaughtUp.splice(0)) then();
    });
    return this.#inserted;
  }

  whenInsertedCaughtUp(then: () => void): void {
    this.#whenCaughtUp.push(then);
  }

  get maxAdaptedOctets(): number {
    // Banners and headers must fit on a mail of full size; more than that is an attack or a fault.
    return this.#mail.session.listener.maxSizeOctets + 1024 * 1024;
  }

  get maxHeaderOctets(): number {
    return maxAdaptedHeader(this.#mail.world);
  }

  get olderTrace(): Buffer {
    return this.#mail.header.olderTrace;
  }

  traceBlock(via: readonly ViaEntry[]): Buffer {
    const { header, world, id, earlierVia, session } = this.#mail;
    const before = this.#before;
    const isFirst = earlierVia.length === 0 && before.length === 0 && session.via.length === 0;
    return header.traceBlock(world, id, isFirst ? via : [...session.via, ...earlierVia, ...before, ...via]);
  }

  /**
   * A rule that reads the recipient too may say one thing for some and another for others: those it says the same for as for
   * the first go on here, and the others as a variant of their own (decision 0043). Where there can be none, the service is
   * called for all: too often is a cost, not at all would be a hole.
   */
  isCalledFor({ step }: PlannedCall): boolean {
    const { world, facts, maySplit, judged } = this.#mail;
    const message = this.#mail.messageFacts();
    const { accepted } = this;
    const judge = ({ command }: MailRecipient): boolean =>
      world.dispatcher.atData(step, facts, addressFacts(command.forwardPath), message, judged);
    const [first] = accepted;
    if (first === undefined) return false;
    if (step.rule?.reads.has('recipient') !== true) return judge(first);
    const called = new Set(accepted.filter(judge));
    if (called.size === 0 || called.size === accepted.length) return called.size > 0;
    if (!maySplit) return true;
    const isFirstCalled = called.has(first);
    this.#mail.onSplit(this.#split(isFirstCalled ? new Set(accepted.filter((one) => !called.has(one))) : called));
    return isFirstCalled;
  }

  /** What all rules on the message say of this recipient. */
  judge({ command }: MailRecipient): Judged | undefined {
    const { world, facts } = this.#mail;
    return world.dispatcher.allAtData(facts, addressFacts(command.forwardPath), this.#mail.messageFacts());
  }

  #split(apart: ReadonlySet<MailRecipient>): Variant {
    const other = new Variant(this.#mail, this.sender, [], undefined);
    other.#before = [...this.#before, ...this.#chain.viaSoFar()];
    other.#chain = this.#chain.fork(other);
    for (const leg of this.legs) {
      const moved = leg.split(apart);
      if (moved !== undefined) other.legs.push(moved);
    }
    return other;
  }

  mayRunAgain(): boolean {
    return this.#mail.mayRunAgain();
  }

  onProgress(): void {
    this.#mail.onProgress();
  }

  rewriteSender(run: ServiceRun, argument: string): void {
    const from = this.sender.argument;
    if (this.sender.rewrite(argument)) this.#chain.rewroteSender(run, from, argument);
    else run.declareInvalid('rewrote MAIL to something that is no reverse-path');
  }

  runFailed(run: ServiceRun, failure: Failure): void {
    const action = run.entry.onFailure[failure.reason];
    const service = run.service.name;
    const { log, metrics } = this.#mail.world;
    const { reason, detail } = failure;
    const { endpoint, xid } = run;
    log.warn('callout.failed', { mail: this.id, service, reason, action, detail, endpoint, xid });
    metrics.count('opes_callout_failures_total', { service, reason, action });
  }

  storeFailed(error: Error): void {
    this.#mail.storeFailed(error);
  }

  onFault(error: unknown): void {
    this.#mail.onFault(error);
  }

  onData(verdict: DataVerdict): void {
    const before = this.#before;
    const whole =
      verdict.kind === 'aside' && before.length > 0 ? { ...verdict, via: [...before, ...verdict.via] } : verdict;
    this.#verdict = whole;
    this.#mail.onVerdict(this, whole);
  }
}

/** Our block and what services added stand on top of what the client sent. */
export function maxAdaptedHeader({ limits }: Pick<MailWorld, 'limits'>): number {
  return limits.headerOctets + 64 * 1024;
}

const NOTHING: readonly ViaEntry[] = [];
