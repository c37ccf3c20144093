/**
 * `opes start`: listeners first, then no more rights than needed, then everything the file names (`system.ts`). The ready line
 * comes last. SIGHUP reloads the file, SIGTERM and SIGINT drain.
 */
import type { Level } from '../levels.ts';
import { loadConfig } from '../load.ts';
import { makeLog } from '../log.ts';
import { sayReady } from '../ready.ts';
import { Shutdown } from '../shutdown.ts';
import { passedSockets } from '../systemd/listen-fds.ts';
import { Notifier } from '../systemd/notify.ts';
import { bindListeners } from './bind.ts';
import { showWelcome } from './demo.ts';
import { accountToBecome, become, warnOfRoot } from './privileges.ts';
import { Reloader } from './reloader.ts';
import { System } from './system.ts';

export interface StartOptions {
  readonly config?: string;
  readonly logLevel: Level;
}

const SOCKETS_FIX = 'LISTEN_PID names another process: let ExecStart= run opes itself, without a shell around it';

export async function start(options: StartOptions): Promise<number> {
  const isTerminal = process.stderr.isTTY;
  const log = makeLog(options.logLevel, isTerminal);
  const config = loadConfig(options.config, (notice) => log.warn('configuration', { notice }));
  const shutdown = new Shutdown(log);
  // Before the first wait: a reload asked for while we start is done when we are up.
  const hangup = options.config === undefined ? undefined : shutdown.onHangup();
  const passed = passedSockets(process.env, process.pid);
  if (process.env['LISTEN_FDS'] !== undefined && passed.length === 0) {
    log.warn('sockets-not-ours', { pid: process.pid, listenPid: process.env['LISTEN_PID'], fix: SOCKETS_FIX });
  }
  const account = accountToBecome(config);
  const sockets = await bindListeners(config, passed, account);
  if (account !== undefined) become(account, config, log);
  // The service manager starts another process, which can have the store again.
  const system = await System.open(config, sockets, log, () => shutdown.fail('the store is lost'));
  shutdown.add('system', () => system.close());
  const notifier = new Notifier(process.env['NOTIFY_SOCKET'], log);
  shutdown.add('notice to systemd', async () => void notifier.stopping('draining'));
  warnOfRoot(config, log);
  sayReady(system.ready);
  void notifier.ready('serving');
  if (options.config !== undefined) {
    const reloader = new Reloader(options.config, system, log, notifier);
    hangup?.(() => void reloader.request());
  }
  if (isTerminal && options.config === undefined) showWelcome();
  return await shutdown.wait();
}
