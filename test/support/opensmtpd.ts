/**
 * A private OpenSMTPD. Its package excludes Postfix, and its paths and users are fixed when it is compiled: so the package is unpacked,
 * and the program runs in a mount namespace of its own, where queue, chroot and socket are empty memory file systems and `/etc` is a
 * folder of the test's with the two users. Nothing of it is in the system, and nothing stays.
 *
 * It delivers what comes in on `port` for `b@dst.test` into a Maildir. What comes in on `clientPort` it relays to `relayTo`, as a client.
 * On `tlsPort` it offers a STARTTLS that fails: its keys live in a process of their own, behind an interface that OpenSSL 3, which
 * Debian builds it with, gave up. Its TLS as a client works.
 */
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.ts';
import { needPrograms, unpackOpenSmtpd } from './programs.ts';
import { eventually, freePort, isOpen, scratchFolder } from './scratch.ts';
import type { MadeCertificate } from './test-ca.ts';

const NOBODY = 65534;
/** Of the namespace's own `/etc/passwd`; nobody else's, whatever the system has. */
const USERS = { opensmtpd: 64_001, opensmtpq: 64_002 } as const;

export interface OpenSmtpdOptions {
  readonly keys: MadeCertificate;
  /** A relay-url of smtpd.conf, such as `smtp+notls://127.0.0.1:2525`. */
  readonly relayTo?: string;
  /** How it relays there besides: `tls no-verify`, `auth <secrets>`. */
  readonly relayOptions?: string;
}

let unpacked: Promise<string> | undefined;

/** Once a test file. */
function program(): Promise<string> {
  unpacked ??= (async () => {
    const folder = scratchFolder('opensmtpd-program');
    await unpackOpenSmtpd(folder);
    // Its users run parts of it.
    chmodSync(folder, 0o755);
    return folder;
  })();
  return unpacked;
}

export class OpenSmtpd {
  readonly port: number;
  readonly tlsPort: number;
  readonly clientPort: number;
  readonly #folder: string;
  readonly #child: Child;

  private constructor(folder: string, [port, tlsPort, clientPort]: Ports, child: Child) {
    this.port = port;
    this.tlsPort = tlsPort;
    this.clientPort = clientPort;
    this.#folder = folder;
    this.#child = child;
  }

  static async start(options: OpenSmtpdOptions): Promise<OpenSmtpd> {
    const { unshare } = await needPrograms('unshare');
    const root = await program();
    for (let tries = 1; ; tries++) {
      const ports: Ports = [await freePort(), await freePort(), await freePort()];
      const folder = scratchFolder('opensmtpd');
      prepare(folder, ports, options);
      const child = new Child(unshare, ['--mount', 'sh', '-c', IN_NAMESPACE, 'opensmtpd', root, folder]);
      const server = new OpenSmtpd(folder, ports, child);
      try {
        await eventually(async () => (await Promise.all(ports.map(isOpen))).every(Boolean), 'opensmtpd listens', 5_000);
        return server;
      } catch (error) {
        await server.stop();
        // A port may have been taken in between.
        if (tries === 3) throw new Error(`${String(error)}\n${server.log()}`);
      }
    }
  }

  /** What it delivered, in no order; lines end with LF. */
  mails(): string[] {
    const box = join(this.#folder, 'box', 'new');
    if (!existsSync(box)) return []; // nothing has come yet
    return readdirSync(box).map((name) => readFileSync(join(box, name), 'latin1'));
  }

  /** The one mail that has this in it, when it is there. */
  async mail(text: string): Promise<string> {
    const found = (): string | undefined => this.mails().find((one) => one.includes(text));
    await eventually(() => found() !== undefined, `a mail with ${text} in OpenSMTPD's mailbox`).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}\n${this.log()}`);
      },
    );
    return found() ?? '';
  }

  /** The line of its log in which it tells what became of a mail at its next hop. */
  async told(pattern: RegExp): Promise<string> {
    return await this.#child.until(() => this.#lines().find((line) => pattern.test(line)), String(pattern));
  }

  log(): string {
    return this.#lines().slice(-40).join('\n');
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }

  #lines(): string[] {
    return [...this.#child.stdout, ...this.#child.stderr];
  }
}

type Ports = readonly [number, number, number];

/** `$1` the unpacked package, `$2` the instance's folder. Mounts end with the namespace, and that with the program. */
const IN_NAMESPACE = `set -e
mount --make-rprivate /
for place in /var/spool /var/lib /run; do mount -t tmpfs tmpfs $place; done
mkdir -m 711 /var/spool/smtpd
mkdir -p /var/lib/opensmtpd/empty
mount --bind "$1/usr/libexec" /usr/libexec
mount --bind "$2/etc" /etc
exec "$1/usr/sbin/smtpd" -d -v -f "$2/smtpd.conf"`;

function prepare(folder: string, ports: Ports, options: OpenSmtpdOptions): void {
  chmodSync(folder, 0o755);
  const etc = join(folder, 'etc');
  mkdirSync(etc);
  for (const name of ['passwd', 'group', 'nsswitch.conf', 'hosts', 'ld.so.cache'])
    cpSync(join('/etc', name), join(etc, name));
  // It reads the system's authorities when it starts, whether it needs them or not.
  cpSync('/etc/ssl/certs/ca-certificates.crt', join(etc, 'ssl/certs/ca-certificates.crt'), { recursive: true });
  for (const [user, id] of Object.entries(USERS)) {
    const home = '/var/lib/opensmtpd/empty';
    writeFileSync(join(etc, 'passwd'), `${user}:x:${id}:${id}::${home}:/usr/sbin/nologin\n`, { flag: 'a' });
    writeFileSync(join(etc, 'group'), `${user}:x:${id}:\n`, { flag: 'a' });
  }
  writeFileSync(join(etc, 'mailname'), 'osmtpd.test\n');
  mkdirSync(join(folder, 'box'));
  chownSync(join(folder, 'box'), NOBODY, NOBODY);
  writeFileSync(join(folder, 'cert.pem'), options.keys.cert);
  writeFileSync(join(folder, 'key.pem'), options.keys.key, { mode: 0o600 });
  writeFileSync(join(folder, 'smtpd.conf'), configuration(folder, ports, options));
}

function configuration(
  folder: string,
  [port, tlsPort, clientPort]: Ports,
  { relayTo = 'smtp+notls://127.0.0.1:1', relayOptions = '' }: OpenSmtpdOptions,
): string {
  return `
pki osmtpd.test cert "${folder}/cert.pem"
pki osmtpd.test key "${folder}/key.pem"
table users { "b@dst.test" = "nobody" }
table secrets { "gw" = "ann:sesame" }
smtp max-message-size 50M
listen on 127.0.0.1 port ${port}
listen on 127.0.0.1 port ${tlsPort} tls pki osmtpd.test
listen on 127.0.0.1 port ${clientPort} tag client
action "box" maildir "${folder}/box" virtual <users>
action "out" relay host "${relayTo}" ${relayOptions} helo "client.osmtpd.test"
match tag client from any for any action "out"
match from any for domain "dst.test" action "box"
`;
}
