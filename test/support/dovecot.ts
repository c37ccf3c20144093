/**
 * A private Dovecot in a folder of its own: LMTP on a Unix socket, and its login service on another for an MTA to ask. Users
 * `ann` and `bob` have a Maildir, `broken` has one that cannot be written, everybody else is unknown.
 */
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.ts';
import { needPrograms } from './programs.ts';
import { eventually, scratchFolder } from './scratch.ts';

/** Who mail belongs to: nobody. */
const MAIL_UID = 65534;
const PASSWORD = 'sesame, open';

export class Dovecot {
  /** The socket of LMTP. */
  readonly lmtp: string;
  /** The socket of the login service. */
  readonly auth: string;
  readonly login = { user: 'ann', password: PASSWORD };
  readonly #folder: string;
  readonly #child: Child;

  private constructor(folder: string, child: Child) {
    this.#folder = folder;
    this.#child = child;
    this.lmtp = join(folder, 'lmtp');
    this.auth = join(folder, 'auth');
  }

  static async start(): Promise<Dovecot> {
    const { dovecot } = await needPrograms('dovecot', 'lmtp');
    const folder = scratchFolder('dovecot');
    // Dovecot's own users have to pass through.
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, 'mail'));
    chownSync(join(folder, 'mail'), MAIL_UID, MAIL_UID);
    const users = ['ann', 'bob', 'broken'].map((name) => {
      const home = name === 'broken' ? '/dev/null' : join(folder, 'mail', name);
      return `${name}:{PLAIN}${PASSWORD}:${MAIL_UID}:${MAIL_UID}::${home}::`;
    });
    writeFileSync(join(folder, 'users'), `${users.join('\n')}\n`, { mode: 0o644 });
    writeFileSync(join(folder, 'dovecot.conf'), configuration(folder));
    const child = new Child(dovecot, ['-F', '-c', join(folder, 'dovecot.conf')]);
    const instance = new Dovecot(folder, child);
    await eventually(() => instance.#isUp(), 'dovecot listens').catch((error: unknown) => {
      throw new Error(`${String(error)}\n${child.stderr.join('\n')}\n${instance.log()}`);
    });
    return instance;
  }

  /** The mails of a user, as they were kept. */
  mails(user: string): string[] {
    const box = join(this.#folder, 'mail', user, 'new');
    try {
      return readdirSync(box).map((name) => readFileSync(join(box, name), 'latin1'));
    } catch {
      return []; // nothing has come yet
    }
  }

  log(): string {
    try {
      return readFileSync(join(this.#folder, 'log'), 'utf8');
    } catch {
      return '';
    }
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }

  #isUp(): boolean {
    const names = readdirSync(this.#folder);
    return names.includes('lmtp') && names.includes('auth') && this.log().includes('starting up');
  }
}

const configuration = (folder: string): string => `
protocols = lmtp
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/log
ssl = no
mail_location = maildir:~
mail_uid = ${MAIL_UID}
mail_gid = ${MAIL_UID}
first_valid_uid = ${MAIL_UID}
first_valid_gid = ${MAIL_UID}
auth_username_format = %n
auth_mechanisms = plain login scram-sha-256
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = ${folder}/users
}
userdb {
  driver = passwd-file
  args = ${folder}/users
}
service lmtp {
  unix_listener ${folder}/lmtp {
    mode = 0666
  }
}
service auth {
  unix_listener ${folder}/auth {
    mode = 0666
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
`;
