/** `opes serve`: services from files, behind a port or a Unix socket, until told to end. */
import { serve as serveServices, withUri } from '../../callout/index.ts';
import type { Endpoint } from '../../ocp/net/index.ts';
import { EXIT, Failure, socketProblem } from '../exit.ts';
import type { Level } from '../levels.ts';
import { makeLog } from '../log.ts';
import { sayReady } from '../ready.ts';
import { DRAIN_MS, Shutdown } from '../shutdown.ts';
import { listenAt, type TlsFiles } from './listen-at.ts';
import { loadServices } from './modules.ts';

export interface ServeCommandOptions extends TlsFiles {
  readonly listen: string;
  readonly uri?: string;
  readonly insecure?: boolean;
  readonly withParent?: boolean;
  readonly logLevel: Level;
}

export async function serve(files: readonly string[], options: ServeCommandOptions): Promise<number> {
  const endpoint = listenAt(options.listen, options);
  const log = makeLog(options.logLevel, process.stderr.isTTY);
  const loaded = await loadServices(files);
  const { uri } = options;
  if (uri !== undefined && loaded.length !== 1)
    throw new Failure('--uri names one service, and there are several', EXIT.usage);
  const services = uri === undefined ? loaded : loaded.map((service) => withUri(service, uri));
  const shutdown = new Shutdown(log);
  if (options.withParent === true) endWithParent(shutdown);
  // A Unix socket is for its owner only (D5); its mode is that of its making.
  if (endpoint.kind === 'unix') process.umask(0o177);
  const server = await serveServices(services, { listen: endpoint, log, insecure: options.insecure ?? false }).catch(
    (error: unknown) => {
      throw new Failure(socketProblem(error, placeOf(endpoint)) ?? String(error));
    },
  );
  shutdown.add('callout server', () => server.close(DRAIN_MS));
  log.info('serving', { services: services.map((service) => service.uri) });
  sayReady({ listeners: [], ocp: [readyPlace(server.endpoint)] });
  await shutdown.wait();
  return EXIT.ok;
}

/** The gateway holds the other end of our stdin: it closes with the gateway, however that ends. */
function endWithParent(shutdown: Shutdown): void {
  process.stdin.on('end', () => shutdown.request('parent'));
  process.stdin.on('error', () => shutdown.request('parent'));
  process.stdin.resume();
}

function readyPlace(endpoint: Endpoint): { address: string; port: number } | { path: string } {
  return endpoint.kind === 'unix' ? { path: endpoint.path } : { address: endpoint.host, port: endpoint.port };
}

function placeOf(endpoint: Endpoint): string {
  return endpoint.kind === 'unix' ? endpoint.path : `${endpoint.host}:${endpoint.port}`;
}
