/** Users and groups of this machine. They may come from a directory service, so `id` and `getent` are asked and not /etc/passwd. */
import { execFileSync } from 'node:child_process';
import { EXIT, Failure } from './exit.ts';

export interface Account {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
  /** All groups the user is in. */
  readonly groups: readonly number[];
}

/** Throws Failure where there is none. */
export function findAccount(user: string, group: string | undefined): Account {
  const uid = ask('id', ['-u', user]);
  if (uid === undefined) {
    const fix = `make it (useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin ${user}), or name another`;
    throw new Failure(`user: there is no user "${user}" on this machine\n    ${fix}`, EXIT.config);
  }
  const gid = group === undefined ? Number(ask('id', ['-g', user])) : findGroup(group);
  if (gid === undefined)
    throw new Failure(`group: there is no group "${group}" on this machine\n    make it, or name another`, EXIT.config);
  const groups = (ask('id', ['-G', user]) ?? '').split(' ').filter(Boolean).map(Number);
  return { user, uid: Number(uid), gid, groups };
}

/** Its number. */
export function findGroup(name: string): number | undefined {
  const gid = Number(ask('getent', ['group', name])?.split(':')[2] ?? Number.NaN);
  return Number.isInteger(gid) ? gid : undefined;
}

function ask(program: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}
