/**
 * The embedded services of a configuration: their sockets, their permissions, their start and end. One that a later
 * configuration asks for in the same words, from the same file, goes on running; it ends when no configuration uses it.
 */
import { mkdirSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Log } from '../../base/index.ts';
import type { EffectiveConfig, EffectiveService } from '../../config/index.ts';
import type { ServiceOptions } from '../../gateway/options.ts';
import { privateDirectory } from '../private-directory.ts';
import { BUILTINS, readableForSelf, selfArgs } from '../program-files.ts';
import { EmbeddedService } from './embedded.ts';

/** The services of one configuration, all running. */
export interface RunningServices {
  /** Every service of the configuration, now with endpoints. */
  readonly services: readonly ServiceOptions[];
  /** Where the embedded ones listen, for the ready line. */
  readonly sockets: readonly string[];
  /** Names of those that were started for it. */
  readonly started: readonly string[];
  /** The configuration is used no more. */
  release(): Promise<void>;
}

interface Running {
  /** What it was started with: the same again is the same process. */
  readonly key: string;
  readonly socket: string;
  readonly child: EmbeddedService;
  users: number;
}

export class ServiceProcesses {
  readonly #log: Log;
  readonly #running = new Set<Running>();
  /** Told to end and not gone yet: an end of ours waits for them. */
  readonly #ending = new Set<Promise<void>>();
  #dir: string | undefined;
  #sockets = 0;
  #isStopped = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Starts what does not run yet. Rejects, with nothing started, where one of them does not come up. */
  async start(config: EffectiveConfig): Promise<RunningServices> {
    const embedded = config.services.filter((service) => service.from.kind !== 'connect');
    const started: string[] = [];
    const outcomes = await Promise.allSettled(
      embedded.map(async (service): Promise<Running> => {
        const key = keyOf(service, config);
        for (const one of this.#running) {
          if (one.key !== key) continue;
          one.users++;
          return one;
        }
        started.push(service.name);
        return await this.#start(service, config, key);
      }),
    );
    const used = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const release = async (): Promise<void> => {
      await Promise.all(used.splice(0).map((one) => this.#release(one)));
    };
    const failed = outcomes.find((one) => one.status === 'rejected');
    if (failed !== undefined) {
      await release();
      throw failed.reason;
    }
    const socketOf = new Map(embedded.map((service, at) => [service.name, used[at]?.socket ?? '']));
    return {
      services: config.services.map(({ from, ...rules }) => ({
        ...rules,
        endpoints: from.kind === 'connect' ? from.endpoints : [{ kind: 'unix', path: socketOf.get(rules.name) ?? '' }],
      })),
      sockets: [...socketOf.values()],
      started,
      release,
    };
  }

  /** Nobody answers on this socket any more. */
  silent(path: string): void {
    for (const { socket, child } of this.#running) if (socket === path) child.giveUp();
  }

  /** Ends all of them, and waits for those that are being ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const one of this.#running) void this.#end(one);
    await Promise.all(this.#ending);
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true });
  }

  async #start(service: EffectiveService, config: EffectiveConfig, key: string): Promise<Running> {
    this.#dir ??= privateDirectory();
    const socket = join(this.#dir, String(this.#sockets++), 'ocp.sock');
    mkdirSync(dirname(socket), { mode: 0o700 });
    try {
      const args = childArgs(service, socket, config);
      const child = await EmbeddedService.start({ name: service.name, args, socket, log: this.#log });
      const running = { key, socket, child, users: 1 };
      this.#running.add(running);
      // A reload was still starting it when all were ended.
      if (this.#isStopped) await this.#end(running);
      return running;
    } catch (error) {
      rmSync(dirname(socket), { recursive: true, force: true });
      throw error;
    }
  }

  async #release(running: Running): Promise<void> {
    if (--running.users > 0 || !this.#running.has(running)) return;
    await this.#end(running);
  }

  #end(running: Running): Promise<void> {
    this.#running.delete(running);
    const ended = this.#stop(running).finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
    return ended;
  }

  async #stop({ child, socket }: Running): Promise<void> {
    await child.stop();
    rmSync(dirname(socket), { recursive: true, force: true });
  }
}

/** Its file as it is now stands in the key: a service whose code has changed is another. Files it imports do not. */
function keyOf(service: EffectiveService, config: EffectiveConfig): string {
  const file = serviceFile(service);
  const { mtimeMs, size } = statSync(file);
  return JSON.stringify([service.name, service.uri, file, mtimeMs, size, readableForService(file, config)]);
}

function childArgs(service: EffectiveService, socket: string, config: EffectiveConfig): string[] {
  const file = serviceFile(service);
  const readable = [...readableForSelf(), ...readableForService(file, config)];
  const allowed = readable.map((path) => `--allow-fs-read=${path}`);
  // The socket's mode is set after it was made; that is a write to its directory, where nothing else lies.
  const permissions = ['--permission', ...allowed, `--allow-fs-write=${dirname(socket)}`];
  const listen = ['--listen', `unix:${socket}`, '--uri', service.uri, '--with-parent'];
  return [...permissions, ...selfArgs(['serve', file, ...listen])];
}

function serviceFile(service: EffectiveService): string {
  if (service.from.kind === 'run') return realpathSync(service.from.file);
  return service.from.kind === 'builtin' ? (BUILTINS.get(service.from.name) ?? '') : '';
}

/**
 * A service reads its own directory, so that it may be more than one file. Where that directory also holds mail or the
 * configuration with its keys, it reads the one file only.
 */
function readableForService(file: string, config: EffectiveConfig): string[] {
  const dir = dirname(file);
  const isBelow = (path: string) => !relative(dir, path).startsWith('..');
  const holdsOurs = isBelow(config.dataDir) || (config.file !== undefined && isBelow(config.file));
  if (holdsOurs) return [file, ...packagesIn(dir)];
  return [dir];
}

function packagesIn(dir: string): string[] {
  return readdirSync(dir).includes('node_modules') ? [join(dir, 'node_modules')] : [];
}
