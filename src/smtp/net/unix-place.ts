/**
 * A Unix socket's name in the file system: taken from a process that died, never from one that lives nor from a file that is
 * no socket; and who may open it, which is settled before anybody can connect (decision 0057).
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  type Stats,
  statSync,
  unlinkSync,
} from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';

/** Who may connect. Only owner and group of the file change where they are given. */
export interface SocketAccess {
  /** As chmod takes it: 0o660. */
  readonly mode: number;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

export interface UnixPlace extends SocketAccess {
  /** Absolute, at most 103 octets. */
  readonly path: string;
}

/** Why a path cannot be listened on. `access`: its owner, group or mode cannot be set. */
export type SocketPathCode = 'in-use' | 'no-socket' | 'no-directory' | 'denied' | 'access';

export class SocketPathError extends Error {
  override readonly name = 'SocketPathError';
  readonly code: SocketPathCode;
  readonly path: string;

  constructor(code: SocketPathCode, path: string, cause?: unknown) {
    super(`${path}: ${WORDS[code]}`, { cause });
    this.code = code;
    this.path = path;
  }
}

const WORDS: Readonly<Record<SocketPathCode, string>> = {
  'in-use': 'another process listens there',
  'no-socket': 'there is a file that is no socket, and it is left alone',
  'no-directory': 'there is no such directory',
  denied: 'the socket may not be made there',
  access: 'its owner, group or mode cannot be set',
};

/** Rejects with SocketPathError, and with nothing left behind. */
export async function listenAt(server: Server, place: UnixPlace, backlog: number): Promise<void> {
  try {
    await listenPrivately(server, place.path, backlog);
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw whyNot(error, place.path);
    await removeDead(place.path);
    await listenPrivately(server, place.path, backlog).catch((again: unknown) => {
      throw whyNot(again, place.path);
    });
  }
  try {
    setAccess(place);
  } catch (error) {
    await new Promise((resolve) => server.close(resolve));
    throw error;
  }
}

/**
 * Group and owner first: the file is its maker's alone until the mode is set. Returns what takes it back. Throws
 * SocketPathError with nothing changed.
 */
export function setAccess({ path, ...access }: UnixPlace): () => void {
  let was: Stats;
  try {
    was = put(path, access);
  } catch (error) {
    throw new SocketPathError('access', path, error);
  }
  return () => {
    try {
      put(path, { mode: was.mode & 0o777, uid: was.uid, gid: was.gid });
    } catch {
      // Whoever took the file away meanwhile took its mode, too.
    }
  };
}

/** Linux's open(2); Node has no name for it. */
const O_PATH = 0o10_000_000;

/**
 * The file is held while it is looked at and changed: the directory may be another user's, who could put a link to a file of
 * root's there in between, and chmod follows links. Returns what it was. Throws where it is no socket any more.
 */
function put(path: string, { mode, uid, gid }: SocketAccess): Stats {
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    const before = fstatSync(fd);
    if (!before.isSocket()) throw new Error('it is no socket any more');
    const held = `/proc/self/fd/${fd}`;
    const owner = uid ?? before.uid;
    const group = gid ?? before.gid;
    if (owner !== before.uid || group !== before.gid) chownSync(held, owner, group);
    chmodSync(held, mode);
    return before;
  } finally {
    closeSync(fd);
  }
}

/**
 * The file is made with the mask of this moment, before anything can answer at it. 0o077 and not 0o177: another thread may make
 * a directory just now, and needs the right to enter it.
 */
async function listenPrivately(server: Server, path: string, backlog: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  const before = process.umask(0o077);
  try {
    server.listen({ path, backlog }, resolve);
  } finally {
    process.umask(before);
  }
  try {
    await promise;
  } finally {
    server.off('error', reject);
    server.off('listening', resolve);
  }
}

async function removeDead(path: string): Promise<void> {
  const before = lstatSync(path, { throwIfNoEntry: false });
  if (before === undefined) return;
  if (!before.isSocket()) throw new SocketPathError('no-socket', path);
  if (!(await isDead(path))) throw new SocketPathError('in-use', path);
  // Another gateway that starts just now may have put its own there since.
  const now = lstatSync(path, { throwIfNoEntry: false });
  if (now === undefined) return;
  if (now.ino !== before.ino || now.dev !== before.dev) throw new SocketPathError('in-use', path);
  try {
    unlinkSync(path);
  } catch (error) {
    throw new SocketPathError('denied', path, error);
  }
}

/** Only a refused connection proves that nobody is behind it: one that is full, or closed to us, may be somebody's. */
function isDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    const done = (isOver: boolean): void => {
      probe.destroy();
      resolve(isOver);
    };
    probe.once('connect', () => done(false));
    probe.once('error', (error) => done(codeOf(error) === 'ECONNREFUSED'));
  });
}

/** Node says EACCES for a directory that is missing, too. */
function whyNot(error: unknown, path: string): SocketPathError {
  if (codeOf(error) === 'EADDRINUSE') return new SocketPathError('in-use', path, error);
  const directory = statSync(dirname(path), { throwIfNoEntry: false });
  return new SocketPathError(directory?.isDirectory() === true ? 'denied' : 'no-directory', path, error);
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
