/**
 * The gateway: listeners before, next hops behind, callout services beside, and what all mails share in between. Opened from
 * plain options, closed by draining: no new mail, the mails under way to their end within a bound.
 */
import { mailLimits } from '../mail/index.ts';
import { ProcessorChannel } from '../ocp/index.ts';
import { type ServerHandler, type SmtpConnection, SmtpListener } from '../smtp/index.ts';
import { Authenticator, type AuthWorld } from './auth/authenticator.ts';
import { Throttle } from './auth/throttle.ts';
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

export interface ListeningAt {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/**
 * A callout server that says nothing for this long while it has mails is asked (PQ), and given up after as long again. A
 * slow service is not a silent one: its server answers PQ at once (RFC 4037 section 11.22).
 */
const CHANNEL_TIMEOUTS = { silenceMs: 3000 };

export class Gateway {
  readonly recent: RecentMails;
  readonly #options: GatewayOptions;
  readonly #ticker: Ticker;
  readonly #services: readonly CalloutService[];
  readonly #hops: NextHops;
  readonly #world: MailWorld;
  readonly #auth: AuthWorld;
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
    this.#auth = { deadlines, log, metrics, throttle: new Throttle(this.#ticker.clock) };
    const ring = new RecentMailRing(options.recentMails);
    this.recent = ring;
    this.#world = {
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
  }

  /** Listens. Rejects, with nothing left open, where a listener cannot (its error says which and why). */
  static async open(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    try {
      for (const service of gateway.#services) service.start();
      await gateway.#listen();
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
    await this.#hops.close(Math.min(drainMs, 1000));
    for (const service of this.#services) service.close();
    this.#ticker.stop();
  }

  async #listen(): Promise<void> {
    const found: ListeningAt[] = [];
    for (const options of this.#options.listeners) {
      const { log, hostname } = this.#options;
      const { deadlines } = this.#ticker;
      const authenticator = options.auth && new Authenticator(options.auth.users, this.#auth);
      const auth = options.auth === undefined ? 'none' : options.auth.isClearAllowed ? 'always' : 'over-tls';
      const listener = await SmtpListener.listen({ ...options, auth, hostname, log, deadlines }, (connection) =>
        this.#dialog(options, connection, authenticator),
      );
      this.#listeners.push(listener);
      found.push({ name: options.name, address: listener.address, port: listener.port });
    }
    this.#listening = found;
  }

  #dialog(options: ListenerOptions, connection: SmtpConnection, auth: Authenticator | undefined): ServerHandler {
    return new Dialog(this.#world, options, connection, this.#ids.next(), auth);
  }
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
