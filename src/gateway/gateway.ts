/**
 * The gateway: listeners before, next hops behind, callout services beside, and what all mails share in between. Opened from
 * plain options, changed while it runs by others (`generation.ts`), closed by draining: no new mail, the mails under way to
 * their end within a bound.
 */
import type { Counter } from '../base/index.ts';
import { mailLimits } from '../mail/index.ts';
import { ProcessorChannel } from '../ocp/index.ts';
import type { ServerHandler, SmtpConnection } from '../smtp/index.ts';
import type { QueueAdmin } from './admin/port.ts';
import { Authenticator, type AuthWorld } from './auth/authenticator.ts';
import { Throttle } from './auth/throttle.ts';
import type { CalloutWorld } from './callouts/callout-channel.ts';
import type { CalloutService } from './callouts/callout-service.ts';
import { checkMail } from './check/check-mail.ts';
import { MemoryBudget } from './content/index.ts';
import { Dialog } from './dialog/dialog.ts';
import { InquiryPlaces } from './dialog/inquiry-places.ts';
import type { MailWorld } from './dialog/world.ts';
import { Dispatcher, type PipelineStep } from './dispatch/dispatcher.ts';
import { SpillDirectory } from './fs/spill-files.ts';
import { Generation } from './generation.ts';
import { type BoundSockets, Listeners, type ListeningAt } from './listeners.ts';
import { GatewayGauges } from './metrics/gauges.ts';
import { MailCounts } from './metrics/index.ts';
import { startTicker, type Ticker } from './net/ticker.ts';
import type {
  CheckReport,
  CheckRequest,
  GatewayLimits,
  GatewayOptions,
  ListenerOptions,
  RecentMails,
} from './options.ts';
import { type GatewayParts, makeParts } from './parts.ts';
import { RecentMailRing } from './record/recent-mails.ts';
import { compareOptions, type ReloadReport } from './reload.ts';
import { isRequired } from './required.ts';
import { makeRuleEngine, type RuleEngine } from './rules/index.ts';
import { SessionIds } from './session-ids.ts';
import type { Spool } from './spool/spool.ts';
import { makeQueueAdmin, makeSpool } from './spooling.ts';

/**
 * A callout server that says nothing for this long is asked (PQ), and given up after as long again. A
 * slow service is not a silent one: its server answers PQ at once (RFC 4037 section 11.22).
 */
const CHANNEL_TIMEOUTS = { silenceMs: 3000 };

/** Sessions of an earlier configuration that are still there after this are told 421 when their mail is done. */
const RETIRE_MS = 10 * 60_000;
/** Mails under way on a listener that a reload took out. */
const REMOVED_DRAIN_MS = 60_000;

export class Gateway {
  readonly recent: RecentMails;
  /** What operators do to the queue and the quarantine; without a store there is none. */
  readonly queue: QueueAdmin | undefined;
  readonly #ticker: Ticker;
  readonly #ring: RecentMailRing;
  readonly #inquiries: InquiryPlaces;
  readonly #budget: MemoryBudget;
  readonly #spill: SpillDirectory;
  readonly #ids = new SessionIds();
  readonly #listeners: Listeners;
  readonly #callouts: CalloutWorld;
  readonly #counts: MailCounts;
  readonly #sessions = new Map<string, Counter>();
  readonly #gauges: GatewayGauges;
  /** The present one last; before it those that sessions still hold. */
  readonly #generations: Generation[] = [];
  readonly #auth: AuthWorld;
  /** By the listener's options, which a reload makes anew; failures are remembered by all of them together. */
  readonly #authenticators = new WeakMap<ListenerOptions, Authenticator>();
  readonly #spool: Spool | undefined;
  #current: Generation;
  #isClosing = false;
  #isReloading = false;

  private constructor(options: GatewayOptions) {
    this.#ticker = startTicker();
    const { deadlines } = this.#ticker;
    const { log, metrics, limits } = options;
    this.#callouts = {
      openChannel: (endpoint, channel, events) =>
        ProcessorChannel.open(endpoint, { ...channel, deadlines, log, timeouts: CHANNEL_TIMEOUTS }, events),
      onSilent: options.onSilent,
      deadlines,
      log,
      metrics,
    };
    this.#ring = new RecentMailRing(options.recentMails);
    this.recent = this.#ring;
    this.#inquiries = new InquiryPlaces(limits);
    this.#budget = new MemoryBudget();
    this.#spill = new SpillDirectory({ directory: options.spillDir, maxOctets: limits.spillOctets });
    this.#counts = new MailCounts(metrics);
    this.#listeners = new Listeners(deadlines, metrics);
    this.#auth = { deadlines, log, metrics, throttle: new Throttle(this.#ticker.clock) };
    this.#spool = makeSpool(options, deadlines, this.#budget, this.#ring, () => this.#current);
    this.queue = makeQueueAdmin(options, this.#spool, this.#ring);
    this.#current = this.#makeGeneration(options);
    this.#gauges = new GatewayGauges(metrics, {
      budget: this.#budget,
      spill: this.#spill,
      hops: () => new Set(this.#generations.map((one) => one.parts.hops)),
      generations: () => this.#generations.length,
      services: () => this.#current.parts.services,
      spool: this.#spool,
    });
  }

  /**
   * Listens. Rejects, with nothing left open, where a listener cannot (its error says which and why). `sockets` that listen
   * already serve the listeners of their names.
   */
  static async open(options: GatewayOptions, sockets?: BoundSockets): Promise<Gateway> {
    const gateway = new Gateway(options);
    try {
      const prepared = await gateway.#listeners.prepare(options, gateway.#dialog, sockets);
      gateway.#use(gateway.#current);
      prepared.commit(0);
      gateway.#spool?.start();
      return gateway;
    } catch (error) {
      await gateway.close(0);
      throw error;
    }
  }

  get listeners(): readonly ListeningAt[] {
    return this.#listeners.list;
  }

  /** Whether every callout service has a channel up, and a server there that knows it. */
  get isReady(): boolean {
    return this.#current.parts.services.every((service) => service.isReady);
  }

  /** What keeps mail from being served now, a line each: listeners, services whose failure is the mail's, space. */
  problems(): readonly string[] {
    const found = this.#isClosing ? ['draining: no new connections are taken'] : [];
    const { pipeline } = this.#current.options;
    for (const service of this.#current.parts.services) {
      if (isRequired(service.name, pipeline) && !service.isReady) {
        const lacks = service.readyChannels > 0 ? 'served' : 'connected';
        found.push(`service ${service.name} is not ${lacks}: ${service.trouble}`);
      }
    }
    if (this.#spool?.isFull === true) found.push('the store has no room: new mail gets 452');
    if (this.#spill.isFull) found.push('limits.spill is used up: new mail gets 452');
    return found;
  }

  /** Runs a mail through dispatcher and services as a client's would be, and sends nothing on. */
  check(request: CheckRequest): Promise<CheckReport> {
    return checkMail(this.#current.world, this.#current.options, request);
  }

  /**
   * Another configuration, whole or not at all: rejects with nothing changed where a new listener cannot be opened. Sessions
   * that are open stay with what they began with. `spillDir`, store, queue, log and metrics stay as they are.
   */
  async reload(wanted: GatewayOptions): Promise<ReloadReport> {
    if (this.#isReloading) throw new Error('a reload is under way');
    this.#isReloading = true;
    try {
      return await this.#reload(wanted);
    } finally {
      this.#isReloading = false;
    }
  }

  async #reload(wanted: GatewayOptions): Promise<ReloadReport> {
    const { spillDir, store, queue, log, metrics } = this.#current.options;
    const options: GatewayOptions = { ...wanted, spillDir, store, queue, log, metrics };
    const prepared = await this.#listeners.prepare(options, this.#dialog);
    const before = this.#current;
    let next: Generation;
    try {
      if (this.#isClosing) throw new Error('the gateway is closing');
      next = this.#makeGeneration(options);
    } catch (error) {
      await prepared.abandon();
      throw error;
    }
    // Nothing waits and nothing fails from here to the end: no session sees a half of each.
    this.#use(next);
    prepared.commit(REMOVED_DRAIN_MS);
    const sessions = before.holders;
    const retired = this.#retire(before);
    return { generation: next.number, ...compareOptions(before.options, options), sessions, retired };
  }

  /** No new connections; sessions are told 421 when idle, mails under way end within `drainMs`. */
  async close(drainMs: number): Promise<void> {
    this.#isClosing = true;
    await this.#listeners.close(drainMs);
    await this.#spool?.close(drainMs);
    const hops = new Set(this.#generations.map((one) => one.parts.hops));
    await Promise.all([...hops].map((one) => one.close(Math.min(drainMs, 1000))));
    for (const service of this.#servicesOf(this.#generations)) service.close();
    this.#gauges.forget();
    this.#ticker.stop();
  }

  // --- generations --------------------------------------------------------------------------------------------------

  #makeGeneration(options: GatewayOptions): Generation {
    const parts = makeParts(options, this.#callouts, this.#generations.map((one) => one.parts).toReversed());
    const number = (this.#generations.at(-1)?.number ?? 0) + 1;
    return new Generation(number, options, this.#makeWorld(options, parts), parts);
  }

  #makeWorld(options: GatewayOptions, parts: GatewayParts): MailWorld {
    const { log, metrics, limits } = options;
    return {
      hostname: options.hostname,
      system: options.system,
      limits,
      headerLimits: { ...mailLimits, headerOctets: limits.headerOctets },
      deadlineMs: options.deadlineMs,
      dispatcher: new Dispatcher(options.routes, pipelineSteps(options, parts.services), log),
      relay: parts.hops,
      spool: this.#spool,
      inquiries: this.#inquiries,
      budget: this.#budget,
      spill: this.#spill,
      deadlines: this.#ticker.deadlines,
      clock: this.#ticker.clock,
      wallClock: Date.now,
      log,
      metrics,
      counts: this.#counts,
      keep: options.recentMails > 0 ? (record) => this.#ring.keep(record) : undefined,
      keepOctets: options.recentOctets,
    };
  }

  /** For sessions from now on, and for what all sessions share. */
  #use(next: Generation): void {
    this.#current = next;
    this.#generations.push(next);
    resize(this.#budget, this.#spill, next.options.limits);
    this.#inquiries.resize(next.options.limits);
    this.#ring.resize(next.options.recentMails);
    for (const service of next.parts.services) service.start();
    this.#gauges.useServices();
  }

  async #retire(old: Generation): Promise<void> {
    const patience = this.#ticker.after(RETIRE_MS, () => old.shutdownHolders());
    old.retire();
    await old.over;
    patience.cancel();
    this.#generations.splice(this.#generations.indexOf(old), 1);
    const inUse = this.#servicesOf(this.#generations);
    for (const service of old.parts.services) if (!inUse.has(service)) service.close();
    const users = this.#generations.filter((one) => one.parts.hops === old.parts.hops);
    if (users.length === 0) await old.parts.hops.close(0);
    else old.parts.hops.retain(users.flatMap((one) => one.options.routes));
  }

  #servicesOf(generations: readonly Generation[]): Set<CalloutService> {
    return new Set(generations.flatMap((one) => one.parts.services));
  }

  /** A session gets the configuration of the moment it begins. */
  readonly #dialog = (listener: ListenerOptions, connection: SmtpConnection): ServerHandler => {
    const generation = this.#current;
    const leave = generation.joined(connection);
    this.#sessionsOf(listener.name).add();
    const auth = this.#authenticatorOf(listener);
    return new Dialog(generation.world, listener, connection, this.#ids.next(), leave, auth);
  };

  #authenticatorOf(listener: ListenerOptions): Authenticator | undefined {
    if (listener.auth === undefined) return undefined;
    const known = this.#authenticators.get(listener);
    if (known !== undefined) return known;
    const made = new Authenticator(listener.auth.users, this.#auth);
    this.#authenticators.set(listener, made);
    return made;
  }

  #sessionsOf(listener: string): Counter {
    let counter = this.#sessions.get(listener);
    if (counter === undefined) {
      counter = this.#current.options.metrics.counter('opes_sessions_total', { listener });
      this.#sessions.set(listener, counter);
    }
    return counter;
  }
}

/** Together, all mails may have eight times what one may. */
function resize(budget: MemoryBudget, spill: SpillDirectory, limits: GatewayLimits): void {
  budget.resize(8 * limits.memoryOctets, limits.memoryOctets);
  spill.maxOctets = limits.spillOctets;
}

function pipelineSteps(options: GatewayOptions, services: readonly CalloutService[]): PipelineStep[] {
  const engine = makeRuleEngine();
  return options.pipeline.map((entry, index) => {
    const service = services.find(({ name }) => name === entry.service);
    if (service === undefined) throw new Error(`pipeline: there is no service '${entry.service}'`);
    return { index, entry, service, rule: entry.when === undefined ? undefined : compile(engine, entry.when) };
  });
}

function compile(engine: RuleEngine, text: string) {
  const compiled = engine.compile(text);
  if ('error' in compiled) throw new Error(`rule '${text}': ${compiled.error.message}`);
  return compiled.ok;
}
