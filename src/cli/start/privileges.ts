/**
 * From root to the user the file names: after the ports are open, before anything else. Keys and the configuration were
 * read as root; a reload reads them again as the user, so the user must be able to.
 */
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log } from '../../base/index.ts';
import type { EffectiveConfig } from '../../config/index.ts';
import { EXIT, Failure } from '../exit.ts';

export interface Account {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
  /** All groups the user is in. */
  readonly groups: readonly number[];
}

export function dropPrivileges(config: EffectiveConfig, log: Log): void {
  if (process.getuid?.() !== 0 || config.user === undefined) return;
  const account = findAccount(config.user, config.group);
  if (account.uid === 0) throw new Failure(`user: ${config.user} is root\n    name another user`, EXIT.config);
  makeOwned(config.dataDir, account);
  process.setgroups?.(account.groups);
  process.setgid?.(account.gid);
  process.setuid?.(account.uid);
  log.info('became-user', { user: account.user, uid: account.uid, gid: account.gid });
}

/** Told once we are up; of the demo not at all: it is for trying out, in a container as likely as not. */
export function warnOfRoot(config: EffectiveConfig, log: Log): void {
  if (process.getuid?.() !== 0 || config.file === undefined) return;
  log.warn('running-as-root', { fix: 'write user: in the file, or start it under systemd' });
}

/** Accounts may come from a directory service, so `id` is asked and not /etc/passwd. */
function findAccount(user: string, group: string | undefined): Account {
  const uid = ask('id', ['-u', user]);
  if (uid === undefined) {
    const fix = `make it (useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin ${user}), or name another`;
    throw new Failure(`user: there is no user "${user}" on this machine\n    ${fix}`, EXIT.config);
  }
  const gid = group === undefined ? ask('id', ['-g', user]) : ask('getent', ['group', group])?.split(':')[2];
  if (gid === undefined)
    throw new Failure(`group: there is no group "${group}" on this machine\n    make it, or name another`, EXIT.config);
  const groups = (ask('id', ['-G', user]) ?? '').split(' ').filter(Boolean).map(Number);
  return { user, uid: Number(uid), gid: Number(gid), groups };
}

function ask(program: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

/** The data directory where it is not there yet, with all that is made above it; one that is there is left as it is. */
function makeOwned(dir: string, { uid, gid }: Account): void {
  if (existsSync(dir)) return;
  let top = dir;
  while (!existsSync(dirname(top))) top = dirname(top);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (let made = dir; made.length >= top.length; made = dirname(made)) chownSync(made, uid, gid);
}
