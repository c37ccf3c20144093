/**
 * Debian programs the system tests need. Missing ones are installed by the test run itself (root only); when that is not
 * possible the test fails and says what to install. Nothing is skipped.
 */
import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from './child.ts';

const PACKAGE_OF = {
  postfix: 'postfix',
  'smtp-source': 'postfix',
  'smtp-sink': 'postfix',

  unbound: 'unbound',
  'ldns-keygen': 'ldnsutils',
  'ldns-signzone': 'ldnsutils',
  // Its TLS is a package of Perl that it only recommends.
  swaks: 'swaks libnet-ssleay-perl',
  haproxy: 'haproxy',
  msmtp: 'msmtp',
  chromium: 'chromium',
  python3: 'python3',
  openssl: 'openssl',
  gpg: 'gnupg',
  dkimsign: 'python3-dkim',
  pg_lsclusters: 'postgresql',
  strace: 'strace',
  'systemd-analyze': 'systemd',
  'systemd-notify': 'systemd',
  'systemd-socket-activate': 'systemd',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  perl: 'perl-base',
  dovecot: 'dovecot-core',
  lmtp: 'dovecot-lmtpd',
} as const;
export type Program = keyof typeof PACKAGE_OF;

/** The usual path plus the sbin folders, which a user's PATH may lack, and where Dovecot keeps its parts. */
const FOLDERS = [
  ...new Set([...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/lib/dovecot']),
];
const LOCK = join(tmpdir(), 'opes-test-install.lock');
const INSTALL_MS = 240_000;

/** Paths of the programs, installing their packages first where they are missing. */
export async function needPrograms<P extends Program>(...names: readonly P[]): Promise<Readonly<Record<P, string>>> {
  if (names.some((name) => find(name) === undefined)) await install(names);
  const found = names.map((name) => {
    const path = find(name);
    if (path === undefined) throw new Error(advice(names, `${name} is not there after the installation`));
    return [name, path] as const;
  });
  return Object.fromEntries(found) as Record<P, string>;
}

/** What a mail server of Debian needs of the system; its package itself cannot stand beside Postfix. */
interface Unpacked {
  readonly package: string;
  readonly libraries: readonly string[];
  /** A user it will not run without, made in the system. */
  readonly user?: string;
}

const EXIM: Unpacked = {
  package: 'exim4-daemon-light',
  libraries: ['libdb5.3', 'libgnutls-dane0', 'libidn12', 'libidn2-0', 'libnsl2', 'libpcre2-8-0'],
  user: 'Debian-exim',
};
const OPENSMTPD: Unpacked = {
  package: 'opensmtpd',
  libraries: ['libdb5.3', 'libevent-2.1-7', 'libpam0g', 'libssl3', 'zlib1g'],
};

/** The path of Exim, unpacked into `folder`, with its libraries and its user in the system. */
export async function unpackExim(folder: string): Promise<string> {
  await unpack(EXIM, folder);
  return join(folder, 'usr', 'sbin', 'exim4');
}

/** OpenSMTPD's files below `folder`. */
export async function unpackOpenSmtpd(folder: string): Promise<void> {
  await unpack(OPENSMTPD, folder);
}

/** Debian's mail servers exclude each other: all but Postfix are unpacked, not installed. */
async function unpack({ package: name, libraries, user }: Unpacked, folder: string): Promise<void> {
  const advise = (why: string): Error => new Error(`${why}. These tests unpack Debian's ${name}, as root.`);
  if (process.getuid?.() !== 0) throw advise('this user may not install');
  await takeLock();
  try {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    const quiet = ['-y', '-qq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=200'];
    const steps: (readonly [string, ...string[]])[] = [
      ['apt-get', 'update', '-qq'],
      ['apt-get', 'install', ...quiet, ...libraries],
      ['apt-get', 'download', '-qq', name],
      ['sh', '-c', `dpkg-deb -x ${name}_*.deb .`],
    ];
    if (user !== undefined)
      steps.push(['sh', '-c', `id ${user} || useradd --system --no-create-home --shell /usr/sbin/nologin ${user}`]);
    for (const [command, ...args] of steps) {
      const done = await run(command, args, { env, cwd: folder, timeoutMs: INSTALL_MS });
      // Without an update the lists of before may do.
      if (done.code !== 0 && !args.includes('update')) throw advise(`${command} ${args.join(' ')}: ${done.stderr}`);
    }
  } finally {
    rmSync(LOCK, { recursive: true, force: true });
  }
}

function find(name: string): string | undefined {
  for (const folder of FOLDERS) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

function advice(names: readonly Program[], why: string): string {
  const packages = [...new Set(names.map((name) => PACKAGE_OF[name]))].join(' ');
  return `${why}. These tests need Debian's ${packages}: run "apt-get install --no-install-recommends ${packages}" as root.`;
}

/** One installation at a time on the machine: apt would fail on its own lock, and two post-install scripts would meet. */
async function install(names: readonly Program[]): Promise<void> {
  const missing = [...new Set(names.filter((n) => find(n) === undefined).flatMap((n) => PACKAGE_OF[n].split(' ')))];
  if (process.getuid?.() !== 0)
    throw new Error(advice(names, `${missing.join(' ')} missing and this user may not install`));
  await takeLock();
  try {
    if (names.every((name) => find(name) !== undefined)) return;
    // RUNLEVEL=1 keeps the package from starting a mail server of its own.
    const env = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    const update = await run('apt-get', ['update', '-qq'], { env, timeoutMs: INSTALL_MS });
    const args = ['install', '-y', '-qq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=200', ...missing];
    const done = await run('apt-get', args, { env, timeoutMs: INSTALL_MS });
    if (done.code !== 0) {
      const said = [...update.stderr.split('\n'), ...done.stderr.split('\n')].slice(-8).join('\n');
      throw new Error(advice(names, `apt-get could not install ${missing.join(' ')} (${said})`));
    }
  } finally {
    rmSync(LOCK, { recursive: true, force: true });
  }
}

async function takeLock(): Promise<void> {
  const end = Date.now() + INSTALL_MS;
  for (;;) {
    try {
      mkdirSync(LOCK);
      writeFileSync(join(LOCK, 'pid'), String(process.pid));
      return;
    } catch {
      if (!isHeld()) rmSync(LOCK, { recursive: true, force: true });
      else if (Date.now() > end) throw new Error(`${LOCK} is held; remove it if no installation runs`);
      else await delay(200);
    }
  }
}

/** A lock whose holder is gone is no lock. */
function isHeld(): boolean {
  try {
    process.kill(Number(readFileSync(join(LOCK, 'pid'), 'utf8')), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
