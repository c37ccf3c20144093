/**
 * The services of mail that is stored already: what was taken although a service failed, and what an operator released. The
 * same variant and chain as in a dialog (profile notes, question 25: a simulated dialog), with nobody waiting at the other
 * end. It goes on with the service that failed; what the services before it did is in the content and in the trace.
 */
import { type Address, isPositive, type Reply } from '../../smtp/index.ts';
import type { StoredMail } from '../../store/index.ts';
import { type AgentUris, type CommandRequest, joinAsked, MailBypass } from '../bypass/index.ts';
import type { DataVerdict } from '../callouts/chain.ts';
import { loadHeader } from '../content/compare.ts';
import { type Content, OctetStore } from '../content/index.ts';
import { Envelope, type MailRecipient } from '../dialog/envelope.ts';
import { addressFacts, mailFacts, messageFacts } from '../dialog/mail-facts.ts';
import { MailFault } from '../dialog/mail-fault.ts';
import { MailHeader } from '../dialog/mail-header.ts';
import { Sender } from '../dialog/sender.ts';
import { makeSessionView, type SessionView } from '../dialog/session-view.ts';
import { maxAdaptedHeader, Variant, type VariantMail } from '../dialog/variant.ts';
import type { MailWorld } from '../dialog/world.ts';
import type { Judged, Plan } from '../dispatch/dispatcher.ts';
import type { MailFacts } from '../dispatch/facts.ts';
import type { ListenerOptions } from '../options.ts';
import type { MessageFacts } from '../rules/index.ts';
import type { ViaEntry } from '../trace/index.ts';
import { spoolReplies } from './replies.ts';
import {
  type DeliveryNotes,
  deliveryAsSent,
  holdReason,
  mailAsSent,
  mailNotes,
  notesOf,
  type QueuedDelivery,
} from './rows.ts';
import { stillToRun } from './still-to-run.ts';
import { namedRecipient, namedSender, rewrittenBy, storedRecipient, storedSender } from './stored-envelope.ts';
import { type Blocker, groupBy } from './task.ts';
import type { AdaptJob, AdaptLane, AdaptResult, Progress, Refusal } from './world.ts';

export class QueueAdaptation implements AdaptLane {
  readonly #world: MailWorld;
  readonly #listeners: readonly ListenerOptions[];

  constructor(world: MailWorld, listeners: readonly ListenerOptions[]) {
    this.#world = world;
    this.#listeners = listeners;
  }

  keyOf(mail: StoredMail, delivery: QueuedDelivery): string {
    const facts = mailFacts(this.#session(mail), namedSender(mail));
    const plan = this.#world.dispatcher.atRecipient(facts, addressFacts(namedRecipient(delivery)));
    const { OPESAUTH: isAuthorised } = mailAsSent(mail, delivery).params;
    // A refused request is a mark, and no run of its own: anybody may name anything for each of a thousand recipients.
    const asked = isAuthorised === undefined ? '' : delivery.params['OPESBYPASS'];
    return `${plan?.services} ${asked ?? ''} ${JSON.stringify(delivery.notes)}`;
  }

  run(job: AdaptJob, done: (result: AdaptResult) => void): void {
    new AdaptRun(this.#world, this.#session(job.mail), job, done).start();
  }

  /** As it was; its listener as it is now, or another where it is gone: only rules and sizes depend on it. */
  #session(mail: StoredMail): SessionView {
    const { session } = mailNotes(mail);
    const listener = this.#listeners.find(({ name }) => name === session.listener) ?? this.#listeners[0];
    if (listener === undefined) throw new Error('a gateway without listeners');
    return makeSessionView(this.#world.hostname, { ...session, listener });
  }
}

class AdaptRun implements VariantMail {
  readonly id: string;
  readonly world: MailWorld;
  readonly session: SessionView;
  readonly facts: MailFacts;
  readonly header: MailHeader;
  readonly envelope: Envelope;
  readonly earlierVia: readonly ViaEntry[];
  readonly judged: Judged | undefined;
  readonly mayChangeRoute = true;
  /** It is split before its services run, into runs. */
  readonly maySplit = false;
  readonly #job: AdaptJob;
  readonly #notes: DeliveryNotes;
  readonly #done: (result: AdaptResult) => void;
  readonly #variant: Variant;
  readonly #refused = new Map<number, Refusal>();
  readonly #request: CommandRequest | undefined;
  /** Of MAIL and of the message. */
  #asked: AgentUris | undefined;
  #bypass: MailBypass | undefined;
  #inserted: OctetStore | undefined;
  #unanswered = 0;
  #timesLost = 0;
  #isOver = false;

  constructor(world: MailWorld, session: SessionView, job: AdaptJob, done: (result: AdaptResult) => void) {
    const { mail, deliveries } = job;
    const [first] = deliveries;
    const { command, request } = storedSender(mail, first);
    this.#request = request;
    this.id = mailNotes(mail).mail;
    this.world = world;
    this.session = session;
    this.facts = mailFacts(session, namedSender(mail));
    // The services of an earlier run may have made it longer.
    this.header = new MailHeader({ ...world.headerLimits, headerOctets: maxAdaptedHeader(world) });
    this.envelope = new Envelope(command);
    this.#job = job;
    this.#notes = first === undefined ? {} : notesOf(first);
    this.earlierVia = this.#notes.via ?? [];
    this.judged = this.#notes.judged;
    this.#done = done;
    const sender = new Sender(command, request?.params);
    if (request?.isVouchedFor === true) sender.vouch();
    this.#variant = new Variant(this, sender, [], undefined);
  }

  start(): void {
    loadHeader(this.#job.content, maxAdaptedHeader(this.world), (error, octets) => {
      try {
        if (error === undefined) this.#begin(octets);
        else this.storeFailed(error);
      } catch (fault) {
        this.onFault(fault);
      }
    });
  }

  #begin(octets: Buffer): void {
    this.header.feed(octets);
    this.header.end();
    const { mail, deliveries } = this.#job;
    const only = deliveries.length === 1 ? deliveries[0]?.forwardPath : undefined;
    const isUtf8 = mail.params['SMTPUTF8'] !== undefined;
    this.header.receive(this.session, this.id, isUtf8, only, mail.acceptedMs);
    this.#asked = joinAsked(this.#request?.asked, this.header.bypass?.asked);
    const groups = this.#groups();
    if (groups.length > 1) this.#end({ kind: 'split', groups });
    else this.#askRecipients();
  }

  /** Deliveries that meet the same services, by the rules that read recipient and message (decision 0043). */
  #groups(): readonly (readonly QueuedDelivery[])[] {
    const { deliveries } = this.#job;
    if (deliveries.length < 2) return [deliveries];
    const { dispatcher } = this.world;
    const message = this.messageFacts();
    const keyOf = (delivery: QueuedDelivery): string => {
      const recipient = addressFacts(namedRecipient(delivery));
      const { judged } = notesOf(delivery);
      const calls = dispatcher.atRecipient(this.facts, recipient)?.calls ?? [];
      return calls
        .filter(({ step, isOpen }) => isOpen && step.rule?.reads.has('recipient'))
        .map(({ step }) => (dispatcher.atData(step, this.facts, recipient, message, judged) ? '+' : '-'))
        .join('');
    };
    return [...groupBy(deliveries, keyOf).values()];
  }

  #askRecipients(): void {
    const { deliveries } = this.#job;
    this.#unanswered = deliveries.length;
    for (const delivery of deliveries.map(deliveryAsSent)) {
      const { command, request } = storedRecipient(delivery);
      // The ticket is the delivery's number: answers find their way back by it.
      const recipient = this.envelope.add(command, delivery.n, request);
      const plan = this.#plan(command.forwardPath, request?.asked);
      if (plan === undefined) this.onRcptAnswer(recipient, spoolReplies.noRoute);
      else this.#variant.rcpt(recipient, stillToRun(plan, this.#notes));
    }
  }

  /** Who asked had authority when the mail was taken, or had none; what the message asks is known before any service is shown anything. */
  #plan(recipient: Address, asked: AgentUris | undefined): Plan | undefined {
    const { dispatcher, system } = this.world;
    const found = dispatcher.atRecipient(this.facts, addressFacts(recipient));
    if (found === undefined || (this.#asked === undefined && asked === undefined)) return found;
    const { user } = this.session;
    const who = user === '' ? 'a peer' : `login ${user}`;
    const requester = { isAuthorised: this.#request?.isVouchedFor === true, who };
    this.#bypass ??= new MailBypass(system.uri, dispatcher, requester, this.#asked);
    return this.#bypass.plan(found, asked);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  onRcptAnswer(recipient: MailRecipient, reply: Reply): void {
    this.#answered(recipient, reply, undefined);
  }

  onRcptRefused(recipient: MailRecipient, reply: Reply): void {
    this.#answered(recipient, reply, this.#blocker(false));
  }

  /** A report names who stopped the mail, whether by a verdict or by not working (REQ-054). Only a verdict is on the content. */
  #blocker(isOnContent: boolean): Blocker | undefined {
    const stop = this.#variant.chain.stoppedBy;
    return stop && { ...stop, isOnContent: isOnContent && stop.because === 'verdict' };
  }

  #answered(recipient: MailRecipient, reply: Reply, by: Blocker | undefined): void {
    recipient.reply = reply;
    if (!isPositive(reply)) this.#refused.set(recipient.ticket, { reply, by });
    this.#unanswered--;
    if (this.#unanswered > 0) return;
    const forNow = [...this.#refused.values()].find((one) => one.reply.code < 500);
    // A recipient put off puts off those it shares the run with: they meet the same services again.
    if (forNow !== undefined) {
      this.#end({ kind: 'later', reply: forNow.reply, ...(forNow.by && { by: forNow.by }) });
      return;
    }
    if (this.#refused.size === this.#job.deliveries.length) {
      this.#end({ kind: 'release', content: this.#job.content, refused: this.#refused, dispose: () => undefined });
      return;
    }
    this.#variant.chain.begin(this.#job.content);
    this.#variant.chain.ended();
  }

  onVerdict(variant: Variant, verdict: DataVerdict): void {
    switch (verdict.kind) {
      case 'release': {
        const inserted = this.#inserted;
        const content = variant.release(verdict.base);
        this.#end({
          kind: 'release',
          content,
          refused: this.#refused,
          rewritten: rewrittenBy(this.#variant),
          dispose: () => inserted?.dispose(),
        });
        return;
      }
      case 'refused': {
        const by = this.#blocker(true) ?? { service: '', because: 'verdict', isOnContent: true };
        const { reply } = verdict;
        if (reply.code < 500) this.#end({ kind: 'later', reply, by });
        else this.#end({ kind: 'refused', reply, by, refused: this.#refused });
        return;
      }
      case 'aside':
        this.#putAside(verdict);
    }
  }

  #putAside({ action, service, cause, base, via }: Extract<DataVerdict, { readonly kind: 'aside' }>): void {
    switch (cause.kind) {
      case 'delay':
        this.#putOff(service, this.world.wallClock() + cause.seconds * 1000, base, via);
        return;
      case 'quarantine':
        this.#end({ kind: 'hold', service, reason: holdReason('verdict', cause.reason), refused: this.#refused });
        return;
      case 'failure': {
        const by: Blocker = { service, because: 'failure', isOnContent: false };
        if (action === 'spool') this.#end({ kind: 'later', reply: spoolReplies.serviceFailed, by });
        else this.#end({ kind: 'hold', service, reason: cause.reason, refused: this.#refused });
      }
    }
  }

  #putOff(service: string, atMs: number, base: Content, via: readonly ViaEntry[]): void {
    const inserted = this.#inserted;
    const isChanged = base !== this.#job.content;
    const progress: Progress = {
      service,
      content: isChanged ? base : undefined,
      via: [...this.earlierVia, ...via],
      judged: isChanged && this.judged === undefined ? this.#judgeAll() : new Map(),
      rewritten: rewrittenBy(this.#variant),
      dispose: () => inserted?.dispose(),
    };
    this.#end({ kind: 'delay', atMs, refused: this.#refused, progress });
  }

  /** What rules say of the message as this run found it: nobody had changed it before. */
  #judgeAll(): ReadonlyMap<number, Judged> {
    const all = new Map<number, Judged>();
    for (const recipient of this.#variant.accepted) {
      const judged = this.#variant.judge(recipient);
      if (judged !== undefined) all.set(recipient.ticket, judged);
    }
    return all;
  }

  #end(result: AdaptResult): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // Never from within `run`: whoever asked is still at it.
    queueMicrotask(() => this.#done(result));
    const isDone = result.kind === 'release' || result.kind === 'delay';
    this.#variant.chain.release(isDone ? { code: 200, reason: '' } : { code: 400, reason: 'mail stays in the queue' });
    if (!isDone) this.#inserted?.dispose();
  }

  messageFacts(): MessageFacts {
    return messageFacts(this.#job.content.size, this.header.octets);
  }

  openInserted(onCaughtUp: () => void): OctetStore {
    const { budget, spill } = this.world;
    this.#inserted = new OctetStore(budget, spill, {
      onCaughtUp,
      onFailed: (error) => this.storeFailed(error),
      onFault: (error) => this.onFault(error),
    });
    return this.#inserted;
  }

  mayRunAgain(): boolean {
    this.#timesLost++;
    return this.#timesLost === 1;
  }

  storeFailed(error: Error): void {
    this.world.log.error('store.failed', { mail: this.id, error: error.message });
    this.#end({ kind: 'later', reply: spoolReplies.unreadable });
  }

  onFault(error: unknown): void {
    const fault = new MailFault(this.world.log, this.id, error);
    fault.attempt(() => this.#end({ kind: 'later', reply: spoolReplies.fault }));
  }

  // Nobody waits for progress, and there is no next hop yet.
  onProgress(): void {}
  onSplit(): void {}
  onLegLost(): void {}
  onRelayed(): void {}
  onStoreFailed(): void {}
}
