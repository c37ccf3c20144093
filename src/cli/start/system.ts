/**
 * Everything a configuration names, opened from the back to the front, so that nothing is asked of what is not there yet:
 * data directory, mailbox, services, gateway, console, metrics, admin socket. A reload opens what is new in the same order, switches the
 * gateway in one step, and lets go of what only the earlier configuration used when its last session is over.
 */
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { type EffectiveConfig, showHostPort } from '../../config/index.ts';
import type { ConsoleServer } from '../../console/index.ts';
import { type BoundSockets, type CalloutEndpoint, Gateway, METRICS, type ReloadReport } from '../../gateway/index.ts';
import { openStore, type Store, StoreError, type StoreErrorCode } from '../../store/index.ts';
import { AdminHandler } from '../admin/handler.ts';
import { AdminServer } from '../admin/server.ts';
import { EXIT, Failure } from '../exit.ts';
import type { FlushedLog } from '../log.ts';
import { Mailbox, mailboxSettings } from '../mailbox/mailbox.ts';
import { Figures } from '../metrics/figures.ts';
import { Health } from '../metrics/health.ts';
import type { Prometheus } from '../metrics/prometheus.ts';
import type { MetricsServer } from '../metrics/server.ts';
import type { Ready } from '../ready.ts';
import { DRAIN_MS } from '../shutdown.ts';
import { listenFailure, placeFailure } from './bind.ts';
import { gatewayOptions } from './gateway-options.ts';
import { type RunningServices, ServiceProcesses } from './service-processes.ts';

/** What stands beside the gateway; each may be another one after a reload. */
interface Opened {
  readonly config: EffectiveConfig;
  readonly mailbox: Mailbox | undefined;
  readonly running: RunningServices;
  readonly page: ConsoleServer | undefined;
  readonly metricsPage: MetricsServer | undefined;
}

export interface SystemReload {
  readonly report: ReloadReport;
  /** Embedded services that were started for it. */
  readonly started: readonly string[];
  readonly config: EffectiveConfig;
}

export class System {
  readonly metrics = new Figures(METRICS);
  readonly health = new Health();
  readonly #log: FlushedLog;
  readonly #onLost: () => void;
  readonly #processes: ServiceProcesses;
  #store: Store | undefined;
  #gateway: Gateway | undefined;
  #admin: AdminServer | undefined;
  #opened: Opened | undefined;
  #loadedAtMs = Date.now();
  #prometheus: Prometheus | undefined;

  private constructor(log: FlushedLog, onLost: () => void) {
    this.#log = log;
    this.#onLost = onLost;
    this.#processes = new ServiceProcesses(log);
    this.health.add('gateway', () => this.#gateway?.problems() ?? ['starting']);
    this.metrics.gauge('opes_ready', () => (this.health.problems().length === 0 ? 1 : 0));
    this.metrics.gauge('opes_configuration_loaded_seconds', () => Math.floor(this.#loadedAtMs / 1000));
  }

  /** `sockets` listen already. Rejects with nothing left open. `onLost`: it cannot go on, and is to be closed. */
  static async open(
    config: EffectiveConfig,
    sockets: BoundSockets,
    log: FlushedLog,
    onLost: () => void,
  ): Promise<System> {
    const system = new System(log, onLost);
    try {
      makeDataDirectory(config, log);
      await system.#openFirst(config, sockets);
      return system;
    } catch (error) {
      await Promise.all([...sockets.values()].map((socket) => socket.close()));
      await system.close();
      throw error;
    }
  }

  get config(): EffectiveConfig {
    return this.#now.config;
  }

  /** What the ready line says. */
  get ready(): Ready {
    const { running, page, metricsPage } = this.#now;
    return {
      listeners: this.#gateway?.listeners ?? [],
      ocp: running.sockets.map((path) => ({ path })),
      ...(page !== undefined && { console: page.url }),
      ...(metricsPage !== undefined && { metrics: metricsPage.url }),
    };
  }

  /** Rejects, with everything as it was, where something of the new configuration cannot be had. */
  async reload(config: EffectiveConfig): Promise<SystemReload> {
    const before = this.#now;
    const opened = await this.#openBeside(config, before);
    let report: ReloadReport;
    try {
      report = await this.#useIn(opened);
    } catch (error) {
      await this.#close(opened, before);
      throw listenFailure(error, config);
    }
    this.#opened = opened;
    this.#loadedAtMs = Date.now();
    void this.#track(this.#retire(before, opened, report.retired));
    return { report, started: opened.running.started, config };
  }

  /** Commands first, then the gateway: meanwhile `/readyz` says that it drains. Then what it used. */
  async close(): Promise<void> {
    const opened = this.#opened;
    await this.#closing('admin socket', this.#admin);
    await this.#closing('gateway', this.#gateway && { close: () => this.#gateway?.close(DRAIN_MS) });
    await this.#closing('store', this.#store);
    await this.#closing('console', opened?.page);
    await this.#closing('metrics', opened?.metricsPage);
    await this.#closing('services', { close: () => this.#processes.stop() });
    await this.#closing('mailbox', opened?.mailbox);
  }

  /** Clients hear 452 for what would be stored and 421 at the end of the drain; what is relayed inline goes on so long. */
  #lost({ message }: StoreError): void {
    const fix =
      'the service manager starts the program again, and stored mail goes on; look for what the system said of it';
    this.#log.error('store.lost', { error: message, fix });
    this.#onLost();
  }

  get #now(): Opened {
    if (this.#opened === undefined) throw new Error('the system is not open');
    return this.#opened;
  }

  async #openFirst(config: EffectiveConfig, sockets: BoundSockets): Promise<void> {
    const mailbox = needsMailbox(config) ? await Mailbox.open(config, this.#log) : undefined;
    // Kept as soon as it is there: `close` ends what is open of it.
    const closed: Opened = { config, mailbox, running: NONE, page: undefined, metricsPage: undefined };
    this.#opened = closed;
    this.#store = await openStoreOf(config, (error) => this.#lost(error));
    const running = await this.#processes.start(config);
    this.#opened = { ...closed, running };
    this.#gateway = await Gateway.open(this.#options(this.#opened), sockets);
    const page = await this.#openPage(config);
    this.#opened = { ...this.#opened, page };
    const metricsPage = await this.#openMetricsPage(config);
    this.#opened = { ...this.#opened, metricsPage };
    this.#admin = await this.#openAdmin(config, this.#gateway);
  }

  /** What the new configuration needs and is not there. */
  async #openBeside(config: EffectiveConfig, before: Opened): Promise<Opened> {
    const keepsMailbox = isDeepStrictEqual(mailboxSettings(config), mailboxSettings(before.config));
    let opened: Opened = {
      config,
      mailbox: needsMailbox(config) && keepsMailbox ? before.mailbox : undefined,
      running: NONE,
      page: isSamePlace(config.console, before.config.console) ? before.page : undefined,
      metricsPage: isSamePlace(config.metrics, before.config.metrics) ? before.metricsPage : undefined,
    };
    try {
      if (needsMailbox(config) && opened.mailbox === undefined)
        opened = { ...opened, mailbox: await Mailbox.open(config, this.#log) };
      opened = { ...opened, running: await this.#processes.start(config) };
      if (opened.page === undefined) opened = { ...opened, page: await this.#openPage(config) };
      if (opened.metricsPage === undefined) opened = { ...opened, metricsPage: await this.#openMetricsPage(config) };
      return opened;
    } catch (error) {
      await this.#close(opened, before);
      throw error;
    }
  }

  #useIn(opened: Opened): Promise<ReloadReport> {
    if (this.#gateway === undefined) throw new Error('there is no gateway');
    return this.#gateway.reload(this.#options(opened));
  }

  #options({ config, running, mailbox }: Opened) {
    const parts = { services: running.services, store: this.#store, mailbox, log: this.#log, metrics: this.metrics };
    const onSilent = (endpoint: CalloutEndpoint): void => {
      if (endpoint.kind === 'unix') this.#processes.silent(endpoint.path);
    };
    return gatewayOptions(config, { ...parts, onSilent });
  }

  /** Of `opened` what `kept` does not use. */
  async #close(opened: Opened, kept: Opened): Promise<void> {
    if (opened.metricsPage !== kept.metricsPage) await opened.metricsPage?.close();
    if (opened.page !== kept.page) await opened.page?.close();
    await opened.running.release();
    if (opened.mailbox !== kept.mailbox) await opened.mailbox?.close();
  }

  async #retire(before: Opened, now: Opened, retired: Promise<void>): Promise<void> {
    // Pages serve no mail: nobody waits for them.
    if (before.metricsPage !== now.metricsPage) await before.metricsPage?.close();
    if (before.page !== now.page) await before.page?.close();
    await retired;
    await before.running.release();
    if (before.mailbox !== now.mailbox) await before.mailbox?.close();
  }

  /** Waited for by nobody: `close` ends what it waits for. */
  async #track(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#log.error('close-failed', { what: 'earlier configuration', error: String(error) });
    }
  }

  async #closing(what: string, closable: { close(): Promise<unknown> | undefined } | undefined): Promise<void> {
    try {
      await closable?.close();
    } catch (error) {
      this.#log.error('close-failed', { what, error: error instanceof Error ? error.message : String(error) });
    }
  }

  /** Stays through a reload, as the data directory and the queue do. */
  async #openAdmin({ dataDir }: EffectiveConfig, { queue, recent }: Gateway): Promise<AdminServer | undefined> {
    if (queue === undefined) return undefined;
    const log = this.#log;
    return await AdminServer.open({ dataDir, handler: new AdminHandler({ queue, recent, log }), log });
  }

  async #openPage(config: EffectiveConfig): Promise<ConsoleServer | undefined> {
    const { console: settings } = config;
    const gateway = this.#gateway;
    if (settings === undefined || gateway === undefined) return undefined;
    const now = (): EffectiveConfig => this.config;
    // Pages bring packages that take memory: they are loaded by those who have them.
    const { openConsole } = await import('../../console/index.ts');
    try {
      // A page that stays through a reload shows what is then.
      return await openConsole({
        host: settings.host,
        port: settings.port,
        get showMail() {
          return now().console?.showMail ?? false;
        },
        get hostname() {
          return now().hostname;
        },
        get system() {
          return now().system;
        },
        get services() {
          return inOrder(now());
        },
        recent: gateway.recent,
        now: Date.now,
      });
    } catch (error) {
      throw placeFailure(error, showHostPort(settings), config);
    }
  }

  async #openMetricsPage(config: EffectiveConfig): Promise<MetricsServer | undefined> {
    if (config.metrics === undefined) return undefined;
    const [{ Prometheus }, { openMetrics }] = await Promise.all([
      import('../metrics/prometheus.ts'),
      import('../metrics/server.ts'),
    ]);
    this.#prometheus ??= new Prometheus(this.metrics.families);
    try {
      return await openMetrics(config.metrics, this.#prometheus, this.health);
    } catch (error) {
      throw placeFailure(error, showHostPort(config.metrics), config);
    }
  }
}

async function openStoreOf({ store, hostname }: EffectiveConfig, onLost: (error: StoreError) => void): Promise<Store> {
  try {
    return await openStore({ dataDir: store.directory, url: store.url, owner: hostname, onLost });
  } catch (error) {
    if (error instanceof StoreError)
      throw new Failure(error.message, MAY_PASS.has(error.code) ? EXIT.failed : EXIT.config);
    throw error;
  }
}

/** A supervisor that tries again may find it otherwise. */
const MAY_PASS: ReadonlySet<StoreErrorCode> = new Set(['owned', 'unreachable', 'full']);

const NONE: RunningServices = { services: [], sockets: [], started: [], release: async () => undefined };

function needsMailbox(config: EffectiveConfig): boolean {
  return config.routes.some((route) => route.nextHop === 'mailbox');
}

function isSamePlace(
  a: { readonly host: string; readonly port: number } | undefined,
  b: { readonly host: string; readonly port: number } | undefined,
): boolean {
  return a?.host === b?.host && a?.port === b?.port;
}

/** As mail meets them; those it does not meet come last. */
function inOrder(config: EffectiveConfig): EffectiveConfig['services'] {
  const place = (name: string) => {
    const at = config.pipeline.findIndex((entry) => entry.service === name);
    return at < 0 ? config.pipeline.length : at;
  };
  return config.services.toSorted((a, b) => place(a.name) - place(b.name));
}

/** Mails lie in it: nobody else may look (D9). */
function makeDataDirectory(config: EffectiveConfig, log: FlushedLog): void {
  try {
    mkdirSync(config.spillDir, { recursive: true, mode: 0o700 });
    if ((statSync(config.dataDir).mode & 0o077) !== 0) {
      log.warn('data-directory-open', { path: config.dataDir, fix: `chmod 700 ${config.dataDir}` });
    }
    chmodSync(config.spillDir, 0o700);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const fix = code === 'EACCES' || code === 'EPERM' ? '\n    let the user that runs opes own it (chown)' : '';
    throw new Failure(
      `the data directory ${config.dataDir} cannot be used (${code ?? String(error)})${fix}`,
      EXIT.config,
    );
  }
}
