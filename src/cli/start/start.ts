/**
 * `opes start`: everything a configuration names, opened from the back to the front, so that nothing is asked of what is
 * not there yet: data directory, mailbox, services, gateway, console, admin socket. The ready line comes last.
 */
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import type { Log } from '../../base/index.ts';
import { type EffectiveConfig, showHostPort } from '../../config/index.ts';
import { type ConsoleServer, openConsole } from '../../console/index.ts';
import { Gateway, type GatewayOptions } from '../../gateway/index.ts';
import { openStore, type Store, StoreError } from '../../store/index.ts';
import { AdminHandler } from '../admin/handler.ts';
import { AdminServer } from '../admin/server.ts';
import { EXIT, Failure, socketProblem } from '../exit.ts';
import type { Level } from '../levels.ts';
import { loadConfig } from '../load.ts';
import { type FlushedLog, makeLog } from '../log.ts';
import { Mailbox } from '../mailbox/mailbox.ts';
import { sayReady } from '../ready.ts';
import { DRAIN_MS, Shutdown } from '../shutdown.ts';
import { showWelcome } from './demo.ts';
import { gatewayOptions } from './gateway-options.ts';
import { ServiceProcesses } from './service-processes.ts';

export interface StartOptions {
  readonly config?: string;
  readonly logLevel: Level;
}

export async function start(options: StartOptions): Promise<number> {
  const isTerminal = process.stderr.isTTY;
  const log = makeLog(options.logLevel, isTerminal);
  const config = loadConfig(options.config, (notice) => log.warn('configuration', { notice }));
  const shutdown = new Shutdown(log);
  try {
    await openAll(config, log, shutdown);
  } catch (error) {
    await shutdown.closeAll();
    throw error;
  }
  if (isTerminal && options.config === undefined) showWelcome();
  await shutdown.wait();
  return EXIT.ok;
}

async function openAll(config: EffectiveConfig, log: FlushedLog, shutdown: Shutdown): Promise<void> {
  makeDataDirectory(config, log);
  const mailbox = config.routes.some((route) => route.nextHop === 'mailbox')
    ? await Mailbox.open(config, log)
    : undefined;
  if (mailbox !== undefined) shutdown.add('mailbox', () => mailbox.close());
  const processes = await ServiceProcesses.start(config, log);
  shutdown.add('services', () => processes.stop());
  const store = await openStoreOf(config);
  shutdown.add('store', () => store.close());
  const gateway = await openGateway(config, gatewayOptions(config, processes.services, store, mailbox, log));
  shutdown.add('gateway', () => gateway.close(DRAIN_MS));
  const page = config.console === undefined ? undefined : await openPage(config, gateway);
  if (page !== undefined) shutdown.add('console', () => page.close());
  const admin = await openAdmin(config, gateway, log);
  if (admin !== undefined) shutdown.add('admin socket', () => admin.close());
  sayReady({
    listeners: gateway.listeners,
    ocp: processes.sockets.map((path) => ({ path })),
    ...(page !== undefined && { console: page.url }),
  });
}

async function openGateway(config: EffectiveConfig, options: GatewayOptions): Promise<Gateway> {
  try {
    return await Gateway.open(options);
  } catch (error) {
    const { address, port } = error as { address?: string; port?: number };
    const place = address === undefined || port === undefined ? 'the listener' : showHostPort({ host: address, port });
    throw asFailure(error, place, config);
  }
}

async function openStoreOf({ store }: EffectiveConfig): Promise<Store> {
  try {
    return await openStore({ dataDir: store.directory, url: store.url });
  } catch (error) {
    if (error instanceof StoreError) throw new Failure(error.message);
    throw error;
  }
}

async function openAdmin({ dataDir }: EffectiveConfig, gateway: Gateway, log: Log): Promise<AdminServer | undefined> {
  const { queue, recent } = gateway;
  if (queue === undefined) return undefined;
  return await AdminServer.open({ dataDir, handler: new AdminHandler({ queue, recent, log }), log });
}

async function openPage(config: EffectiveConfig, gateway: Gateway): Promise<ConsoleServer | undefined> {
  const { console: settings } = config;
  if (settings === undefined) return undefined;
  try {
    return await openConsole({
      ...settings,
      hostname: config.hostname,
      system: config.system,
      services: inOrder(config),
      recent: gateway.recent,
      now: Date.now,
    });
  } catch (error) {
    throw asFailure(error, showHostPort(settings), config);
  }
}

/** As mail meets them; those it does not meet come last. */
function inOrder(config: EffectiveConfig): EffectiveConfig['services'] {
  const place = (name: string) => {
    const at = config.pipeline.findIndex((entry) => entry.service === name);
    return at < 0 ? config.pipeline.length : at;
  };
  return config.services.toSorted((a, b) => place(a.name) - place(b.name));
}

function asFailure(error: unknown, place: string, config: EffectiveConfig): unknown {
  const problem = socketProblem(error, place);
  if (problem === undefined) return error;
  const isDemo = config.file === undefined;
  const advice = isDemo
    ? 'end it, or copy examples/demo.yaml, change the port there and run: bin/opes start --config FILE'
    : `end it, or change the address in ${config.source}`;
  return new Failure(`${problem}\n    ${advice}`);
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
    throw new Failure(`the data directory ${config.dataDir} cannot be used (${code ?? String(error)})`, EXIT.config);
  }
}
