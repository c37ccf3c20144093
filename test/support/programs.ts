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
  swaks: 'swaks',
  unbound: 'unbound',
  'ldns-keygen': 'ldnsutils',
  'ldns-signzone': 'ldnsutils',
  chromium: 'chromium',
  python3: 'python3',
  pg_lsclusters: 'postgresql',
  strace: 'strace',
  'systemd-analyze': 'systemd',
  'systemd-notify': 'systemd',
  'systemd-socket-activate': 'systemd',
  setpriv: 'util-linux',
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

/** What Exim of Debian needs of the system; its package itself cannot stand beside Postfix. */
const EXIM_LIBRARIES = ['libdb5.3', 'libgnutls-dane0', 'libidn12', 'libidn2-0', 'libnsl2', 'libpcre2-8-0'];
const EXIM_USER = 'Debian-exim';

/**
 * Debian's mail servers exclude each other: Exim's package is unpacked into `folder` instead of installed, with its libraries
 * and its user in the system. Returns the path of the program.
 */
export async function unpackExim(folder: string): Promise<string> {
  const advise = (why: string): Error => new Error(`${why}. These tests unpack Debian's exim4-daemon-light, as root.`);
  if (process.getuid?.() !== 0) throw advise('this user may not install');
  await takeLock();
  try {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    const steps: readonly (readonly [string, ...string[]])[] = [
      ['apt-get', 'update', '-qq'],
      [
        'apt-get',
        'install',
        '-y',
        '-qq',
        '--no-install-recommends',
        '-o',
        'DPkg::Lock::Timeout=200',
        ...EXIM_LIBRARIES,
      ],
      ['apt-get', 'download', '-qq', 'exim4-daemon-light'],
      ['sh', '-c', 'dpkg-deb -x exim4-daemon-light_*.deb .'],
      ['sh', '-c', `id ${EXIM_USER} || useradd --system --no-create-home --shell /usr/sbin/nologin ${EXIM_USER}`],
    ];
    for (const [command, ...args] of steps) {
      const done = await run(command, args, { env, cwd: folder, timeoutMs: INSTALL_MS });
      // Without an update the lists of before may do.
      if (done.code !== 0 && !args.includes('update')) throw advise(`${command} ${args.join(' ')}: ${done.stderr}`);
    }
  } finally {
    rmSync(LOCK, { recursive: true, force: true });
  }
  return join(folder, 'usr', 'sbin', 'exim4');
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
  const missing = [...new Set(names.filter((n) => find(n) === undefined).map((n) => PACKAGE_OF[n]))];
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
