/**
 * Where the admin socket is: in the data directory, which only its owner may enter. A path too long for a socket goes to a
 * private directory of its own, and a note in the data directory says where.
 */
import { lstatSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { privateDirectory } from '../private-directory.ts';

/** `sun_path` of sockaddr_un has 108 octets, and the last one is 0. */
const LONGEST_PATH = 107;
const SOCKET = 'admin.sock';

export interface SocketPlace {
  readonly path: string;
  /** Takes away what was made for it. */
  remove(): void;
}

/** For the gateway that is about to listen. What a former one left behind, and nobody answers, is in `leftover`. */
export function makePlace(dataDir: string): SocketPlace {
  const direct = join(dataDir, SOCKET);
  if (fits(direct)) return { path: direct, remove: () => rmSync(direct, { force: true }) };
  removeFormer(noteOf(dataDir));
  const directory = privateDirectory();
  const path = join(directory, SOCKET);
  writeFileSync(noteOf(dataDir), `${path}\n`, { mode: 0o600 });
  return {
    path,
    remove() {
      rmSync(noteOf(dataDir), { force: true });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** For a command; undefined: there is no note, so nobody listens. */
export function findPlace(dataDir: string): string | undefined {
  const direct = join(dataDir, SOCKET);
  return fits(direct) ? direct : readNote(noteOf(dataDir));
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= LONGEST_PATH;
}

function noteOf(dataDir: string): string {
  return join(dataDir, `${SOCKET}.path`);
}

function readNote(note: string): string | undefined {
  try {
    return readFileSync(note, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** A gateway that was killed left its directory. Only what is certainly a socket of ours goes, and a directory only when it is empty. */
function removeFormer(note: string): void {
  const path = readNote(note);
  if (path === undefined || basename(path) !== SOCKET) return;
  try {
    if (lstatSync(path).isSocket()) rmSync(path);
    rmdirSync(dirname(path));
  } catch {
    // It is gone already, or somebody put something beside it: it harms nobody.
  }
}
