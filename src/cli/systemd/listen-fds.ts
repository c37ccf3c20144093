/**
 * Sockets that systemd opened for us (sd_listen_fds(3)): ports below 1024 without root. Each has the name of a listener
 * (`FileDescriptorName=`) and must listen where that listener would: what the file says of an address is judged when it is
 * loaded (nobody may relay from everywhere), and must be what is true.
 */
import { fstatSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { showHostPort } from '../../config/index.ts';
import { type ListenerOptions, showListenAddress } from '../../gateway/options.ts';
import { type ServerPlace, ServerSocket } from '../../smtp/index.ts';
import { EXIT, Failure } from '../exit.ts';

const FIRST_FD = 3;

export interface PassedSocket {
  readonly name: string;
  readonly fd: number;
}

/** What `env` says was passed to the process `pid`. */
export function passedSockets(env: Readonly<Record<string, string | undefined>>, pid: number): readonly PassedSocket[] {
  const count = Number(env['LISTEN_FDS'] ?? '0');
  if (env['LISTEN_PID'] !== String(pid) || !Number.isInteger(count) || count < 1) return [];
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  return Array.from({ length: count }, (_, at) => ({ name: names[at] ?? '', fd: FIRST_FD + at }));
}

/** They listen from here on, by the name of their listener; who connects waits until they are served. */
export async function takeSockets(
  passed: readonly PassedSocket[],
  listeners: readonly ListenerOptions[],
): Promise<Map<string, ServerSocket>> {
  const taken = new Map<string, ServerSocket>();
  try {
    for (const { name, fd } of passed) {
      const listener = listeners.find((one) => one.name === name);
      if (listener === undefined) throw strange(name, listeners);
      if (taken.has(name)) throw new Failure(TWICE(name), EXIT.config);
      const socket = await ServerSocket.bind({ fd, path: unixPathOf(fd) });
      taken.set(name, socket);
      checkPlace(listener, socket);
    }
    return taken;
  } catch (error) {
    await Promise.all([...taken.values()].map((one) => one.close()));
    throw error;
  }
}

const TWICE = (name: string) =>
  `systemd passed two sockets for listener "${name}"\n    write one ListenStream= a listener: for IPv4 and IPv6 alike "[::]:25" does both`;

function strange(name: string, listeners: readonly ListenerOptions[]): Failure {
  const names = listeners.map((one) => one.name).join(', ');
  return new Failure(
    `systemd passed a socket named "${name}", and no listener has that name\n    the listeners are: ${names}; write FileDescriptorName= with one of them in the socket unit`,
    EXIT.config,
  );
}

function checkPlace(listener: ListenerOptions, socket: ServerSocket): void {
  const { place } = socket;
  if (place !== undefined && isSamePlace(listener, place)) return;
  const is = place === undefined ? 'what is no port' : showPlace(place);
  throw new Failure(
    `listener "${listener.name}": systemd's socket listens on ${is}, the file says ${showListenAddress(listener.address)}\n    let both say the same: the rules against open relays go by the file`,
    EXIT.config,
  );
}

function isSamePlace({ address }: ListenerOptions, place: ServerPlace): boolean {
  if (address.kind === 'unix') return 'path' in place && posix.normalize(place.path) === address.path;
  if ('path' in place) return false;
  return (address.port === 0 || address.port === place.port) && isSameHost(address.host, place.address);
}

const showPlace = (place: ServerPlace): string =>
  'path' in place ? `unix:${place.path}` : showHostPort({ host: place.address, port: place.port });

/** Where a Unix socket listens, which Node does not tell of one it did not make: the kernel's list of them has it by inode. */
function unixPathOf(fd: number): string | undefined {
  let inode: string;
  let lines: string[];
  try {
    inode = String(fstatSync(fd).ino);
    lines = readFileSync('/proc/self/net/unix', 'latin1').split('\n');
  } catch {
    return undefined;
  }
  // Num RefCount Protocol Flags Type St Inode Path
  const fields = lines.map((line) => /^\S+: (?:\S+ +){5} *(\d+) (.*)$/.exec(line));
  return fields.find((one) => one?.[1] === inode)?.[2];
}

const ANY = new Set(['0.0.0.0', '::']);

function isSameHost(written: string, actual: string): boolean {
  return written === actual || (ANY.has(written) && ANY.has(actual)) || (written === 'localhost' && LOCAL.has(actual));
}

const LOCAL = new Set(['127.0.0.1', '::1']);
