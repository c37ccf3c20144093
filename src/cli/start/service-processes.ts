/** All embedded services of a configuration: their sockets, their permissions, and their start and end together. */
import { mkdirSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Log } from '../../base/index.ts';
import type { EffectiveConfig, EffectiveService } from '../../config/index.ts';
import type { CalloutEndpoint, ServiceOptions } from '../../gateway/options.ts';
import { privateDirectory } from '../private-directory.ts';
import { BUILTINS, readableForSelf, selfArgs } from '../program-files.ts';
import { EmbeddedService } from './embedded.ts';

export class ServiceProcesses {
  /** Every service of the configuration, now with endpoints. */
  readonly services: readonly ServiceOptions[];
  readonly #children: readonly EmbeddedService[];
  readonly #dir: string | undefined;

  private constructor(
    services: readonly ServiceOptions[],
    children: readonly EmbeddedService[],
    dir: string | undefined,
  ) {
    this.services = services;
    this.#children = children;
    this.#dir = dir;
  }

  /** Where they listen, for the ready line. */
  get sockets(): readonly string[] {
    return this.services.flatMap(({ endpoints }) =>
      endpoints.flatMap((one) =>
        one.kind === 'unix' && this.#dir !== undefined && one.path.startsWith(this.#dir) ? [one.path] : [],
      ),
    );
  }

  static async start(config: EffectiveConfig, log: Log): Promise<ServiceProcesses> {
    const embedded = config.services.filter((service) => service.from.kind !== 'connect');
    const dir = embedded.length === 0 ? undefined : privateDirectory();
    const socketOf = (service: EffectiveService) => join(dir ?? '', String(embedded.indexOf(service)), 'ocp.sock');
    for (const service of embedded) mkdirSync(dirname(socketOf(service)), { mode: 0o700 });
    const services = config.services.map(({ from, ...rules }, at): ServiceOptions => {
      const service = config.services[at];
      const local: CalloutEndpoint = { kind: 'unix', path: service === undefined ? '' : socketOf(service) };
      return { ...rules, endpoints: from.kind === 'connect' ? from.endpoints : [local] };
    });
    const started = await Promise.allSettled(
      embedded.map((service) =>
        EmbeddedService.start({
          name: service.name,
          args: childArgs(service, socketOf(service), config),
          socket: socketOf(service),
          log,
        }),
      ),
    );
    const children = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const processes = new ServiceProcesses(services, children, dir);
    const failed = started.find((one) => one.status === 'rejected');
    if (failed === undefined) return processes;
    await processes.stop();
    throw failed.reason;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true });
  }
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
