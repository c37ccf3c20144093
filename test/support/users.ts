/** Users who may log in, made with the program's own command, and a client that does. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './child.ts';
import { OPES } from './gateway.ts';
import { scratchFolder } from './scratch.ts';
import { SmtpTalk } from './smtp-talk.ts';

const PASSWORD = 'secret word';

/** A file that `auth:` may name, with one user. */
export async function usersFile(user: string): Promise<string> {
  const file = join(scratchFolder('users'), 'users.yaml');
  const made = await run(OPES, ['user', user], { input: `${PASSWORD}\n` });
  if (made.code !== 0) throw new Error(made.stderr);
  writeFileSync(file, made.stdout, { mode: 0o600 });
  return file;
}

/** Connects, greets and logs in. */
export async function loggedIn(port: number, user: string): Promise<SmtpTalk> {
  const talk = await SmtpTalk.hello(port);
  const login = await talk.say(`AUTH PLAIN ${Buffer.from(`\0${user}\0${PASSWORD}`).toString('base64')}`);
  if (login.code !== 235) throw new Error(`the login failed: ${login.code} ${login.lines.join(' / ')}`);
  return talk;
}
