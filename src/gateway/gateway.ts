/**
 * The gateway: listeners before, next hops behind, callout services beside, and what all mails share in between. Opened from
 * plain options, closed by draining: no new mail, the mails under way to their end within a bound.
 */
import { mailLimits } from '../mail/index.ts';
import { ProcessorChannel } from '../ocp/index.ts';
import { type ServerHandler, type SmtpConnection, SmtpListener } from '../smtp/index.ts';
import type { QueueAdmin } from './admin/port.ts';
import { StoreQueueAdmin } from './admin/queue-admin.ts';
import { CalloutService, type CalloutWorld } from './callouts/callout-service.ts';
import { checkMail } from './check/check-mail.ts';
import { MemoryBudget } from './content/index.ts';
import { Dialog } from './dialog/dialog.ts';
import type { MailWorld } from './dialog/world.ts';
import { Dispatcher, type PipelineStep } from './dispatch/dispatcher.ts';
import { SpillDirectory } from './fs/spill-files.ts';
import { startTicker, type Ticker } from './net/ticker.ts';
import type { CheckReport, CheckRequest, GatewayOptions, ListenerOptions, RecentMails } from './options.ts';
import { RecentMailRing } from './record/recent-mails.ts';
import { NextHops } from './relay/next-hops.ts';
import { makeRuleEngine, type RuleEngine } from './rules/index.ts';
import { SessionIds } from './session-ids.ts';
import { QueueAdaptation } from './spool/adaptation.ts';
import type { ReportMaker } from './spool/port.ts';
import { Spool } from './spool/spool.ts';

export interface ListeningAt {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

const noReports: ReportMaker = {
  make: async ({ failed }) => ({
    mails: [],
    excepted: new Map(failed.map(({ delivery }) => [delivery.n, 'no reports'])),
  }),
};

/**
 * A callout server that says nothing for this long while it has mails is asked (PQ), and given up after as long again. A
 * slow service is not a silent one: its server answers PQ at once (RFC 4037 section 11.22).
 */
const CHANNEL_TIMEOUTS = { silenceMs: 3000 };

export class Gateway {
  readonly recent: RecentMails;
  /** What operators do to the queue and the quarantine; without a store there is none. */
  readonly queue: QueueAdmin | undefined;
  readonly #options: GatewayOptions;
  readonly #ticker: Ticker;
  readonly #services: readonly CalloutService[];
  readonly #hops: NextHops;
  readonly #world: MailWorld;
  readonly #spool: Spool | undefined;
  readonly #ids = new SessionIds();
  readonly #listeners: SmtpListener[] = [];
  #listening: readonly ListeningAt[] = [];

  private constructor(options: GatewayOptions) {
    this.#options = options;
    this.#ticker = startTicker();
    const { deadlines } = this.#ticker;
    const { log, metrics, limits } = options;
    const callouts: CalloutWorld = {
      openChannel: (endpoint, channel, events) =>
        ProcessorChannel.open(endpoint, { ...channel, deadlines, log, timeouts: CHANNEL_TIMEOUTS }, events),
      deadlines,
      log,
      metrics,
    };
    this.#services = options.services.map((service) => new CalloutService(service, callouts));
    this.#hops = new NextHops({ helo: options.hostname, connections: limits.nextHopConnections, log });
    const ring = new RecentMailRing(options.recentMails);
    this.recent = ring;
    const world: Omit<MailWorld, 'spool'> = {
      hostname: options.hostname,
      system: options.system,
      limits,
      headerLimits: { ...mailLimits, headerOctets: limits.headerOctets },
      deadlineMs: options.deadlineMs,
      dispatcher: new Dispatcher(options.routes, pipelineSteps(options, this.#services), log),
      relay: this.#hops,
      budget: new MemoryBudget(8 * limits.memoryOctets, limits.memoryOctets),
      spill: new SpillDirectory({ directory: options.spillDir, maxOctets: limits.spillOctets }),
      deadlines,
      clock: this.#ticker.clock,
      wallClock: Date.now,
      log,
      metrics,
      keep: options.recentMails > 0 ? (record) => ring.keep(record) : undefined,
      keepOctets: options.recentOctets,
    };
    this.#spool = openSpool(options, world);
    this.#world = { ...world, spool: this.#spool };
    this.queue = openQueue(options, this.#spool);
  }

  /** Listens. Rejects, with nothing left open, where a listener cannot (its error says which and why). */
  static async open(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    try {
      for (const service of gateway.#services) service.start();
      await gateway.#listen();
      gateway.#spool?.start();
      return gateway;
    } catch (error) {
      await gateway.close(0);
      throw error;
    }
  }

  get listeners(): readonly ListeningAt[] {
    return this.#listening;
  }

  /** Whether every callout service has a channel up. */
  get isReady(): boolean {
    return this.#services.every((service) => service.isReady);
  }

  /** Runs a mail through dispatcher and services as a client's would be, and sends nothing on. */
  check(request: CheckRequest): Promise<CheckReport> {
    return checkMail(this.#world, this.#options.listeners, request);
  }

  /** No new connections; sessions are told 421 when idle, mails under way end within `drainMs`. */
  async close(drainMs: number): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close(drainMs)));
    await this.#spool?.close(drainMs);
    await this.#hops.close(Math.min(drainMs, 1000));
    for (const service of this.#services) service.close();
    this.#ticker.stop();
  }

  async #listen(): Promise<void> {
    const found: ListeningAt[] = [];
    for (const options of this.#options.listeners) {
      const { log, hostname } = this.#options;
      const { deadlines } = this.#ticker;
      const listener = await SmtpListener.listen({ ...options, hostname, log, deadlines }, (connection) =>
        this.#dialog(options, connection),
      );
      this.#listeners.push(listener);
      found.push({ name: options.name, address: listener.address, port: listener.port });
    }
    this.#listening = found;
  }

  #dialog(options: ListenerOptions, connection: SmtpConnection): ServerHandler {
    return new Dialog(this.#world, options, connection, this.#ids.next());
  }
}

function openSpool(options: GatewayOptions, world: Omit<MailWorld, 'spool'>): Spool | undefined {
  const { store, queue, listeners } = options;
  if (store === undefined) return undefined;
  const { dispatcher, relay, deadlines, wallClock, log, metrics } = world;
  const adapt = new QueueAdaptation({ ...world, spool: undefined }, listeners);
  const reports = noReports;
  return new Spool(queue, {
    store,
    dispatcher,
    relay,
    reports,
    adapt,
    deadlines,
    wallClock,
    random: Math.random,
    log,
    metrics,
  });
}

function openQueue({ store, queue, log }: GatewayOptions, spool: Spool | undefined): QueueAdmin | undefined {
  if (store === undefined || spool === undefined) return undefined;
  const { lifetimeMs, keepMs } = queue;
  return new StoreQueueAdmin({ store, wake: () => spool.wake(), wallClock: Date.now, log, lifetimeMs, keepMs });
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
