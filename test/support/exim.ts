/**
 * A private Exim in a folder of its own, on two free loopback ports: SMTP with STARTTLS, and TLS from the start. It takes mail
 * for `b@dst.test` only, and from who has logged in for everybody; `deliver()` puts what it took into a Maildir, or hands it
 * to another port.
 */
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, run } from './child.ts';
import { unpackExim } from './programs.ts';
import { eventually, freePort, isOpen, scratchFolder } from './scratch.ts';
import type { MadeCertificate } from './test-ca.ts';

const NOBODY = 65534;

export class Exim {
  readonly port: number;
  readonly tlsPort: number;
  readonly login = { user: 'ann', password: 'sesame' };
  readonly #program: string;
  readonly #folder: string;
  readonly #child: Child;

  private constructor(program: string, folder: string, ports: readonly [number, number], child: Child) {
    this.#program = program;
    this.#folder = folder;
    [this.port, this.tlsPort] = ports;
    this.#child = child;
  }

  /** What the program was built with. */
  async version(): Promise<string> {
    return (await run(this.#program, ['-C', join(this.#folder, 'conf'), '-bV'])).stdout;
  }

  /** Takes a mail as from a local program; it waits in the queue. */
  async send(from: string, to: readonly string[], content: string): Promise<void> {
    const args = ['-C', join(this.#folder, 'conf'), '-odq', '-oi', '-f', from, ...to];
    const sent = await run(this.#program, args, { input: content });
    if (sent.code !== 0) throw new Error(`exim: ${sent.code} ${sent.stderr}`);
  }

  /** `relayPort`: what is not for `dst.test` goes there. */
  static async start(keys: MadeCertificate, { relayPort }: { relayPort?: number } = {}): Promise<Exim> {
    const unpacked = scratchFolder('exim-program');
    const program = await unpackExim(unpacked);
    for (let tries = 1; ; tries++) {
      const ports = [await freePort(), await freePort()] as const;
      const folder = scratchFolder('exim');
      prepare(folder, program, ports, keys, relayPort);
      const child = new Child(program, ['-C', join(folder, 'conf'), '-bdf']);
      const exim = new Exim(program, folder, ports, child);
      try {
        await eventually(async () => (await isOpen(ports[0])) && (await isOpen(ports[1])), 'exim listens', 5_000);
        return exim;
      } catch (error) {
        await exim.stop();
        // A port may have been taken in between.
        if (tries === 3) throw new Error(`${String(error)}\n${child.stderr.join('\n')}\n${exim.log()}`);
      }
    }
  }

  /** Delivers what waits in the queue; the mails kept so far. */
  async deliver(): Promise<string[]> {
    await run(this.#program, ['-C', join(this.#folder, 'conf'), '-qff']);
    const box = join(this.#folder, 'box', 'new');
    try {
      return readdirSync(box).map((name) => readFileSync(join(box, name), 'latin1'));
    } catch {
      return []; // nothing has come yet
    }
  }

  log(): string {
    const folder = join(this.#folder, 'log');
    return readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('');
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }
}

function prepare(
  folder: string,
  program: string,
  ports: readonly [number, number],
  keys: MadeCertificate,
  relayPort: number | undefined,
): void {
  chmodSync(folder, 0o755);
  for (const name of ['spool', 'log', 'box']) {
    mkdirSync(join(folder, name));
    chownSync(join(folder, name), NOBODY, NOBODY);
  }
  writeFileSync(join(folder, 'cert.pem'), keys.cert);
  writeFileSync(join(folder, 'key.pem'), keys.key);
  chownSync(join(folder, 'key.pem'), NOBODY, NOBODY);
  writeFileSync(join(folder, 'conf'), configuration(folder, program, ports, relayPort));
}

/** Everything in one transaction, on a port of this machine that is not its own. */
const RELAY_ROUTER = (port: number): string => `
relay:
  driver = manualroute
  domains = ! dst.test
  transport = remote
  route_list = * 127.0.0.1::${port} byname
  self = send
`;

const configuration = (
  folder: string,
  program: string,
  [port, tlsPort]: readonly [number, number],
  relayPort: number | undefined,
): string => `
exim_user = ${NOBODY}
exim_group = ${NOBODY}
exim_path = ${program}
primary_hostname = exim.test
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%s
pid_file_path = ${folder}/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${port} : ${tlsPort}
tls_on_connect_ports = ${tlsPort}
tls_advertise_hosts = *
tls_certificate = ${folder}/cert.pem
tls_privatekey = ${folder}/key.pem
chunking_advertise_hosts = *
dsn_advertise_hosts = *
host_lookup =
queue_only = true
keep_environment =
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data

begin acl
acl_rcpt:
  accept authenticated = *
  accept domains = dst.test
         local_parts = b
  deny message = unknown here
acl_data:
  accept

begin routers
${relayPort === undefined ? '' : RELAY_ROUTER(relayPort)}
all:
  driver = accept
  transport = box

begin transports
remote:
  driver = smtp
  hosts_try_prdr = *
box:
  driver = appendfile
  directory = ${folder}/box
  maildir_format
  user = ${NOBODY}
  group = ${NOBODY}

begin retry
* * F,1h,15m

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = \${if and{{eq{$auth2}{ann}}{eq{$auth3}{sesame}}}}
  server_set_id = $auth2
  server_advertise_condition = \${if eq{$tls_in_cipher}{}{no}{yes}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = \${if and{{eq{$auth1}{ann}}{eq{$auth2}{sesame}}}}
  server_set_id = $auth1
  server_advertise_condition = \${if eq{$tls_in_cipher}{}{no}{yes}}
`;
