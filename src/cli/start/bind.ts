/**
 * The ports of all listeners, taken before anything else is done: so that a port in use is told at once, and root's rights
 * can be given up before a line of a service, a mail or a store is read. Who connects meanwhile waits.
 */
import { type EffectiveConfig, showHostPort } from '../../config/index.ts';
import { ServerSocket } from '../../smtp/index.ts';
import { Failure, socketProblem } from '../exit.ts';
import { type PassedSocket, takeSockets } from '../systemd/listen-fds.ts';

export async function bindListeners(
  config: EffectiveConfig,
  passed: readonly PassedSocket[],
): Promise<Map<string, ServerSocket>> {
  const sockets = await takeSockets(passed, config.listeners);
  try {
    for (const { name, host, port } of config.listeners) {
      if (!sockets.has(name)) sockets.set(name, await bind(host, port, config));
    }
    return sockets;
  } catch (error) {
    await Promise.all([...sockets.values()].map((one) => one.close()));
    throw error;
  }
}

async function bind(host: string, port: number, config: EffectiveConfig): Promise<ServerSocket> {
  try {
    return await ServerSocket.bind({ host, port });
  } catch (error) {
    throw placeFailure(error, showHostPort({ host, port }), config);
  }
}

/** Why `place` cannot be had, and what to do; other errors as they are. */
export function placeFailure(error: unknown, place: string, config: EffectiveConfig): unknown {
  const problem = socketProblem(error, place);
  if (problem === undefined) return error;
  const isDemo = config.file === undefined;
  const advice = isDemo
    ? 'end it, or copy examples/demo.yaml, change the port there and run: bin/opes start --config FILE'
    : `end it, or change the address in ${config.source}`;
  return new Failure(`${problem}\n    ${adviceFor(error, config.source) ?? advice}`);
}

/** Undefined where somebody else is in its place. */
function adviceFor(error: unknown, source: string): string | undefined {
  const { code = '' } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'EACCES':
      return 'start it under systemd with a socket unit (docs/operate.md), or as root with user: in the file';
    case 'EADDRNOTAVAIL':
      return `write an address of this machine in ${source}`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `write an IP address in ${source}, or have the name resolved (DNS, /etc/hosts)`;
    default:
      return undefined;
  }
}
