/**
 * A private Postfix in a folder of its own: no DNS, no TLS, its own queue, on a free loopback port. It delivers every mail for
 * `dst.test` into a Maildir, or hands everything to another port. Only this instance is stopped.
 */
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './child.ts';
import { atEnd } from './cleanup.ts';
import { needPrograms } from './programs.ts';
import { eventually, freePort, isOpen, scratchFolder } from './scratch.ts';

export interface PostfixOptions {
  /** Everything goes to this loopback port; without it, to the Maildir. */
  readonly relayPort?: number;
  /** Further lines of main.cf. */
  readonly settings?: readonly string[];
  /** What listens, as master.cf has it, in place of one plain server; `port` is for the server that is waited for. */
  readonly servers?: (port: number) => string;
}

/** A mail as the mailbox holds it: lines end with LF, and Postfix's own lines stand on top. */
export interface PostfixMail {
  /** Envelope sender and recipient as Postfix noted them. */
  readonly from: string;
  readonly to: string;
  /** Postfix's own Received, unfolded: by whom it says the mail was handed in. */
  readonly received: string;
  /** What Postfix was sent, without its Return-Path, X-Original-To, Delivered-To and Received lines. CRLF line ends. */
  readonly content: Buffer;
}

/** The mailbox's owner: virtual(8) refuses system accounts (ids below 100). */
const MAIL_UID = 65534;

export class Postfix {
  readonly port: number;
  readonly folder: string;
  readonly #program: string;
  readonly #ended: () => void;

  private constructor(program: string, folder: string, port: number) {
    this.#program = program;
    this.folder = folder;
    this.port = port;
    this.#ended = atEnd(() => this.stop());
  }

  static async start(options: PostfixOptions = {}): Promise<Postfix> {
    const { postfix } = await needPrograms('postfix');
    for (let tries = 1; ; tries++) {
      const port = await freePort();
      const folder = scratchFolder('postfix');
      configure(folder, port, options);
      const started = await run(postfix, ['-c', join(folder, 'etc'), 'start']);
      const instance = new Postfix(postfix, folder, port);
      try {
        if (started.code !== 0) throw new Error(`postfix start: ${started.stderr}`);
        await eventually(() => isOpen(port), 'postfix listens', 5_000);
        return instance;
      } catch (error) {
        await instance.stop();
        // The port may have been taken in between.
        if (tries === 3) throw new Error(`postfix does not start: ${String(error)}\n${instance.log()}`);
      }
    }
  }

  /** The delivered mails, oldest first. */
  mails(): PostfixMail[] {
    const box = join(this.folder, 'mail', 'box', 'new');
    let names: string[];
    try {
      names = readdirSync(box).sort((a, b) => arrival(a) - arrival(b));
    } catch {
      return []; // nothing has come yet
    }
    return names.map((name) => parseMail(readFileSync(join(box, name))));
  }

  async waitForMails(count: number): Promise<PostfixMail[]> {
    await eventually(() => this.mails().length >= count, `${count} mails in Postfix's mailbox`).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}\n${this.log()}`);
      },
    );
    return this.mails();
  }

  log(): string {
    try {
      return readFileSync(join(this.folder, 'log', 'maillog'), 'utf8')
        .split('\n')
        .slice(-30)
        .join('\n');
    } catch {
      return '';
    }
  }

  async stop(): Promise<void> {
    this.#ended();
    await run(this.#program, ['-c', join(this.folder, 'etc'), 'stop']);
  }
}

function configure(folder: string, port: number, options: PostfixOptions): void {
  for (const name of ['etc', 'spool', 'data', 'log', 'mail']) mkdirSync(join(folder, name), { mode: 0o755 });
  // Postfix's own users have to pass through.
  for (const path of [folder, join(folder, 'etc')]) chmodSync(path, 0o755);
  chownSync(join(folder, 'data'), userId('postfix'), 0);
  chownSync(join(folder, 'mail'), MAIL_UID, MAIL_UID);
  writeFileSync(
    join(folder, 'etc', 'main.cf'),
    `${[...mainCf(folder, options), ...(options.settings ?? [])].join('\n')}\n`,
  );
  const servers = options.servers?.(port) ?? `127.0.0.1:${port} inet n - n - - smtpd`;
  writeFileSync(join(folder, 'etc', 'master.cf'), `${[servers, ...SERVICES].join('\n')}\n`);
}

function mainCf(folder: string, options: PostfixOptions): string[] {
  const delivery =
    options.relayPort === undefined
      ? [
          'virtual_mailbox_domains = dst.test',
          `virtual_mailbox_base = ${folder}/mail`,
          'virtual_mailbox_maps = static:box/',
          `virtual_uid_maps = static:${MAIL_UID}`,
          `virtual_gid_maps = static:${MAIL_UID}`,
          'relayhost = [127.0.0.1]:1',
        ]
      : [`relayhost = [127.0.0.1]:${options.relayPort}`];
  return [
    'compatibility_level = 3.6',
    `queue_directory = ${folder}/spool`,
    `data_directory = ${folder}/data`,
    'command_directory = /usr/sbin',
    'daemon_directory = /usr/lib/postfix/sbin',
    'mail_owner = postfix',
    'setgid_group = postdrop',
    `maillog_file = ${folder}/log/maillog`,
    `maillog_file_prefixes = ${folder}/log`,
    'inet_interfaces = 127.0.0.1',
    'inet_protocols = ipv4',
    'myhostname = pf.test',
    'mydestination =',
    'mynetworks = 127.0.0.0/8',
    'smtp_dns_support_level = disabled',
    'smtp_host_lookup = native',
    'smtpd_peername_lookup = no',
    'alias_maps =',
    'alias_database =',
    'local_recipient_maps =',
    // The octets must arrive as they came: no header of Postfix's own making, no line broken.
    'local_header_rewrite_clients =',
    'smtp_line_length_limit = 0',
    'line_length_limit = 2048000',
    'header_size_limit = 2048000',
    'smtpd_client_connection_count_limit = 0',
    'smtpd_error_sleep_time = 0',
    'in_flow_delay = 0',
    'smtpd_tls_security_level = none',
    'smtp_tls_security_level = none',
    ...delivery,
  ];
}

const SERVICES = [
  'cleanup unix n - n - 0 cleanup',
  'qmgr unix n - n 300 1 qmgr',
  'rewrite unix - - n - - trivial-rewrite',
  'bounce unix - - n - 0 bounce',
  'defer unix - - n - 0 bounce',
  'trace unix - - n - 0 bounce',
  'verify unix - - n - 1 verify',
  'flush unix n - n 1000? 0 flush',
  'proxymap unix - - n - - proxymap',
  'proxywrite unix - - n - 1 proxymap',
  'smtp unix - - n - - smtp',
  'relay unix - - n - - smtp',
  'showq unix n - n - - showq',
  'error unix - - n - - error',
  'retry unix - - n - - error',
  'discard unix - - n - - discard',
  'virtual unix - n n - - virtual',
  'anvil unix - - n - 1 anvil',
  'scache unix - - n - 1 scache',
  'tlsmgr unix - - n 1000? 1 tlsmgr',
  'postlog unix-dgram n - n - 1 postlogd',
];

function userId(name: string): number {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((l) => l.startsWith(`${name}:`));
  const id = Number(line?.split(':')[2]);
  if (!Number.isInteger(id)) throw new Error(`no user ${name}: is the postfix package whole?`);
  return id;
}

const OWN_LINES = /^(Return-Path|X-Original-To|Delivered-To): <?([^>\n]*)>?$/;

/** Maildir names are `<seconds>.V..I..M<microseconds>.host`; as text they do not sort by time. */
function arrival(name: string): number {
  const [, seconds = '0', micros = '0'] = /^(\d+)\..*M(\d+)\./.exec(name) ?? [];
  return Number(seconds) * 1e6 + Number(micros);
}

/** Takes Postfix's own lines off the top (the last of them is its Received with its folded lines). */
function parseMail(file: Buffer): PostfixMail {
  let at = 0;
  let from = '';
  let to = '';
  for (;;) {
    const end = file.indexOf(10, at);
    const line = file.toString('latin1', at, end);
    const own = OWN_LINES.exec(line);
    if (own === null) break;
    if (own[1] === 'Return-Path') from = own[2] ?? '';
    else to = own[2] ?? '';
    at = end + 1;
  }
  const start = at;
  if (file.toString('latin1', at, at + 9) === 'Received:') {
    do at = file.indexOf(10, at) + 1;
    while (file[at] === 9 || file[at] === 32);
  }
  const received = file.toString('latin1', start, at).replace(/\s+/g, ' ');
  return { from, to, received, content: crlf(file.subarray(at)) };
}

function crlf(octets: Buffer): Buffer {
  return Buffer.from(octets.toString('latin1').replaceAll('\n', '\r\n'), 'latin1');
}
