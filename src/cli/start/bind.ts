/**
 * The places of all listeners, taken before anything else is done: so that a port in use is told at once, and root's rights
 * can be given up before a line of a service, a mail or a store is read. Who connects meanwhile waits.
 */
import { dirname } from 'node:path';
import { type EffectiveConfig, showHostPort } from '../../config/index.ts';
import { type ListenAddress, showListenAddress } from '../../gateway/options.ts';
import { type BindTo, ServerSocket, SocketPathError } from '../../smtp/index.ts';
import type { Account } from '../accounts.ts';
import { Failure, socketProblem } from '../exit.ts';
import { type PassedSocket, takeSockets } from '../systemd/listen-fds.ts';

/** `account`: who we are going to be; files of Unix sockets are its own, so that it can remove them and let others in. */
export async function bindListeners(
  config: EffectiveConfig,
  passed: readonly PassedSocket[],
  account: Account | undefined,
): Promise<Map<string, ServerSocket>> {
  const sockets = await takeSockets(passed, config.listeners);
  try {
    for (const { name, address } of config.listeners) {
      if (!sockets.has(name)) sockets.set(name, await bind(address, account, config));
    }
    return sockets;
  } catch (error) {
    await Promise.all([...sockets.values()].map((one) => one.close()));
    throw error;
  }
}

async function bind(
  address: ListenAddress,
  account: Account | undefined,
  config: EffectiveConfig,
): Promise<ServerSocket> {
  try {
    return await ServerSocket.bind(ownedBy(account, address));
  } catch (error) {
    throw placeFailure(error, showListenAddress(address), config);
  }
}

function ownedBy(account: Account | undefined, address: ListenAddress): BindTo {
  if (address.kind === 'tcp' || account === undefined) return address;
  return { ...address, uid: account.uid, gid: address.gid ?? account.gid };
}

/** Why `place` cannot be had, and what to do; other errors as they are. */
export function placeFailure(error: unknown, place: string, config: EffectiveConfig): unknown {
  if (error instanceof SocketPathError) return pathFailure(error, config);
  const problem = socketProblem(error, place);
  if (problem === undefined) return error;
  const isDemo = config.file === undefined;
  const advice = isDemo
    ? 'end it, or copy examples/demo.yaml, change the port there and run: bin/opes start --config FILE'
    : `end it, or change the address in ${config.source}`;
  return new Failure(`${problem}\n    ${adviceFor(error, config.source) ?? advice}`);
}

/** A listener's, where only the error says which. */
export function listenFailure(error: unknown, config: EffectiveConfig): unknown {
  if (error instanceof SocketPathError) return pathFailure(error, config);
  const { address, port } = error as { address?: string; port?: number };
  if (address === undefined || port === undefined) return error;
  return placeFailure(error, showHostPort({ host: address, port }), config);
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

function pathFailure({ code, path }: SocketPathError, { source }: EffectiveConfig): Failure {
  const directory = dirname(path);
  const [what, fix] = {
    'in-use': [
      `unix:${path} is already in use: another program, or another opes, listens there`,
      `end it, or change the address in ${source}`,
    ],
    'no-socket': [
      `unix:${path} is a file and no socket; it is left alone`,
      `move it away, or change the address in ${source}`,
    ],
    'no-directory': [
      `unix:${path} cannot be made: there is no directory ${directory}`,
      'make it, owned by the user that runs opes (systemd: RuntimeDirectory=)',
    ],
    denied: [
      `this user may not make unix:${path}`,
      `let the user that runs opes own ${directory} (systemd: RuntimeDirectory=)`,
    ],
    access: [
      `group and mode of unix:${path} cannot be set`,
      'group: names one that the user who runs opes is in; under systemd a socket unit with SocketGroup= needs none',
    ],
  }[code];
  return new Failure(`${what}\n    ${fix}`);
}
