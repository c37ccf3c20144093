/**
 * From root to the user the file names: after the listeners are open, before anything else. Keys and the configuration were
 * read as root; a reload reads them again as the user, so the user must be able to.
 */
import { chownSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log } from '../../base/index.ts';
import type { EffectiveConfig } from '../../config/index.ts';
import { type Account, findAccount } from '../accounts.ts';
import { EXIT, Failure } from '../exit.ts';

/** Who we are going to be: where we are root and the file names a user. Throws Failure where that is nobody, or root again. */
export function accountToBecome(config: EffectiveConfig): Account | undefined {
  if (process.getuid?.() !== 0 || config.user === undefined) return undefined;
  const account = findAccount(config.user, config.group);
  if (account.uid === 0) throw new Failure(`user: ${config.user} is root\n    name another user`, EXIT.config);
  return account;
}

export function become(account: Account, { dataDir }: EffectiveConfig, log: Log): void {
  makeOwned(dataDir, account);
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

/** The data directory where it is not there yet, with all that is made above it; one that is there is left as it is. */
function makeOwned(dir: string, { uid, gid }: Account): void {
  if (existsSync(dir)) return;
  let top = dir;
  while (!existsSync(dirname(top))) top = dirname(top);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (let made = dir; made.length >= top.length; made = dirname(made)) chownSync(made, uid, gid);
}
